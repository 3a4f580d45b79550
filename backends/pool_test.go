package backends_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"

	"tklbam/backends"
)

// TestPool: the latest that lives comes first, no more are kept than wanted,
// and none after the end.
func TestPool(t *testing.T) {
	var aborted, quit []int
	p := backends.Pool[int]{
		Max: 3, Lives: func(_ context.Context, c int) bool { return c != 3 },
		Abort: func(c int) { aborted = append(aborted, c) }, Quit: func(c int) { quit = append(quit, c) },
	}
	take := func(want int, there bool) {
		t.Helper()
		if c, ok, err := p.Take(t.Context()); c != want || ok != there || err != nil {
			t.Errorf("took %d, %v, %v; want %d, %v", c, ok, err, want, there)
		}
	}
	take(0, false)
	for c := range 4 {
		p.Give(c + 1)
	}
	take(2, true)
	if !slices.Equal(aborted, []int{3}) || !slices.Equal(quit, []int{4}) {
		t.Errorf("aborted %v, quit %v", aborted, quit)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok, err := p.Take(ended); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, %v", ok, err)
	}
	p.Close()
	p.Give(5)
	if _, ok, err := p.Take(t.Context()); ok || !errors.Is(err, fs.ErrClosed) || !slices.Equal(quit, []int{4, 1, 5}) {
		t.Errorf("closed: %v, %v, quit %v", ok, err, quit)
	}
	p.Close()
}
