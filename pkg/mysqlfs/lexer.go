package mysqlfs

import (
	"bytes"
	"strings"
)

// A splitter finds the end of statements as the client does: a delimiter
// counts outside of strings, quoted names and comments. What is within a
// version comment, /*!50003 … */ or /*M!100100 … */, is part of the statement.
type splitter struct {
	delimiter []byte
	verbatim  bool // backslashes in strings stand for themselves: NO_BACKSLASH_ESCAPES

	inside byte // quote that is open, '*' within a comment, 0
}

// end returns the offset of the delimiter in line, the next one of a
// statement, or -1. The offset of what follows is that and the delimiter's
// length.
func (s *splitter) end(line []byte) int {
	for i := 0; i < len(line); i++ {
		switch {
		case s.inside == '*':
			n := bytes.Index(line[i:], []byte("*/"))
			if n < 0 {
				return -1
			}
			i, s.inside = i+n+1, 0
		case s.inside != 0:
			i = s.quoted(line, i)
		case bytes.HasPrefix(line[i:], s.delimiter):
			return i
		default:
			var eol bool
			if i, eol = s.outside(line, i); eol {
				return -1
			}
		}
	}
	return -1
}

// quoted goes on from offset i within quotes, and returns the offset of the
// last byte it has dealt with. A doubled quote closes and opens.
func (s *splitter) quoted(line []byte, i int) int {
	switch c := line[i]; {
	case c == '\\' && s.inside != '`' && !s.verbatim:
		return i + 1
	case c == s.inside:
		s.inside = 0
	}
	return i
}

// outside goes on from offset i outside of everything, and returns the offset
// of the last byte it has dealt with, and whether the rest is a comment.
func (s *splitter) outside(line []byte, i int) (int, bool) {
	rest := line[i:]
	switch rest[0] {
	case '\'', '"', '`':
		s.inside = rest[0]
	case '#':
		return i, true
	case '-':
		return i, isDashComment(rest)
	case '/':
		if isComment(rest) {
			s.inside = '*'
			return i + 1, false
		}
	}
	return i, false
}

// isDashComment reports whether text starts a comment to the end of the line,
// for which two dashes need white space behind them.
func isDashComment(text []byte) bool {
	return bytes.HasPrefix(text, []byte("--")) && (len(text) == 2 || text[2] <= ' ')
}

// isComment reports whether text starts a comment that is not a version
// comment.
func isComment(text []byte) bool {
	return bytes.HasPrefix(text, []byte("/*")) &&
		!bytes.HasPrefix(text, []byte("/*!")) && !bytes.HasPrefix(text, []byte("/*M!"))
}

// A token is a word, a quoted name or string, without its
// quotes, or another character.
type token struct {
	text  string
	quote byte // '`', '"', '\'' or 0
}

// is reports whether t is a word of SQL, or a character.
func (t token) is(word string) bool { return t.quote == 0 && strings.EqualFold(t.text, word) }

// isName reports whether t can be an identifier.
func (t token) isName() bool {
	return t.quote == '`' || t.quote == '"' || t.quote == 0 && t.text != "" && isWord(t.text[0])
}

// tokens reads a statement's start token by token. Comments are passed over,
// and so are the marks of version comments, with what is in them kept.
type tokens struct{ rest []byte }

// next returns the next token; at the end one without a text.
func (s *tokens) next() token {
	s.skip()
	if len(s.rest) == 0 {
		return token{}
	}
	c := s.rest[0]
	switch {
	case c == '`' || c == '"' || c == '\'':
		return s.quoted(c)
	case isWord(c):
		n := 1
		for n < len(s.rest) && isWord(s.rest[n]) {
			n++
		}
		return token{text: s.take(n)}
	}
	return token{text: s.take(1)}
}

func (s *tokens) take(n int) string {
	text := string(s.rest[:n])
	s.rest = s.rest[n:]
	return text
}

// skip passes over white space, comments and the marks of version comments.
func (s *tokens) skip() {
	for {
		s.rest = bytes.TrimLeft(s.rest, " \t\r\n")
		switch {
		case bytes.HasPrefix(s.rest, []byte("*/")):
			s.rest = s.rest[2:]
		case isComment(s.rest):
			s.after("*/")
		case isDashComment(s.rest), bytes.HasPrefix(s.rest, []byte("#")):
			s.after("\n")
		case bytes.HasPrefix(s.rest, []byte("/*")):
			_, mark, _ := bytes.Cut(s.rest, []byte("!"))
			s.rest = bytes.TrimLeft(mark, "0123456789")
		default:
			return
		}
	}
}

// after passes over everything up to and including text.
func (s *tokens) after(text string) {
	_, s.rest, _ = bytes.Cut(s.rest, []byte(text))
}

func (s *tokens) quoted(quote byte) token {
	var text []byte
	for i := 1; i < len(s.rest); i++ {
		c := s.rest[i]
		switch {
		case c == '\\' && quote != '`' && i+1 < len(s.rest):
			text = append(text, c, s.rest[i+1])
			i++
		case c != quote:
			text = append(text, c)
		case i+1 < len(s.rest) && s.rest[i+1] == quote:
			text = append(text, c)
			i++
		default:
			s.rest = s.rest[i+1:]
			return token{string(text), quote}
		}
	}
	s.rest = nil
	return token{string(text), quote}
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 ||
		'0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
