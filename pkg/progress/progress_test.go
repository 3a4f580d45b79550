package progress

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// start is a moment with milliseconds, in a zone that is not UTC.
var start = time.Date(2026, 3, 1, 13, 0, 0, 250e6, time.FixedZone("", 3600))

// A stage is a meter on a clock that only the test moves.
type stage struct {
	*Meter
	now time.Time
}

func newStage(r Renderer) *stage {
	st := &stage{now: start}
	st.Meter = New(r, Clock{Now: func() time.Time { return st.now }})
	return st
}

// pass lets time pass and the renderer's interval come round at its end.
func (st *stage) pass(d time.Duration) {
	st.now = st.now.Add(d)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.render(Running)
}

// work moves bytes and files at an even pace for the given time.
func (st *stage) work(d time.Duration, bytesPerSecond, filesPerSecond int64) {
	for ; d > 0; d -= time.Second {
		st.AddBytes(bytesPerSecond)
		st.AddFiles(filesPerSecond)
		st.pass(time.Second)
	}
}

func equal(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// A recorder notes the calls it gets and fails when told to.
type recorder struct {
	calls []string
	fail  string // the call that fails
}

var errBroken = errors.New("output broken")

func (r *recorder) call(name string) error {
	r.calls = append(r.calls, name)
	if name == r.fail {
		return errBroken
	}
	return nil
}

func (r *recorder) Interval() time.Duration { return time.Second }
func (r *recorder) Progress(at Moment, s State) error {
	return r.call([]string{"began ", "running ", "ended "}[at] + s.Phase)
}
func (r *recorder) Message(m Message) error { return r.call("message " + m.Text) }
func (r *recorder) Clear() error            { return r.call("clear") }

func (r *recorder) String() string { return strings.Join(r.calls, "\n") }

// A lockedBuilder is an output that may be read while a meter writes to it.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
