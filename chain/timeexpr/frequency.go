package timeexpr

import (
	"fmt"
	"strings"
)

// A Frequency says how old a full backup may get before the next one is due.
// The zero value is "now": always. Frequencies are comparable with ==.
type Frequency struct {
	text    string // as given; "" for now
	seconds int64
}

const now = "now"

// ParseFrequency reads "now" or an interval in minutes and above: "1M",
// "12h", and sums like "1W12h".
func ParseFrequency(s string) (Frequency, error) {
	if s == now {
		return Frequency{}, nil
	}
	seconds, err := parseInterval(s)
	if err != nil || strings.Contains(s, "s") {
		return Frequency{}, fmt.Errorf(
			`parse frequency %q: want "now" or a number with one of m, h, D, W, M, Y`, s)
	}
	return Frequency{text: s, seconds: seconds}, nil
}

// String returns what ParseFrequency was given.
func (f Frequency) String() string {
	if f.Now() {
		return now
	}
	return f.text
}

// Now reports whether every backup is to be a full one.
func (f Frequency) Now() bool { return f.text == "" }

// Seconds returns the length of the interval, 0 for "now".
func (f Frequency) Seconds() int64 { return f.seconds }
