package limit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tklbam/backends"
	"tklbam/backends/backendtest"
	"tklbam/backends/file"
	"tklbam/backends/limit"
	"tklbam/backends/retry"
)

func openDir(t *testing.T) backends.Backend {
	t.Helper()
	a, err := backends.ParseAddress("file://" + t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b, err := file.Open(t.Context(), a, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func schedule(t *testing.T, text string) limit.Schedule {
	t.Helper()
	s, err := limit.ParseSchedule(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	s := schedule(t, "300M")
	backendtest.Run(t, func(t *testing.T) backends.Backend { return limit.New(s, s).Wrap(openDir(t)) })
}

// broken is a backend whose every third Put and reader fails in the middle.
type broken struct {
	backends.Backend
	mu    sync.Mutex
	calls int
}

func (b *broken) fails() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	return b.calls%3 == 0
}

func (b *broken) Put(ctx context.Context, name string, write func(io.Writer) error) error {
	if b.fails() {
		return b.Backend.Put(ctx, name, func(w io.Writer) error { return write(brokenStream{}) })
	}
	return b.Backend.Put(ctx, name, write)
}

func (b *broken) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := b.Backend.Open(ctx, name)
	if err == nil && b.fails() {
		r = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r, 100), brokenStream{}), r}
	}
	return r, err
}

type brokenStream struct{}

func (brokenStream) Read([]byte) (int, error)    { return 0, backends.ErrUnavailable }
func (brokenStream) Write(p []byte) (int, error) { return len(p) / 2, backends.ErrUnavailable }

// TestContractBetween limits a backend with faults, below one that mends them.
func TestContractBetween(t *testing.T) {
	s := schedule(t, "300M")
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		limited := limit.New(s, s).Wrap(&broken{Backend: openDir(t)})
		return retry.New(limited, retry.Options{First: time.Nanosecond, Max: time.Nanosecond, SpoolDir: t.TempDir()})
	})
}

// endless is a backend that takes and gives whatever comes at once, and counts
// it. Its readers have a piece length of their own.
type endless struct {
	backends.Backend
	mu    sync.Mutex
	count int64
}

func (e *endless) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count += int64(len(p))
	return len(p), nil
}

func (e *endless) Read(p []byte) (int, error) { return e.Write(p[:min(len(p), 10_000)]) }

func (e *endless) Close() error { return nil }

func (e *endless) Put(_ context.Context, _ string, write func(io.Writer) error) error {
	return write(e)
}

func (e *endless) Open(context.Context, string) (io.ReadCloser, error) { return e, nil }

func (e *endless) moved() float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return float64(e.count)
}

// upload writes until it can't.
func upload(ctx context.Context, b backends.Backend) error {
	return b.Put(ctx, "name", func(w io.Writer) error {
		for {
			if _, err := w.Write(make([]byte, 100_000)); err != nil {
				return err
			}
		}
	})
}

// download reads until it can't.
func download(ctx context.Context, b backends.Backend) error {
	r, err := b.Open(ctx, "name")
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 70_000))
	return errors.Join(err, r.Close())
}

func directions() map[string]func(context.Context, backends.Backend) error {
	return map[string]func(context.Context, backends.Backend) error{"up": upload, "down": download}
}

func within(got, want, share float64) bool { return math.Abs(got-want) <= want*share }

// TestExact runs for ten seconds of a time of its own, whatever the rate and
// the number of streams and targets, and while the other direction is busy.
func TestExact(t *testing.T) {
	for name, move := range directions() {
		for _, rate := range []float64{1000, 100_000, 1 << 20, 123_456_789} {
			for _, streams := range []int{1, 16} {
				synctest.Test(t, func(t *testing.T) {
					s := schedule(t, fmt.Sprintf("%.0fB", rate))
					l := limit.New(s, s)
					one, two, other := new(endless), new(endless), new(endless)
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					for i := range streams {
						go move(ctx, l.Wrap([]backends.Backend{one, two}[i%2]))
					}
					for opposite, move := range directions() {
						if opposite != name {
							go move(ctx, l.Wrap(other))
						}
					}
					<-ctx.Done()
					synctest.Wait()
					if got := one.moved() + two.moved(); !within(got, 10*rate, 0.03) {
						t.Errorf("%s at %.0f bytes a second, %d streams: %.0f bytes in 10 seconds", name, rate, streams, got)
					}
				})
			}
		}
	}
}

// TestSlowest: a limit of some bytes a second lets them pass, too.
func TestSlowest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(endless)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := upload(ctx, limit.New(schedule(t, "2B"), limit.Schedule{}).Wrap(b)); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if !within(b.moved(), 7200, 0.01) {
			t.Errorf("%.0f bytes in an hour", b.moved())
		}
	})
}

