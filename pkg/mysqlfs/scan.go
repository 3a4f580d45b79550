package mysqlfs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// A dump is what reads a dump tells of it. The bytes are valid until the call
// returns.
type dump interface {
	// statement takes a statement that is no INSERT.
	statement(statement, settings) error
	// insert begins the rows of an INSERT into the table of that name, whose
	// columns are those of the list, in its parentheses, or all. The rows go
	// to the writer that it returns, each ended by a newline.
	insert(table string, columns []byte) (io.Writer, error)
	// section begins what the dump's comment announces.
	section(comment []byte) error
}

const (
	// lineBuffer is the longest part of a line in bytes that is looked at as a
	// whole. The start of an INSERT fits: a table has at most 4096 columns,
	// and most of that never.
	lineBuffer = 1 << 20
	// maxStatement bounds a statement that is no INSERT. A view's or a
	// routine's text is at most 4 GB by the books, and 64 KB in fact.
	maxStatement = 256 << 20
)

// A scanner reads a dump: statements, and the rows of INSERT statements
// without holding a row.
type scanner struct {
	in   *bufio.Reader
	to   dump
	line int // number of the current line

	splitter splitter
	session  settings
	partial  []byte    // statement so far
	rows     io.Writer // of an INSERT whose rows are on lines of their own

	// The start of the INSERT before, up to its row, and where that went: the
	// next is the same nearly always. Empty after any other statement.
	head     []byte
	headRows io.Writer
}

// scan reads a dump to its end. One that ends within a statement is an error.
func scan(r io.Reader, to dump) error {
	s := &scanner{
		in: bufio.NewReaderSize(r, lineBuffer), to: to,
		splitter: splitter{delimiter: []byte(";")}, session: settings{},
	}
	for {
		line, err := s.in.ReadSlice('\n')
		if len(line) == 0 && err == io.EOF {
			return s.finish()
		}
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("read a dump: %w", err)
		}
		s.line++
		if err := s.take(line); err != nil {
			return fmt.Errorf("read a dump: line %d: %w", s.line, err)
		}
	}
}

var (
	errCut  = errors.New("the dump ends in the middle of a statement")
	errLong = fmt.Errorf("a statement is longer than %d bytes", maxStatement)
	newline = []byte("\n")
)

func (s *scanner) finish() error {
	if s.rows != nil || len(bytes.TrimSpace(s.partial)) > 0 {
		return fmt.Errorf("read a dump: line %d: %w", s.line, errCut)
	}
	return nil
}

// take takes a line, or the start of one that is longer than the buffer.
func (s *scanner) take(line []byte) error {
	switch {
	case s.rows != nil:
		return s.takeRow(s.rows, line)
	case len(s.partial) == 0 &&
		(bytes.HasPrefix(line, []byte("INSERT ")) || bytes.HasPrefix(line, []byte("REPLACE "))):
		return s.takeInsert(line)
	}
	s.head = s.head[:0]
	line, err := s.wholeLine(line)
	if err != nil {
		return err
	}
	if len(s.partial) > 0 {
		return s.takeStatement(line)
	}
	return s.takeFirst(line)
}

// takeFirst takes the first line of what is no INSERT.
func (s *scanner) takeFirst(line []byte) error {
	trimmed := bytes.TrimSpace(line)
	switch {
	case len(trimmed) == 0:
		return nil
	case bytes.HasPrefix(trimmed, []byte("--")):
		return s.to.section(trimmed)
	case isSandbox(trimmed):
		return nil
	case bytes.HasPrefix(trimmed, []byte("DELIMITER ")):
		s.splitter.delimiter = bytes.Clone(bytes.TrimSpace(trimmed[len("DELIMITER "):]))
		if len(s.splitter.delimiter) == 0 {
			return errors.New("a DELIMITER without one")
		}
		return nil
	}
	return s.takeStatement(line)
}

// isSandbox recognizes the line that newer MariaDB dumps begin with, a
// command to the client that older clients take for a comment without an end.
func isSandbox(line []byte) bool {
	return bytes.HasPrefix(line, []byte(`/*!999999\-`)) || bytes.HasPrefix(line, []byte(`/*M!999999\-`))
}

