package mysqlfs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// insertRows writes INSERT statements with the rows that r has, one a line. A
// statement is at most limit bytes long, unless it is that of a single row;
// with a limit of 0, each row has a statement of its own. It returns how many
// statements it wrote. A row that is longer than a statement may be is passed
// on in parts, none is held as a whole.
func insertRows(w *bufio.Writer, r io.Reader, prefix string, limit int) (int, error) {
	in := bufio.NewReaderSize(r, max(limit, rowsBuffer))
	c := chunk{w: w, prefix: prefix, limit: limit}
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			c.start()
			err = c.long(in, line)
			line = nil
		}
		if err != nil && err != io.EOF {
			return c.statements, fmt.Errorf("read rows: %w", err)
		}
		if row := bytes.TrimSuffix(line, newline); len(row) > 0 {
			c.add(row)
		}
		if err == io.EOF {
			return c.statements, c.end()
		}
	}
}

// A chunk is an INSERT statement that is written. Errors of the writer stick
// to it.
type chunk struct {
	w          *bufio.Writer
	prefix     string
	limit      int
	used       int // bytes of the current statement, 0 between statements
	statements int
}

// add writes a row, in a statement of its own if it does not fit the current
// one.
func (c *chunk) add(row []byte) {
	need := len(row) + len("(),\n")
	if c.used == 0 || c.used+need > c.limit {
		c.start()
	} else {
		c.w.WriteString(",\n")
	}
	c.w.WriteByte('(')
	c.w.Write(row)
	c.w.WriteByte(')')
	c.used += need
}

// start ends the current statement and begins the next.
func (c *chunk) start() {
	c.finish()
	c.w.WriteString(c.prefix)
	if c.limit > 0 {
		c.w.WriteByte('\n')
	}
	c.used = len(c.prefix) + 1
	c.statements++
}

func (c *chunk) finish() {
	if c.used > 0 {
		c.w.WriteString(";\n")
	}
	c.used = 0
}

// long writes a row of which part is the start, the rest being in. Nothing
// fits behind it.
func (c *chunk) long(in *bufio.Reader, part []byte) error {
	c.w.WriteByte('(')
	for {
		row := bytes.TrimSuffix(part, newline)
		c.w.Write(row)
		if len(row) < len(part) {
			break
		}
		var err error
		part, err = in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if err != io.EOF {
				return err
			}
			c.w.Write(part)
			break
		}
	}
	c.w.WriteByte(')')
	c.finish()
	return nil
}

// end ends the last statement.
func (c *chunk) end() error {
	c.finish()
	_, err := c.w.Write(nil)
	return err
}
