package progress

import (
	"io"
	"time"
)

const (
	// eraseLine returns to the first column and erases to the end of the line.
	eraseLine = "\r\x1b[K"
	// pathRoom is the least number of columns worth giving to a path.
	pathRoom = 12
	// anyWidth stands in for a width that is not known.
	anyWidth = 80
)

// Terminal returns a renderer that keeps one status line up to date at the
// bottom of a terminal, five times a second, with messages scrolling by above.
// Stop removes the line. The function width is asked for the terminal's
// columns each time, so that the line follows a change of size; 0 means 80.
// Colour is the caller's decision; the other escape sequences are always used.
func Terminal(w io.Writer, width func() int, colour bool) Renderer {
	return &terminal{w: w, width: width, colour: colour}
}

type terminal struct {
	w      io.Writer
	width  func() int
	colour bool

	shown bool  // the status line stands on the screen
	last  State // what it shows
}

func (t *terminal) Interval() time.Duration { return 200 * time.Millisecond }

func (t *terminal) Progress(at Moment, s State) error {
	if at != Running {
		return nil // phases may follow each other faster than the eye
	}
	t.shown, t.last = true, s
	return writeAll(t.w, eraseLine+t.line(s))
}

func (t *terminal) Message(m Message) error {
	text := printable(m.Text)
	if m.Kind == Warning {
		text = t.paint(yellow, "warning:") + " " + text
	}
	if !t.shown {
		return writeAll(t.w, text+"\n")
	}
	return writeAll(t.w, eraseLine+text+"\n"+t.line(t.last))
}

func (t *terminal) Clear() error {
	if !t.shown {
		return nil
	}
	t.shown = false
	return writeAll(t.w, eraseLine)
}

// line returns the status line for s. It leaves the last column free: many
// terminals wrap as soon as that is written.
func (t *terminal) line(s State) string {
	room := t.width()
	if room <= 0 {
		room = anyWidth
	}
	room--
	all := fields(s)
	all[0].text = shorten(all[0].text, room)
	chosen, room := fit(all, room)
	text := ""
	for i, f := range chosen {
		if i > 0 {
			text += gap
		}
		text += t.paint(f.style, f.text)
	}
	if room -= len(gap); s.Path != "" && room >= pathRoom {
		text += gap + shorten(Escape(s.Path), room)
	}
	return text
}

func (t *terminal) paint(style, text string) string {
	if !t.colour || style == regular {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[m"
}
