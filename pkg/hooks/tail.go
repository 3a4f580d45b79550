package hooks

import (
	"bytes"
	"io"
)

// The end of a hook's output that goes into an error message.
const (
	tailBytes = 2 << 10
	tailLines = 5
)

// A tail passes on what is written to it and keeps the end.
type tail struct {
	w    io.Writer // nil to keep the end only
	kept []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	last := p[max(0, len(p)-tailBytes):]
	t.kept = append(t.kept[max(0, len(t.kept)+len(last)-tailBytes):], last...)
	if t.w == nil {
		return len(p), nil
	}
	return t.w.Write(p)
}

// String returns the last lines, without the newline at the end.
func (t *tail) String() string {
	text := bytes.TrimSpace(t.kept)
	start := len(text)
	for range tailLines {
		if start = bytes.LastIndexByte(text[:start], '\n'); start < 0 {
			return string(text)
		}
	}
	return string(text[start+1:])
}
