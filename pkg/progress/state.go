package progress

import "time"

// A State is what a meter had counted at one time. All but Retries and
// Warnings belong to the current phase.
type State struct {
	Phase   string
	Time    time.Time
	Elapsed time.Duration // since the phase began

	Bytes  int64 // done
	Files  int64 // done
	Stored int64 // bytes as stored, compressed and encrypted
	Total  Total
	Path   string // the file in work, as the file system has it: hostile

	Retries  int64
	Warnings int64

	Rate float64       // bytes per second over the last seconds; over the whole phase once it ended
	Left time.Duration // whole seconds; 0 when it cannot be told
}

// A Total says how much there is to do. Zero means not known.
type Total struct {
	Bytes     int64
	Files     int64
	Estimated bool // the figures are a guess
}

// Fraction returns how much of the phase is done, from 0 to 1, by bytes if
// their total is known, else by files. It reports false when neither is.
func (s State) Fraction() (float64, bool) {
	done, total := s.measure()
	if total <= 0 {
		return 0, false
	}
	return min(max(float64(done)/float64(total), 0), 1), true
}

// measure returns the counter that tells how far the phase is, and its total.
func (s State) measure() (done, total int64) {
	if s.Total.Bytes > 0 {
		return s.Bytes, s.Total.Bytes
	}
	return s.Files, s.Total.Files
}

// A Moment says where in its phase a state was taken.
type Moment uint8

// A phase begins once, runs for any number of states, and ends once.
const (
	Began Moment = iota
	Running
	Ended
)

// A Kind says what a message is.
type Kind uint8

// The kinds of message.
const (
	Notice Kind = iota
	Warning
)

// A Message is one line of text for the user.
type Message struct {
	Kind Kind
	Text string // may hold control characters: the renderer escapes them
	Time time.Time
}