// wholeLine returns the whole of a line that begins with part.
func (s *scanner) wholeLine(part []byte) ([]byte, error) {
	if bytes.HasSuffix(part, newline) {
		return part, nil
	}
	line := bytes.Clone(part)
	for len(line) < maxStatement {
		part, err := s.in.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, ignoreEOF(err)
		}
	}
	return nil, errLong
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// takeStatement takes a line of a statement, or of several.
func (s *scanner) takeStatement(line []byte) error {
	s.splitter.verbatim = s.session.verbatim()
	for {
		n := s.splitter.end(line)
		if n < 0 {
			break
		}
		s.partial = append(s.partial, line[:n]...)
		line = line[n+len(s.splitter.delimiter):]
		if err := s.complete(); err != nil {
			return err
		}
	}
	if len(s.partial) > 0 || len(bytes.TrimSpace(line)) > 0 {
		s.partial = append(s.partial, line...)
	}
	if len(s.partial) > maxStatement {
		return errLong
	}
	return nil
}

// complete passes on the statement that is complete.
func (s *scanner) complete() error {
	text := bytes.TrimSpace(s.partial)
	s.partial = s.partial[:0]
	if len(text) == 0 {
		return nil
	}
	st := parse(text)
	if st.kind == kindSet {
		s.session.set(text)
		return nil
	}
	return s.to.statement(st, s.session)
}

// takeInsert takes the line of an INSERT.
func (s *scanner) takeInsert(line []byte) error {
	if len(s.head) > 0 && bytes.HasPrefix(line, s.head) {
		return s.takeRow(s.headRows, line[len(s.head):])
	}
	head, body, err := parseInsert(line)
	if err != nil {
		return err
	}
	rows, err := s.to.insert(head.table, head.columns)
	if err != nil {
		return err
	}
	body = bytes.TrimLeft(body, " ")
	if len(bytes.TrimSpace(body)) == 0 { // the rows follow, a line each
		s.rows = rows
		return nil
	}
	s.head, s.headRows = append(s.head[:0], line[:len(line)-len(body)]...), rows
	return s.takeRow(rows, body)
}

type insertHead struct {
	table   string
	columns []byte // with their parentheses; nil for all
}

// parseInsert cuts an INSERT before the parenthesis that its row begins with.
func parseInsert(line []byte) (head insertHead, body []byte, err error) {
	s := &tokens{line}
	t := s.next()
	for t.quote == 0 && t.text != "" && !t.is("INTO") {
		t = s.next()
	}
	head.table = s.next().text
	s.skip()
	if start := s.rest; len(start) > 0 && start[0] == '(' {
		for t = s.next(); t.text != "" && !t.is(")"); {
			t = s.next()
		}
		head.columns = start[:len(start)-len(s.rest)]
	}
	if head.table == "" || !s.next().is("VALUES") {
		return head, nil, errors.New("an INSERT is in none of the forms that dumps have")
	}
	return head, s.rest, nil
}

// takeRow takes the rest of a line from a row's parenthesis on: "(…);", or
// "(…)," where the next line goes on. The part that ends a row is held back
// until it is known to be the end of the line.
func (s *scanner) takeRow(rows io.Writer, part []byte) error {
	if len(part) == 0 || part[0] != '(' {
		return errors.New("a row does not begin with a parenthesis")
	}
	part = part[1:]
	if !bytes.HasSuffix(part, newline) {
		var err error
		if part, err = s.longRow(rows, part); err != nil {
			return err
		}
	}
	switch {
	case bytes.HasSuffix(part, []byte(");\n")):
		s.rows = nil
	case bytes.HasSuffix(part, []byte("),\n")) && s.rows != nil:
	default:
		return errors.New("a row does not end with its line")
	}
	part[len(part)-3] = '\n'
	_, err := rows.Write(part[:len(part)-2])
	return err
}

// longRow passes on a row that is longer than the buffer, but for the end of
// the line, which it returns.
func (s *scanner) longRow(rows io.Writer, part []byte) ([]byte, error) {
	var end []byte
	for {
		end = append(end, part...)
		if bytes.HasSuffix(end, newline) {
			return end, nil
		}
		keep := max(0, len(end)-2)
		if _, err := rows.Write(end[:keep]); err != nil {
			return nil, err
		}
		end = append(end[:0], end[keep:]...)
		var err error
		part, err = s.in.ReadSlice('\n')
		if len(part) == 0 {
			return nil, errors.Join(errCut, ignoreEOF(err))
		}
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
}
