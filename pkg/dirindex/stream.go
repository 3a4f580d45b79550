package dirindex

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxLine bounds a line: room for the longest path and target with every byte
// escaped.
const maxLine = 4 * MaxPath

// Lines reads a text with one record a line, such as an index. A line may hold
// any byte but the newline, also a carriage return at its end.
type Lines struct {
	scanner *bufio.Scanner
	number  int
}

// NewLines returns a reader of the lines of r.
func NewLines(r io.Reader) *Lines {
	l := &Lines{scanner: bufio.NewScanner(r)}
	l.scanner.Buffer(make([]byte, 32<<10), maxLine)
	l.scanner.Split(splitLine)
	return l
}

// splitLine is bufio.ScanLines, but leaves a carriage return in place.
func splitLine(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// Next returns the next line that is not only white space, without its
// newline, and io.EOF after the last. Errors are final and name the line.
func (l *Lines) Next() (string, error) {
	for l.scanner.Scan() {
		l.number++
		if line := l.scanner.Text(); strings.Trim(line, " \t\r\v\f") != "" {
			return line, nil
		}
	}
	if err := l.scanner.Err(); err != nil {
		return "", fmt.Errorf("line %d: %w", l.number+1, err)
	}
	return "", io.EOF
}

// Number returns the number of the line that Next returned, from 1.
func (l *Lines) Number() int { return l.number }

// A Reader reads an index.
type Reader struct {
	lines *Lines
	order order
	err   error
}

// NewReader returns a reader of the index in r.
func NewReader(r io.Reader) *Reader { return &Reader{lines: NewLines(r)} }

// Next returns the next record, and io.EOF after the last. Errors are final
// and name the line. Records out of order are an error: a merge of such an
// index would take for deleted what is not.
func (r *Reader) Next() (Record, error) {
	if r.err != nil {
		return Record{}, r.err
	}
	rec, err := r.next()
	r.err = err
	return rec, err
}

func (r *Reader) next() (Record, error) {
	line, err := r.lines.Next()
	if err != nil {
		return Record{}, err
	}
	rec, err := Parse(line)
	if err == nil {
		err = r.order.next(rec.Path)
	}
	if err != nil {
		return Record{}, fmt.Errorf("line %d: %w", r.lines.Number(), err)
	}
	return rec, nil
}

// A Writer writes an index. Errors stick.
type Writer struct {
	w     *bufio.Writer
	line  []byte
	order order
	err   error
}

// NewWriter returns a writer of an index to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: bufio.NewWriterSize(w, 32<<10)} }

// Write writes a record. Its path must come after the last one's and be such
// that Parse takes it.
func (w *Writer) Write(r Record) error {
	if w.err == nil {
		w.err = w.write(&r)
	}
	return w.err
}

func (w *Writer) write(r *Record) error {
	if err := checkPath(r.Path); err != nil {
		return err
	}
	if len(r.Target) > MaxPath || strings.IndexByte(r.Target, 0) >= 0 {
		return fmt.Errorf("symlink %q has a target that no file system holds", clip(r.Path))
	}
	if err := w.order.next(r.Path); err != nil {
		return err
	}
	w.line = append(r.Append(w.line[:0]), '\n')
	_, err := w.w.Write(w.line)
	return err
}

// Flush writes what is buffered.
func (w *Writer) Flush() error {
	if w.err == nil {
		w.err = w.w.Flush()
	}
	return w.err
}

// An order checks that paths come sorted, each once.
type order struct{ last string }

var errOrder = errors.New("out of order")

func (o *order) next(path string) error {
	if path <= o.last {
		return fmt.Errorf("path %q after %q: %w", clip(path), clip(o.last), errOrder)
	}
	o.last = path
	return nil
}
