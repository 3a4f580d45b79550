package ftp

import (
	"time"

	"tklbam/backends"
)

// Age makes the idle connections of a backend look unused for a long time.
func Age(b backends.Backend) {
	t := b.(*target)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.idle {
		s.used = time.Time{}
	}
}
