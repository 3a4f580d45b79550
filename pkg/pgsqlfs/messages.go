package pgsqlfs

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// A programError is what a program of PostgreSQL's said went wrong.
type programError struct {
	text string
	code string // SQLSTATE of the first error; "" if it has none
	err  error  // that it ended with; nil if it went on
}

func (e *programError) Error() string { return e.text }

func (e *programError) Unwrap() error { return e.err }

// SQLSTATE codes, from appendix A of PostgreSQL's manual.
const (
	objectInUse     = "55006"
	duplicateObject = "42710"
	wrongObject     = "42809" // also for a locale that is not there
)

// Bounds on what is kept of messages.
const (
	maxMessages = 5
	maxMessage  = 500 // bytes
)

// messages picks the errors out of what a program says on its standard error.
// The lines that follow one may quote rows, and are not kept.
type messages struct {
	ignore []string // SQLSTATE codes that are no errors
	line   []byte
	kept   []string
	more   bool
	code   string
}

// message is the line of an error: of psql, in its verbose form, about a
// statement of a script, of any of the programs about itself, or, second to
// such a line, of pg_dump about what the server said.
var message = regexp.MustCompile(
	`^psql:<stdin>:\d+: (?:ERROR|FATAL|PANIC|error): +(?:([0-9A-Z]{5}): )?(.*)|^[a-z_]+: (?:error|detail: Error message from server): (.*)`)

// Write implements io.Writer.
func (m *messages) Write(p []byte) (int, error) {
	n := len(p)
	for {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		m.line = append(m.line, line[:min(len(line), maxMessage-min(maxMessage, len(m.line)))]...)
		if !ended {
			return n, nil
		}
		m.add()
		m.line, p = m.line[:0], rest
	}
}

func (m *messages) add() {
	found := message.FindSubmatch(m.line)
	if found == nil {
		return
	}
	code, text := string(found[1]), string(found[2])+string(found[3])
	if _, after, ok := strings.Cut(text, "ERROR:  "); ok {
		text = after // what a program says of what a server said
	}
	switch {
	case slices.Contains(m.ignore, code) && code != "":
	case len(m.kept) == maxMessages:
		m.more = true
	default:
		if len(m.kept) == 0 {
			m.code = code
		}
		m.kept = append(m.kept, strings.ToValidUTF8(text, "?"))
	}
}

// String returns the errors, "" if there were none.
func (m *messages) String() string {
	m.add()
	m.line = nil
	text := strings.Join(m.kept, "; ")
	if m.more {
		text += "; and more"
	}
	return text
}
