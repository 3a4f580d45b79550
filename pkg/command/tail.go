package command

import (
	"bytes"
	"io"
)

// The end of a program's output that goes into an error message.
const (
	tailBytes = 2 << 10
	tailLines = 5
)

// A Tail passes on what is written to it, to W if that is not nil, and keeps
// the end.
type Tail struct {
	W    io.Writer
	kept []byte
}

// Write implements io.Writer.
func (t *Tail) Write(p []byte) (int, error) {
	last := p[max(0, len(p)-tailBytes):]
	t.kept = append(t.kept[max(0, len(t.kept)+len(last)-tailBytes):], last...)
	if t.W == nil {
		return len(p), nil
	}
	return t.W.Write(p)
}

// String returns the last lines, without the newline at the end.
func (t *Tail) String() string {
	text := bytes.TrimSpace(t.kept)
	start := len(text)
	for range tailLines {
		if start = bytes.LastIndexByte(text[:start], '\n'); start < 0 {
			return string(text)
		}
	}
	return string(text[start+1:])
}