// TestPauses: what is not used is not saved up.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(endless)
		start := time.Now()
		err := limit.New(schedule(t, "1M"), limit.Schedule{}).Wrap(b).Put(t.Context(), "name", func(w io.Writer) error {
			for range 3 {
				time.Sleep(time.Hour)
				if _, err := w.Write(make([]byte, 10<<20)); err != nil {
					return err
				}
			}
			return nil
		})
		if took := time.Since(start) - 3*time.Hour; err != nil || !within(took.Seconds(), 30, 0.02) {
			t.Errorf("30 MiB at 1 MiB a second with pauses: %v, %v", took, err)
		}
	})
}

// TestChange follows a transfer through the hours of a timetable.
func TestChange(t *testing.T) {
	for name, move := range directions() {
		synctest.Test(t, func(t *testing.T) {
			s := schedule(t, "08:00,100000B 08:01,off 08:02,10000B 08:03,1000000B")
			b := new(endless)
			l := limit.New(s, s)
			time.Sleep(time.Until(time.Date(2000, 1, 2, 8, 0, 0, 0, time.Local)))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			slow := pausing{b} // at full speed the minute without limit would never end
			go move(ctx, l.Wrap(slow))
			var before float64
			for minute, want := range []float64{100_000, 0, 10_000, 1_000_000} {
				time.Sleep(time.Minute)
				got := b.moved() - before
				before += got
				want *= 60
				// The one call that is under way may be the last of the minute before.
				if want > 0 && math.Abs(got-want) > 100_000+0.02*want || want == 0 && got < 60_000_000 {
					t.Errorf("%s, minute %d: %.0f bytes, want %.0f", name, minute, got, want)
				}
			}
		})
	}
}

// pausing takes a millisecond for each piece.
type pausing struct{ *endless }

func (p pausing) Write(b []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return p.endless.Write(b)
}

func (p pausing) Read(b []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return p.endless.Read(b)
}

func (p pausing) Put(_ context.Context, _ string, write func(io.Writer) error) error { return write(p) }

func (p pausing) Open(context.Context, string) (io.ReadCloser, error) { return p, nil }

// TestCancelledWait: a sleep ends with its context, however long.
func TestCancelledWait(t *testing.T) {
	for name, move := range directions() {
		synctest.Test(t, func(t *testing.T) {
			s := schedule(t, "1B")
			l := limit.New(s, s)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for range 100 { // the last one in the queue sleeps for 100 seconds
				go move(t.Context(), l.Wrap(new(endless)))
			}
			synctest.Wait()
			start := time.Now()
			time.AfterFunc(5*time.Second, cancel)
			err := move(ctx, l.Wrap(new(endless)))
			if took := time.Since(start); !errors.Is(err, context.Canceled) || took != 5*time.Second {
				t.Errorf("%s: %v after %v", name, err, took)
			}
		})
	}
}

// TestRealTime is the one test with the clock of the machine and a real file.
func TestRealTime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes two seconds")
	}
	s := schedule(t, "10M")
	b := limit.New(s, s).Wrap(openDir(t))
	want := bytes.Repeat([]byte("content "), 10<<20/8)
	start := time.Now()
	err := b.Put(t.Context(), "name", func(w io.Writer) error {
		_, err := w.Write(want)
		return err
	})
	up := time.Since(start)
	if err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	r, err := b.Open(t.Context(), "name")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	down := time.Since(start)
	if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes read, %v", len(got), err)
	}
	// Too fast is never right; slow may be the machine's fault.
	for _, took := range []time.Duration{up, down} {
		if took < 890*time.Millisecond || took > 3*time.Second {
			t.Errorf("10 MiB at 10 MiB a second: up in %v, down in %v", up, down)
		}
	}
	t.Logf("10 MiB at 10 MiB a second: up in %v, down in %v", up, down)
}

func TestKinds(t *testing.T) {
	l := limit.New(limit.Schedule{}, limit.Schedule{})
	dir := openDir(t)
	if _, ok := l.Wrap(dir).(backends.Spacer); !ok {
		t.Error("the backend does not know the free space that the one inside knows")
	}
	if _, ok := l.Wrap(struct{ backends.Backend }{dir}).(backends.Spacer); ok {
		t.Error("the backend knows the free space that the one inside does not know")
	}
	r, err := l.Wrap(new(endless)).Open(t.Context(), "name")
	if _, ok := r.(io.Seeker); ok || err != nil {
		t.Errorf("a reader seeks that can't (%t), %v", ok, err)
	}
}
