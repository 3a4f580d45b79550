package progress

import (
	"fmt"
	"io"
	"time"
)

// A Renderer shows what a meter has to tell. The meter calls it from one
// goroutine at a time, and no more after it returned an error.
type Renderer interface {
	// Interval is how often Progress wants to see a Running state; 0 is never.
	Interval() time.Duration
	// Progress shows the figures, or leaves it when nothing is due.
	Progress(Moment, State) error
	// Message shows one message at once, as one line.
	Message(Message) error
	// Clear leaves the output at the start of an empty line, so that others
	// can write there.
	Clear() error
}

// Quiet returns the renderer that prints nothing, neither progress nor messages.
func Quiet() Renderer { return quiet{} }

type quiet struct{}

func (quiet) Interval() time.Duration      { return 0 }
func (quiet) Progress(Moment, State) error { return nil }
func (quiet) Message(Message) error        { return nil }
func (quiet) Clear() error                 { return nil }

// writeAll puts text out in a single call, so that nothing comes between an
// erasure and what replaces it.
func writeAll(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("write progress: %w", err)
	}
	return nil
}
