package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tklbam/backends"
	"tklbam/backends/retry"
)

// broken is a backend whose Delete fails with err, until it has failed fails
// times, if that is not 0.
type broken struct {
	backends.Backend
	err          error
	fails, calls int
}

func (b *broken) Delete(context.Context, string) error {
	if b.calls++; b.calls > b.fails && b.fails > 0 {
		return nil
	}
	return b.err
}

// timeout is a net.Error.
type timeout bool

func (t timeout) Error() string { return "test: timeout" }
func (t timeout) Timeout() bool { return bool(t) }
func (timeout) Temporary() bool { return true }

func TestWhichErrors(t *testing.T) {
	mixed := errors.Join(backends.ErrUnavailable, fs.ErrNotExist)
	for _, c := range []struct {
		err  error
		want bool
	}{
		{backends.ErrUnavailable, true},
		{timeout(true), true},
		{os.ErrDeadlineExceeded, true},
		{syscall.ETIMEDOUT, true},
		{syscall.ECONNRESET, true},
		{syscall.ECONNREFUSED, true},
		{syscall.EPIPE, true},
		{syscall.EHOSTUNREACH, true},
		{net.ErrClosed, true},
		{io.ErrUnexpectedEOF, true},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, true},
		{&net.DNSError{Err: "timeout", IsTimeout: true}, true},

		{&net.DNSError{Err: "no such host", IsNotFound: true}, false},
		{timeout(false), false},
		{fs.ErrNotExist, false},
		{fs.ErrPermission, false},
		{syscall.EACCES, false},
		{fs.ErrInvalid, false},
		{fs.ErrClosed, false},
		{backends.ErrNoSpace, false},
		{context.Canceled, false},
		{context.DeadlineExceeded, false},
		{io.EOF, false},
		{errors.New("any other"), false},
		{mixed, false},
	} {
		b := &broken{err: fmt.Errorf("delete: %w", c.err), fails: 1}
		err := retry.New(b, soon(t)).Delete(t.Context(), "name")
		if repeated := b.calls == 2; repeated != c.want {
			t.Errorf("%v (%T): repeated is %t", c.err, c.err, repeated)
		}
		if c.want != (err == nil) || err != nil && !errors.Is(err, c.err) {
			t.Errorf("%v (%T): Delete returns %v", c.err, c.err, err)
		}
	}
}

// waits runs a Delete that always fails in a time of its own, and returns the
// waits and how it ended.
func waits(t *testing.T, err error, opts retry.Options) (all []time.Duration, took time.Duration, end error) {
	synctest.Test(t, func(t *testing.T) {
		opts.Notify = func(op, name string, attempt int, wait time.Duration, _ error) {
			all = append(all, wait)
			if op != "delete" || name != "name" || attempt != len(all) {
				t.Errorf("told of attempt %d to %s %q", attempt, op, name)
			}
		}
		start := time.Now()
		end = retry.New(&broken{err: err}, opts).Delete(t.Context(), "name")
		took = time.Since(start)
	})
	return all, took, end
}

func TestWaits(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		all, took, err := waits(t, errUnavailable, retry.Options{Attempts: 8, First: time.Second, Max: 10 * time.Second})
		if !errors.Is(err, errUnavailable) || !strings.Contains(err.Error(), "8 attempts") {
			t.Errorf("error is %v", err)
		}
		var sum time.Duration
		limits := []time.Duration{1, 2, 4, 8, 10, 10, 10}
		if len(all) != len(limits) {
			t.Fatalf("waits are %v", all)
		}
		for i, wait := range all {
			if limit := limits[i] * time.Second; wait > limit || wait < limit/2 {
				t.Errorf("wait %d is %v, want %v at most and half of it at least", i+1, wait, limit)
			}
			sum += wait
		}
		if took != sum {
			t.Errorf("the waits are %v together, the call took %v", sum, took)
		}
		seen[sum] = true
	}
	if len(seen) < 10 {
		t.Errorf("20 runs have only %d different waits", len(seen))
	}
}

func TestGiveUp(t *testing.T) {
	_, took, err := waits(t, errUnavailable, retry.Options{Attempts: 1_000_000, GiveUp: 5 * time.Minute})
	if !errors.Is(err, errUnavailable) || !strings.Contains(err.Error(), "given up") {
		t.Errorf("error is %v", err)
	}
	if took > 5*time.Minute || took < 3*time.Minute {
		t.Errorf("gave up after %v", took)
	}
}

func TestDefaults(t *testing.T) {
	all, took, _ := waits(t, errUnavailable, retry.Options{})
	if len(all) != 9 || took < time.Minute || took > 15*time.Minute {
		t.Errorf("waits are %v", all)
	}
}

// later is an answer that says when to come again.
type later time.Duration

func (l later) Error() string             { return "come later" }
func (l later) Unwrap() error             { return backends.ErrUnavailable }
func (l later) RetryAfter() time.Duration { return time.Duration(l) }

func TestToldWait(t *testing.T) {
	err := fmt.Errorf("delete: %w", later(2*time.Minute))
	all, _, _ := waits(t, err, retry.Options{Attempts: 3, Max: time.Second})
	if len(all) != 2 || all[0] != 2*time.Minute || all[1] != 2*time.Minute {
		t.Errorf("waits are %v, the server said 2m", all)
	}
	all, took, got := waits(t, later(time.Hour), retry.Options{GiveUp: time.Minute})
	if len(all) > 0 || took > 0 || got != later(time.Hour) {
		t.Errorf("told to wait past the end: waits are %v, error %v after %v", all, got, took)
	}
	if all, _, _ := waits(t, later(-time.Hour), retry.Options{Attempts: 2}); len(all) != 1 || all[0] < time.Second/2 {
		t.Errorf("told a wait below nothing: waits are %v", all)
	}
}

func TestCancelledWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		time.AfterFunc(100*time.Second, cancel)
		start := time.Now()
		err := retry.New(&broken{err: errUnavailable}, retry.Options{First: time.Hour, Max: time.Hour, GiveUp: 10 * time.Hour}).Delete(ctx, "name")
		if took := time.Since(start); !errors.Is(err, context.Canceled) || took != 100*time.Second {
			t.Errorf("error is %v after %v", err, took)
		}
	})
}

// TestCancelHidden: a driver's error that hides the context's does not reach
// the caller as one of the target.
func TestCancelHidden(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := retry.New(&faulty{Backend: openDir(t), plan: func(int) error {
		cancel()
		return errUnavailable
	}}, soon(t))
	if err := b.Delete(ctx, "name"); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

// TestClosed: a broken connection is what a closed backend looks like to some
// drivers.
func TestClosed(t *testing.T) {
	b := retry.New(&faulty{Backend: openDir(t), plan: func(int) error { return net.ErrClosed }}, retry.Options{})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	_, openErr := b.Open(t.Context(), "name")
	_, freeErr := b.(backends.Spacer).Free(t.Context())
	for _, err := range []error{openErr, freeErr, b.Delete(t.Context(), "name"), b.Put(t.Context(), "name", nil), b.List(t.Context(), nil)} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("error is %v", err)
		}
	}
}
