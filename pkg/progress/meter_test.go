package progress

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPhases(t *testing.T) {
	r := &recorder{}
	st := newStage(r)
	st.pass(time.Second) // before any phase: nothing to tell
	st.Notice("hello")
	st.Phase("scanning")
	st.pass(time.Second)
	st.Phase("backing up")
	st.Warn("careful")
	if err := st.Stop(); err != nil {
		t.Fatal(err)
	}
	st.Phase("late")
	st.Warn("late")
	st.pass(time.Second)
	if err := st.Stop(); err != nil {
		t.Fatal(err)
	}
	equal(t, r.String(), `message hello
began scanning
running scanning
ended scanning
began backing up
message careful
ended backing up
clear`)
	if n := st.State().Warnings; n != 2 {
		t.Errorf("%d warnings counted, want 2", n)
	}
}

func TestState(t *testing.T) {
	st := newStage(Quiet())
	st.AddBytes(1000) // before the first phase: not part of it
	st.Phase("backing up")
	st.SetTotal(Total{Bytes: 100, Files: 3, Estimated: true})
	st.AddBytes(40)
	st.AddBytes(2)
	st.AddFiles(2)
	st.AddStored(7)
	st.AddRetry()
	st.SetPath("a\nb")
	st.Warn("w")
	st.now = st.now.Add(2 * time.Second)
	want := State{
		Phase: "backing up", Time: st.now, Elapsed: 2 * time.Second,
		Bytes: 42, Files: 2, Stored: 7, Path: "a\nb",
		Total:   Total{Bytes: 100, Files: 3, Estimated: true},
		Retries: 1, Warnings: 1,
	}
	if got := st.State(); got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	st.Phase("next")
	want = State{Phase: "next", Time: st.now, Retries: 1, Warnings: 1}
	if got := st.State(); got != want {
		t.Errorf("after the next phase began: got %+v\nwant %+v", got, want)
	}
}

func TestZeroMeter(t *testing.T) {
	var m Meter
	m.Start()
	m.AddBytes(1)
	m.Phase("x")
	m.AddBytes(2)
	m.Notice("n")
	m.Warn("w")
	var out strings.Builder
	if _, err := io.WriteString(m.Lines(&out), "line\n"); err != nil {
		t.Error(err)
	}
	if err := m.Stop(); err != nil {
		t.Error(err)
	}
	if s := m.State(); s.Bytes != 2 || s.Warnings != 1 || out.String() != "line\n" {
		t.Errorf("state %+v, lines %q", s, out.String())
	}
}

func TestFraction(t *testing.T) {
	for _, c := range []struct {
		state State
		want  float64
		known bool
	}{
		{State{Bytes: 5, Files: 5}, 0, false},
		{State{Bytes: 5, Files: 1, Total: Total{Bytes: 10, Files: 10}}, 0.5, true},
		{State{Bytes: 5, Files: 1, Total: Total{Files: 10}}, 0.1, true},
		{State{Bytes: 50, Total: Total{Bytes: 10}}, 1, true},
		{State{Bytes: -50, Total: Total{Bytes: 10}}, 0, true},
	} {
		if got, known := c.state.Fraction(); got != c.want || known != c.known {
			t.Errorf("%+v: got %v, %v", c.state, got, known)
		}
	}
}

// TestFirstErrorEndsRendering has each call of the renderer fail in turn.
func TestFirstErrorEndsRendering(t *testing.T) {
	operation := func(r *recorder) error {
		st := newStage(r)
		st.Phase("scanning")
		st.pass(time.Second)
		st.Warn("careful")
		if _, err := io.WriteString(st.Lines(io.Discard), "result\n"); err != nil {
			t.Error("an error of the renderer reached other output:", err)
		}
		first := st.Stop()
		if again := st.Stop(); again != first {
			t.Errorf("the second Stop returned %v, the first %v", again, first)
		}
		return first
	}
	whole := &recorder{}
	if err := operation(whole); err != nil {
		t.Fatal(err)
	}
	for i, call := range whole.calls {
		r := &recorder{fail: call}
		if err := operation(r); !errors.Is(err, errBroken) {
			t.Errorf("%s fails: got %v", call, err)
		}
		if call != "clear" && len(r.calls) != i+1 {
			t.Errorf("%s fails: rendering went on: %q", call, r.calls)
		}
	}
}

