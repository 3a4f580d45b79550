package progress

import "time"

// A Clock is where a meter gets the time. Nil functions mean the system's.
type Clock struct {
	// Now returns the current time.
	Now func() time.Time
	// Tick returns a channel that receives at every interval until release is
	// called.
	Tick func(interval time.Duration) (ticks <-chan time.Time, release func())
}

func (c Clock) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c Clock) tick(interval time.Duration) (<-chan time.Time, func()) {
	if c.Tick == nil {
		t := time.NewTicker(interval)
		return t.C, t.Stop
	}
	return c.Tick(interval)
}
