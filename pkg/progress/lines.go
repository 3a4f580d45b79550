package progress

import (
	"bytes"
	"io"
	"sync"
)

// longestLine is how much of an unfinished line Lines holds back.
const longestLine = 64 << 10

// Lines returns a writer that passes whole lines on to w with the status line
// out of the way, for other output on the same terminal: results on standard
// output, the output of a hook. It changes no byte. An unfinished line is held
// back until the rest of it comes, it grows past 64 KiB, or Close is called;
// Close leaves w open. The writer works, whatever the renderer and after Stop.
func (m *Meter) Lines(w io.Writer) io.WriteCloser {
	return &lineWriter{meter: m, w: w}
}

type lineWriter struct {
	meter *Meter
	w     io.Writer

	mu   sync.Mutex
	held []byte
	err  error // of w: what was held back then is lost
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	l.held = append(l.held, p...)
	end := bytes.LastIndexByte(l.held, '\n') + 1
	if end == 0 && len(l.held) > longestLine {
		end = len(l.held)
	}
	if err := l.pass(end); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (l *lineWriter) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	return l.pass(len(l.held))
}

// pass writes the first n bytes held. The caller holds mu.
func (l *lineWriter) pass(n int) error {
	if n == 0 {
		return nil
	}
	l.meter.mu.Lock()
	defer l.meter.mu.Unlock()
	l.meter.clear()
	_, l.err = l.w.Write(l.held[:n])
	l.held = append(l.held[:0], l.held[n:]...)
	return l.err
}
