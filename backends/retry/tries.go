package retry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"syscall"
	"time"

	"tklbam/backends"
)

// tries counts the failures of one operation since it last came further.
type tries struct {
	backend  *backend
	op, name string // for Notify

	failed int
	since  time.Time // of the first of them
}

// do calls call until it succeeds or again gives up.
func (t *tries) do(ctx context.Context, call func() error) error {
	for {
		err := call()
		if err == nil {
			return nil
		}
		if err := t.again(ctx, err); err != nil {
			return err
		}
	}
}

// progress forgets the failures.
func (t *tries) progress() { t.failed = 0 }

// again is what comes after a failure: it waits and returns nil if there is to
// be another attempt, and otherwise returns the operation's error.
func (t *tries) again(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return cancelled(ctx, err)
	}
	if !transient(err) {
		return err
	}
	now := time.Now()
	if t.failed == 0 {
		t.since = now
	}
	t.failed++
	wait := t.wait(err)
	opts := &t.backend.opts
	if t.failed >= opts.Attempts || now.Add(wait).Sub(t.since) > opts.GiveUp {
		return t.givenUp(err, now.Sub(t.since))
	}
	opts.Notify(t.op, t.name, t.failed, wait, err)
	return sleep(ctx, wait)
}

// cancelled returns the error of an operation that failed with err when its
// context had ended.
func cancelled(ctx context.Context, err error) error {
	if errors.Is(err, ctx.Err()) {
		return err
	}
	return ctx.Err()
}

func (t *tries) givenUp(err error, after time.Duration) error {
	if t.failed == 1 {
		return err
	}
	return fmt.Errorf("%w (given up after %d attempts in %s)", err, t.failed, after.Round(time.Second))
}

// wait returns how long to wait after an error: at least as long as the server
// said, if it did. A wait it asks for is not cut down to Max, because an
// earlier attempt would fail.
func (t *tries) wait(err error) time.Duration {
	opts := &t.backend.opts
	wait := opts.Max
	if doublings := t.failed - 1; opts.First <= opts.Max>>doublings {
		wait = opts.First << doublings
	}
	wait -= rand.N(wait/2 + 1)
	var told interface{ RetryAfter() time.Duration }
	if errors.As(err, &told) {
		wait = max(wait, told.RetryAfter())
	}
	return wait
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lasting are errors that no repetition mends. One of them decides also where
// an error is transient as well.
func lasting() []error {
	return []error{
		fs.ErrNotExist, fs.ErrPermission, fs.ErrInvalid, fs.ErrClosed, backends.ErrNoSpace,
		context.Canceled, context.DeadlineExceeded,
	}
}

// passing are errors that a later attempt may not meet.
func passing() []error {
	return []error{
		backends.ErrUnavailable, io.ErrUnexpectedEOF, net.ErrClosed,
		syscall.ECONNRESET, syscall.ECONNABORTED, syscall.ECONNREFUSED, syscall.EPIPE,
		syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH,
	}
}

// transient reports whether an operation that failed with err may succeed
// later. An error it does not know is taken to last: repeating in vain costs
// minutes, and a driver has backends.ErrUnavailable to say otherwise.
func transient(err error) bool {
	if isAny(err, lasting()) {
		return false
	}
	var network net.Error
	return isAny(err, passing()) || errors.As(err, &network) && network.Timeout()
}

func isAny(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
