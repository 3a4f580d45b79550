package command

import "bytes"

// The end of a program's standard error that goes into an error message.
const (
	tailBytes = 2 << 10
	tailLines = 5
)

// A tail keeps the end of what is written to it.
type tail struct {
	kept []byte
}

// Write implements io.Writer and never fails.
func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	p = p[max(0, n-tailBytes):]
	t.kept = append(t.kept[max(0, len(t.kept)+len(p)-tailBytes):], p...)
	return n, nil
}

// bytes returns the last lines, without the newline at the end.
func (t *tail) bytes() []byte {
	text := bytes.TrimSpace(t.kept)
	start := len(text)
	for range tailLines {
		if start = bytes.LastIndexByte(text[:start], '\n'); start < 0 {
			return text
		}
	}
	return text[start+1:]
}
