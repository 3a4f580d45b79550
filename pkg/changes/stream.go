package changes

import (
	"bufio"
	"fmt"
	"io"

	"tklbam/pkg/dirindex"
	"tklbam/pkg/limits"
)

// A Reader reads a delta, in whatever order it is.
type Reader struct {
	lines  *dirindex.Lines
	filter *limits.Paths
}

// NewReader returns a reader of those changes in the delta r that the filter
// lets through, or of all if it is nil.
func NewReader(r io.Reader, filter *limits.Paths) *Reader {
	return &Reader{dirindex.NewLines(r), filter}
}

// Next returns the next change, and io.EOF after the last. Errors name the
// line. After one about a single line, a *LineError, reading can go on.
func (r *Reader) Next() (Change, error) {
	for {
		line, err := r.lines.Next()
		if err != nil {
			return Change{}, err
		}
		c, err := Parse(line)
		if err != nil {
			return Change{}, &LineError{r.lines.Number(), err}
		}
		if r.filter == nil || r.filter.Match(c.Path) {
			return c, nil
		}
	}
}

// A LineError is about a line of a delta that is no change.
type LineError struct {
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns what is wrong with the line.
func (e *LineError) Unwrap() error { return e.Err }

// A Writer writes a delta and the list of the paths in it whose content goes
// into the volumes, in the order they come. Errors stick.
type Writer struct {
	delta, list *bufio.Writer
	err         error
}

// NewWriter returns a writer of a delta and a list, the files fsdelta and
// fsdelta-olist of a backup.
func NewWriter(delta, list io.Writer) *Writer {
	return &Writer{delta: bufio.NewWriter(delta), list: bufio.NewWriter(list)}
}

// Write writes a change.
func (w *Writer) Write(c Change) error {
	w.line(w.delta, c.String())
	if c.Op == Overwrite {
		w.line(w.list, dirindex.FormatPath(c.Path))
	}
	return w.err
}

func (w *Writer) line(to *bufio.Writer, text string) {
	if w.err != nil {
		return
	}
	if _, w.err = to.WriteString(text); w.err == nil {
		w.err = to.WriteByte('\n')
	}
}

// Flush writes what is buffered.
func (w *Writer) Flush() error {
	for _, to := range []*bufio.Writer{w.delta, w.list} {
		if w.err == nil {
			w.err = to.Flush()
		}
	}
	return w.err
}
