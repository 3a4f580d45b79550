package progress

import (
	"math"
	"testing"
	"time"
)

func TestRateIsRightFromTheStart(t *testing.T) {
	st := newStage(&recorder{})
	st.Phase("x")
	for range 30 {
		st.work(time.Second, 1000, 0)
		if r := st.State().Rate; math.Abs(r-1000) > 1e-6 {
			t.Fatalf("after %v at an even pace: rate %v, want 1000", st.State().Elapsed, r)
		}
	}
}

func TestRateFollowsSmoothly(t *testing.T) {
	st := newStage(&recorder{})
	st.Phase("x")
	st.work(60*time.Second, 1000, 0)
	st.work(smoothing, 0, 0)
	if r := st.State().Rate; math.Abs(r-1000/math.E) > 20 {
		t.Errorf("rate %v a time constant after a stop, want about 368", r)
	}
	st.work(60*time.Second, 0, 0)
	if r := st.State().Rate; r > 1 {
		t.Errorf("rate %v a minute after a stop", r)
	}
}

func TestRateDoesNotDependOnTheInterval(t *testing.T) {
	rate := func(step time.Duration) float64 {
		st := newStage(&recorder{})
		st.Phase("x")
		for st.State().Elapsed < 10*time.Second {
			st.AddBytes(int64(1000 * step / time.Second))
			st.pass(step)
		}
		st.pass(10 * time.Second)
		return st.State().Rate
	}
	if slow, fast := rate(5*time.Second), rate(time.Second); math.Abs(slow-fast) > 1e-6 {
		t.Errorf("rates %v and %v", slow, fast)
	}
}

func TestTimeLeft(t *testing.T) {
	st := newStage(&recorder{})
	st.Phase("x")
	st.SetTotal(Total{Bytes: 100_000})
	st.work(time.Second, 1000, 0)
	if left := st.State().Left; left != 0 {
		t.Errorf("%v left told after a second", left)
	}
	for want := 98 * time.Second; want > 0; want -= time.Second {
		st.work(time.Second, 1000, 0)
		if left := st.State().Left; left != want {
			t.Fatalf("%v left, want %v", left, want)
		}
	}
	st.work(time.Second, 1000, 0)
	if left := st.State().Left; left != 0 {
		t.Errorf("%v left when all is done", left)
	}
}

// TestTimeLeftIsStable wobbles the pace by a tenth: the figure must go down by
// the second all the same.
func TestTimeLeftIsStable(t *testing.T) {
	st := newStage(&recorder{})
	st.Phase("x")
	st.SetTotal(Total{Bytes: 1_000_000})
	st.work(20*time.Second, 1000, 0)
	before := st.State().Left
	for i := range 300 {
		st.work(time.Second, 900+int64(i%2)*200, 0)
		if left := st.State().Left; left != before-time.Second {
			t.Fatalf("second %d: %v left after %v", i, left, before)
		}
		before -= time.Second
	}
}

func TestTimeLeftFollowsRealChange(t *testing.T) {
	st := newStage(&recorder{})
	st.Phase("x")
	st.SetTotal(Total{Bytes: 1_000_000})
	st.work(100*time.Second, 1000, 0)
	st.work(60*time.Second, 100, 0)
	if left := st.State().Left; left < 8000*time.Second || left > 10000*time.Second {
		t.Errorf("%v left at a tenth of the pace, want about 8940 s", left)
	}
	st.work(10*time.Minute, 0, 0)
	if left := st.State().Left; left != 0 {
		t.Errorf("%v left told of a phase that stands still", left)
	}
}

func TestTimeLeftByFiles(t *testing.T) {
	st := newStage(&recorder{})
	st.Phase("x")
	st.SetTotal(Total{Files: 100})
	st.work(10*time.Second, 999, 1)
	if left := st.State().Left; left != 90*time.Second {
		t.Errorf("%v left, want 90 s", left)
	}
	st.SetTotal(Total{Bytes: 19980, Files: 100}) // from now on bytes decide
	st.pass(0)
	if left := st.State().Left; left != 10*time.Second {
		t.Errorf("%v left, want 10 s", left)
	}
}

func TestClockSteppingBack(t *testing.T) {
	st := newStage(&recorder{})
	st.Phase("x")
	st.SetTotal(Total{Bytes: 1000})
	st.work(5*time.Second, 10, 1)
	st.AddBytes(10)
	st.pass(-time.Hour)
	if s := st.State(); s.Rate != 0 || s.Left != 0 {
		t.Errorf("state %+v", s)
	}
}
