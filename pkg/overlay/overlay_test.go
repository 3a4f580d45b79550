package overlay

import (
	"context"
	"io/fs"
	"syscall"
	"testing"
)

func blocksOf(st fs.FileInfo) int64 { return st.Sys().(*syscall.Stat_t).Blocks }

// apply applies actions that must not fail.
func apply(t *testing.T, opts Options, plan ...Action) {
	t.Helper()
	log := &reports{}
	opts.Reporter = log
	res, err := Apply(context.Background(), plan, opts)
	must(t, err)
	if res.Failed > 0 || res.Done != len(plan) {
		t.Fatalf("%+v: %q", res, log.passed)
	}
}
