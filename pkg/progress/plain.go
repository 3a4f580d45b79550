package progress

import (
	"io"
	"time"
)

// Plain returns a renderer for logs and other places that are no terminal: a
// line when a phase begins, one with its figures after 10 s, 30 s, 1 min and
// then every minute, and one when it ends unless the figures were just told.
// There are no control characters but the newline.
func Plain(w io.Writer) Renderer {
	return &plain{w: w}
}

type plain struct {
	w    io.Writer
	due  time.Duration // into the phase: when the next line is
	told State         // the latest line's
}

func (p *plain) Interval() time.Duration { return time.Second }

func (p *plain) Progress(at Moment, s State) error {
	switch {
	case at == Began:
		p.due = nextMark(0)
		p.told = State{}
		return writeAll(p.w, printable(s.Phase)+"\n")
	case at == Running && s.Elapsed < p.due:
		return nil
	case at == Ended && sameFigures(s, p.told):
		return nil
	}
	p.due = nextMark(s.Elapsed)
	p.told = s
	return writeAll(p.w, logLine(s)+"\n")
}

func (p *plain) Message(m Message) error {
	text := printable(m.Text) + "\n"
	if m.Kind == Warning {
		text = "warning: " + text
	}
	return writeAll(p.w, text)
}

func (p *plain) Clear() error { return nil }

// logLine tells all there is, with the full path: a log that stops is read to
// find out where.
func logLine(s State) string {
	line := ""
	for _, f := range fields(s) {
		line += f.text + gap
	}
	line += "after " + Duration(s.Elapsed)
	if s.Path != "" {
		line += gap + Escape(s.Path)
	}
	return line
}

func sameFigures(a, b State) bool {
	return a.Bytes == b.Bytes && a.Files == b.Files && a.Stored == b.Stored
}

// nextMark returns when, after the given time in a phase, a line is due.
func nextMark(elapsed time.Duration) time.Duration {
	for _, mark := range []time.Duration{10 * time.Second, 30 * time.Second} {
		if elapsed < mark {
			return mark
		}
	}
	return elapsed.Truncate(time.Minute) + time.Minute
}
