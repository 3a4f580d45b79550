package ftp

import (
	"context"
	"slices"
	"time"

	"tklbam/backends"
)

// Age makes the idle connections of a backend look unused for a long time.
func Age(ctx context.Context, b backends.Backend) error {
	t := b.(*target)
	var all []*session
	for {
		s, ok, err := t.idle.Take(ctx)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		all = append(all, s)
	}
	for _, s := range slices.Backward(all) {
		s.used = time.Time{}
		t.idle.Give(s)
	}
	return nil
}
