package manifest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// WriteTo writes m as Duplicity does, but for the list of changed files. The
// volumes have to be in ascending order. A hostname that is not UTF-8, which
// Duplicity could not read, is written with the offending bytes replaced.
// The count is of bytes that reached w.
func (m *Manifest) WriteTo(w io.Writer) (int64, error) {
	if err := m.checkWritable(); err != nil {
		return 0, fmt.Errorf("write manifest: %w", err)
	}
	counter := &countWriter{w: w}
	b := bufio.NewWriter(counter)
	// A bufio.Writer keeps its first error for Flush.
	if m.Hostname != "" {
		fmt.Fprintf(b, "Hostname %s\n", quote(validUTF8(m.Hostname)))
	}
	if m.Localdir != "" {
		fmt.Fprintf(b, "Localdir %s\n", quote(m.Localdir))
	}
	for i := range m.Volumes {
		m.Volumes[i].write(b)
	}
	if err := b.Flush(); err != nil {
		return counter.n, fmt.Errorf("write manifest: %w", err)
	}
	return counter.n, nil
}

func (v *Volume) write(b *bufio.Writer) {
	fmt.Fprintf(b, "Volume %d:\n", v.Number)
	fmt.Fprintf(b, "    StartingPath   %s\n", v.Start)
	fmt.Fprintf(b, "    EndingPath     %s\n", v.End)
	for _, h := range v.Hashes {
		fmt.Fprintf(b, "    Hash %s %s\n", h.Type, h.Hex)
	}
}

// String returns the position in a manifest's spelling. A blank piece is a
// space.
func (p Position) String() string {
	path, piece := ".", " "
	if p.Path != "" {
		path = quote(p.Path)
	}
	if p.Piece > 0 {
		piece = strconv.Itoa(p.Piece)
	}
	return path + " " + piece
}

// maxWord leaves room in a line for what stands around a path.
const maxWord = MaxLine - 64

// checkWritable finds what Read would not give back.
func (m *Manifest) checkWritable() error {
	if len(m.Volumes) > MaxVolumes {
		return fmt.Errorf("more than %d volumes", MaxVolumes)
	}
	for _, s := range []string{m.Hostname, m.Localdir} {
		if len(quote(s)) > maxWord {
			return fmt.Errorf("%.80q… is too long for a line", s)
		}
	}
	last := 0
	for i := range m.Volumes {
		v := &m.Volumes[i]
		if v.Number <= last {
			return fmt.Errorf("volume %d follows volume %d", v.Number, last)
		}
		last = v.Number
		if err := v.checkWritable(); err != nil {
			return fmt.Errorf("volume %d: %w", v.Number, err)
		}
	}
	return nil
}

func (v *Volume) checkWritable() error {
	if v.Number > math.MaxInt32 {
		return errors.New("number is beyond 31 bits")
	}
	for _, p := range []Position{v.Start, v.End} {
		switch {
		case len(quote(p.Path)) > maxWord:
			return fmt.Errorf("path %.80q… is too long for a line", p.Path)
		case p.Path == ".":
			return errors.New(`path "." would be read as the root`)
		case p.Piece < 0 || p.Piece > math.MaxInt32:
			return fmt.Errorf("bad piece number %d", p.Piece)
		}
	}
	for _, h := range v.Hashes {
		if !isWord(h.Type) || !isWord(h.Hex) {
			return fmt.Errorf("hash %q %q is not two words", h.Type, h.Hex)
		}
	}
	if len(v.Hashes) > maxHashes {
		return errors.New("too many hashes")
	}
	return nil
}

func isWord(s string) bool {
	return s != "" && strings.IndexFunc(s, isSpace) < 0
}

func validUTF8(s string) string {
	return strings.ToValidUTF8(s, "\uFFFD")
}

// A countWriter counts the bytes that w takes.
type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