func TestInjectedTicks(t *testing.T) {
	ticks, released := make(chan time.Time), make(chan struct{})
	r := &recorder{}
	m := New(r, Clock{Tick: func(d time.Duration) (<-chan time.Time, func()) {
		if d != time.Second {
			t.Errorf("interval %v, want the renderer's", d)
		}
		return ticks, func() { close(released) }
	}})
	m.Phase("x")
	m.Start()
	m.Start() // no second ticker: closing released twice would panic
	for range 2 {
		ticks <- start
	}
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	<-released
	// The second tick may have lost against Stop.
	got := strings.Replace(r.String(), "running x\nrunning x\n", "running x\n", 1)
	equal(t, got, "began x\nrunning x\nended x\nclear")
}

func TestStartAfterStop(t *testing.T) {
	m := New(&recorder{}, Clock{Tick: func(time.Duration) (<-chan time.Time, func()) {
		t.Error("ticks asked for")
		return nil, func() {}
	}})
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	m.Start()
}

// TestSystemClock runs on the standard library's own fake time.
func TestSystemClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuilder
		m := New(Plain(&out), Clock{})
		m.Start()
		m.Phase("restoring")
		m.AddFiles(3)
		time.Sleep(65 * time.Second)
		synctest.Wait()
		equal(t, out.String(), "restoring\nrestoring  3 files  after 10 s\n"+
			"restoring  3 files  after 30 s\nrestoring  3 files  after 1 min 00 s\n")
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
		before := out.String()
		time.Sleep(time.Hour)
		synctest.Wait()
		equal(t, out.String(), before)
	})
}

// TestConcurrent is for the race detector, and counts.
func TestConcurrent(t *testing.T) {
	ticks := make(chan time.Time)
	out := &lockedBuilder{}
	m := New(Terminal(out, func() int { return 60 }, true), Clock{
		Tick: func(time.Duration) (<-chan time.Time, func()) { return ticks, func() {} },
	})
	m.Start()
	m.Phase("backing up")
	lines := m.Lines(out)
	var workers sync.WaitGroup
	for i := range 4 {
		workers.Go(func() {
			for n := range 200 {
				m.AddBytes(3)
				m.AddFiles(1)
				m.AddStored(2)
				m.SetPath(fmt.Sprint(i, n))
				m.SetTotal(Total{Bytes: int64(n)})
				if n%50 == 0 {
					m.AddRetry()
					m.Warn("w")
					fmt.Fprintln(lines, "result")
					ticks <- start
				}
			}
		})
	}
	workers.Wait()
	s := m.State()
	if s.Bytes != 2400 || s.Files != 800 || s.Stored != 1600 || s.Retries != 16 || s.Warnings != 16 {
		t.Errorf("lost updates: %+v", s)
	}
	var stops sync.WaitGroup
	for range 3 {
		stops.Go(func() {
			if err := m.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	stops.Wait()
	if n := strings.Count(out.String(), "result\n"); n != 16 {
		t.Errorf("%d of 16 lines came out whole", n)
	}
}

func BenchmarkAddBytes(b *testing.B) {
	m := New(Quiet(), Clock{})
	m.Phase("backing up")
	for b.Loop() {
		m.AddBytes(1)
	}
}

func BenchmarkAddBytesParallel(b *testing.B) {
	m := New(Quiet(), Clock{})
	m.Phase("backing up")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.AddBytes(1)
		}
	})
}

func BenchmarkSetPath(b *testing.B) {
	m := New(Quiet(), Clock{})
	m.Phase("backing up")
	b.ReportAllocs()
	for b.Loop() {
		m.SetPath("usr/share/doc/x")
	}
}
