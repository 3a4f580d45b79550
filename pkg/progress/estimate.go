package progress

import (
	"math"
	"time"
)

const (
	// smoothing is the time constant of the rates: what happened this long
	// ago weighs a third of what happens now.
	smoothing = 8 * time.Second
	// settling is how long a phase runs before its rate says anything about
	// its end.
	settling = 2 * time.Second
	// horizon is the longest time left worth telling.
	horizon = 30 * 24 * time.Hour
)

// An estimator follows one phase and tells its rate and the time left.
type estimator struct {
	last  time.Time // of the latest observation; the phase's start at first
	bytes average
	files average

	deadline time.Time // when the phase was last thought to end; zero if unknown

	rate float64
	left time.Duration
}

// observe takes in a state of the phase later than those before.
func (e *estimator) observe(s State) {
	if dt := s.Time.Sub(e.last); dt > 0 {
		e.bytes.add(s.Bytes, dt)
		e.files.add(s.Files, dt)
		e.last = s.Time
	}
	e.rate = e.bytes.rate(s.Elapsed)
	e.left = e.remaining(s)
}

// finish takes in the last state of the phase: its rate is that of the whole.
func (e *estimator) finish(s State) {
	e.rate, e.left = 0, 0
	if s.Elapsed > 0 {
		e.rate = float64(s.Bytes) / s.Elapsed.Seconds()
	}
}

// remaining returns the time to the deadline, which stays where it is while
// new estimates agree with it within a tenth: the figure on the screen then
// counts down instead of jumping about.
func (e *estimator) remaining(s State) time.Duration {
	estimate, ok := e.extrapolate(s)
	if !ok {
		e.deadline = time.Time{}
		return 0
	}
	fresh := s.Time.Add(estimate)
	if e.deadline.IsZero() || fresh.Sub(e.deadline).Abs() > max(estimate/10, time.Second) {
		e.deadline = fresh
	}
	return max(roundUp(e.deadline.Sub(s.Time)), time.Second)
}

func (e *estimator) extrapolate(s State) (time.Duration, bool) {
	done, total := s.measure()
	rate := e.files.rate(s.Elapsed)
	if s.Total.Bytes > 0 {
		rate = e.bytes.rate(s.Elapsed)
	}
	if total <= 0 || done >= total || rate <= 0 || s.Elapsed < settling {
		return 0, false
	}
	seconds := float64(total-done) / rate
	if seconds > horizon.Seconds() {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

func roundUp(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// An average is the exponentially smoothed rate of a counter that began at 0.
type average struct {
	count  int64
	smooth float64 // per second; too low at first: see rate
}

// add takes in the counter's value dt after the one before.
func (a *average) add(count int64, dt time.Duration) {
	now := float64(count-a.count) / dt.Seconds()
	a.smooth += weight(dt) * (now - a.smooth)
	a.count = count
}

// rate returns the average over a history of the given length. The smoothed
// value rises from zero as if nothing had happened before; dividing by the
// weight of the real history takes that out again.
func (a *average) rate(history time.Duration) float64 {
	if history <= 0 {
		return 0
	}
	return max(a.smooth/weight(history), 0)
}

// weight is the share of the latest dt in a smoothed value.
func weight(dt time.Duration) float64 {
	return -math.Expm1(-dt.Seconds() / smoothing.Seconds())
}
