package limit

import (
	"context"
	"sync"
	"time"
)

const (
	// slack is how much of the past can be made up for, so that sleeps that
	// last too long don't slow a transfer down; and with it how much may go at
	// once after a pause, in time at the full rate: a hundredth of ten seconds.
	slack = 100 * time.Millisecond

	// pieces is the number of waits a second at the full rate. With fewer, the
	// flow would come in gusts, a new rate would have to wait for the end of a
	// long one, and streams that read, and pay later, would be ahead by more.
	pieces = 200
)

// A bucket is the token bucket of one direction, in terms of time: instead of
// tokens, which would have to be counted anew when the rate changes, it keeps
// the moment at which all that has passed is paid for. Streams that wait get
// their turns in the order they came.
type bucket struct {
	schedule Schedule

	mu   sync.Mutex
	paid time.Time
}

// rate returns the rate of the moment. It is looked up for every piece, so
// that a change of the hour, and of the clock, is followed at once.
func (b *bucket) rate() Rate { return b.schedule.At(time.Now()) }

// piece returns how many of n bytes to move before the next wait.
func (r Rate) piece(n int) int {
	if r == Unlimited {
		return n
	}
	return int(min(int64(n), max(int64(r)/pieces, 1)))
}

// wait returns when n more bytes may pass at a rate.
func (b *bucket) wait(ctx context.Context, rate Rate, n int) error {
	if err := ctx.Err(); err != nil || rate == Unlimited {
		return err
	}
	delay := b.take(time.Now(), time.Duration(float64(n)/float64(rate)*float64(time.Second)))
	if delay <= 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take adds what a piece costs, and returns how long it then is until all is
// paid.
func (b *bucket) take(now time.Time, cost time.Duration) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if earliest := now.Add(-slack); b.paid.Before(earliest) {
		b.paid = earliest
	}
	b.paid = b.paid.Add(cost)
	return b.paid.Sub(now)
}
