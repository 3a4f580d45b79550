package backends_test

import (
	"context"
	"errors"
	"testing"

	"tklbam/backends"
)

// TestGate: a context is cancelled before its gate is passed, or not at all.
func TestGate(t *testing.T) {
	for _, passed := range []bool{false, true} {
		caller, cancel := context.WithCancel(t.Context())
		g := backends.NewGate(caller)
		if passed && g.Pass() != nil {
			t.Error("the gate is closed")
		}
		cancel()
		if err := g.Pass(); (err == nil) != passed || err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("passed before: %v, after: %v", passed, err)
		}
		if cancelled := g.Context().Err() != nil; cancelled == passed {
			t.Errorf("passed: %v, cancelled: %v", passed, cancelled)
		}
		g.Close()
		if g.Context().Err() == nil {
			t.Error("a closed gate leaves its context")
		}
	}
}
