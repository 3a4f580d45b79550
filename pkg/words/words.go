// Package words cuts lines into words by the quoting rules of a shell.
package words

import (
	"errors"
	"strings"
)

// A splitter takes a line apart.
type splitter struct {
	words []string
	word  strings.Builder
	open  bool // a word has begun
}

const space = " \t\r\n"

// Split cuts a line into words as a POSIX shell does, as far as it is about
// quotes: within single quotes every byte stands for itself; within double
// quotes a backslash quotes a double quote and a backslash and otherwise
// stands for itself; outside of both it quotes any byte. Quoted and unquoted
// parts that touch are one word, and quotes around nothing make an empty one.
// Nothing is expanded.
func Split(s string) ([]string, error) {
	var sp splitter
	for s != "" {
		rest, err := sp.next(s)
		if err != nil {
			return nil, err
		}
		s = rest
	}
	sp.end()
	return sp.words, nil
}

// next takes white space, a quotation, an escape or a plain run off the front
// of s.
func (sp *splitter) next(s string) (rest string, err error) {
	switch s[0] {
	case ' ', '\t', '\r', '\n':
		sp.end()
		return strings.TrimLeft(s, space), nil
	case '\'':
		return sp.single(s[1:])
	case '"':
		return sp.double(s[1:])
	case '\\':
		if len(s) < 2 {
			return "", errors.New("nothing follows the backslash at the end")
		}
		sp.add(s[1:2])
		return s[2:], nil
	}
	n := strings.IndexAny(s, space+`'"\`)
	if n < 0 {
		n = len(s)
	}
	sp.add(s[:n])
	return s[n:], nil
}

func (sp *splitter) single(s string) (rest string, err error) {
	text, rest, closed := strings.Cut(s, "'")
	if !closed {
		return "", errors.New("a single quote is not closed")
	}
	sp.add(text)
	return rest, nil
}

func (sp *splitter) double(s string) (rest string, err error) {
	sp.add("")
	for {
		n := strings.IndexAny(s, `"\`)
		if n < 0 || n == len(s)-1 && s[n] == '\\' {
			return "", errors.New("a double quote is not closed")
		}
		sp.add(s[:n])
		if s[n] == '"' {
			return s[n+1:], nil
		}
		escaped := s[n+1 : n+2]
		if escaped != `"` && escaped != `\` {
			sp.add(`\`)
		}
		sp.add(escaped)
		s = s[n+2:]
	}
}

func (sp *splitter) add(text string) {
	sp.open = true
	sp.word.WriteString(text)
}

func (sp *splitter) end() {
	if sp.open {
		sp.words = append(sp.words, sp.word.String())
	}
	sp.word.Reset()
	sp.open = false
}
