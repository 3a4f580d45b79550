// Package hooks runs the hooks of backups and restores: executables in the
// directory hooks.d of the configuration, and signed ones in that of the
// profile. Each is called as
//
//	hook backup|restore pre|inspect|post|error
//
// with the variables of Environment.
//
// Hooks run with this program's rights, which are root's as a rule. So a hook
// that anyone but root and the running user can write to is an error, as is a
// directory of hooks where anyone else can put one; and a hook that came with
// a profile runs only if its detached signature, beside it under the name with
// ".sig", verifies.
package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"syscall"
	"time"

	"tklbam/pkg/command"
)

// An Operation is what hooks accompany.
type Operation string

// The operations.
const (
	Backup  Operation = "backup"
	Restore Operation = "restore"
)

// A State is the point of an operation that hooks are called at.
type State string

// The states. Error comes after any failure, be it a hook's own, and instead
// of what would have followed.
const (
	Pre     State = "pre"     // before anything
	Inspect State = "inspect" // the extras are complete, and nothing is done with them yet
	Post    State = "post"    // after everything
	Error   State = "error"   // after a failure
)

// A Call says what hooks are told.
type Call struct {
	Operation Operation
	State     State

	Extras  string  // directory that hooks are run in; for Inspect
	Failure Failure // for Error
}

// A Failure is what an operation failed with.
type Failure struct {
	Step    string // "upload"
	Message string
}

// Hooks are the hooks of one run of the program. They are for one goroutine.
type Hooks struct {
	Local   string // directory of the configuration's hooks; "" for none
	Profile string // directory of the profile's hooks; "" for none

	Verifier Verifier // of the profile's hooks; nil lets none of them run
	TempDir  string   // where they are copied to, to be run; programs must be permitted there

	Runner      command.Runner
	Environ     []string // this process's environment
	Environment Environment
	Timeout     time.Duration // of each hook; 0 for none
	Output      io.Writer     // for what hooks print, errors included; nil to drop it

	// Skipped, if set, is told once of each hook that is not run although it
	// is executable, with the reason.
	Skipped func(hook string, reason error)

	skipped map[string]bool
}

// Run runs all hooks: the configuration's in the order of their names, then
// the profile's. A directory that does not exist has none. Before the first
// one is run all of the configuration's are checked; see ErrUnsafe.
//
// A hook that fails is an error that names it and has its last output, and no
// hook is run after it, except in state Error, where every hook gets its turn
// and the errors are joined. A hook that runs when ctx ends is killed. To run
// the error hooks of an operation that was cancelled takes another context.
func (h *Hooks) Run(ctx context.Context, c Call) error {
	local, err := h.local()
	if err != nil {
		return err
	}
	profile, err := h.profile()
	if err != nil {
		return err
	}
	var failures []error
	for _, run := range []struct {
		hooks []string
		call  func(context.Context, string, Call) error
	}{{local, h.call}, {profile, h.callSigned}} {
		for _, hook := range run.hooks {
			err := run.call(ctx, hook, c)
			if err != nil && c.State != Error {
				return err
			}
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// call runs the executable at path.
func (h *Hooks) call(ctx context.Context, path string, c Call) error {
	limited, cancel := ctx, context.CancelFunc(func() {})
	if h.Timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, h.Timeout)
	}
	defer cancel()
	output := &command.Tail{W: h.Output}
	err := h.exec(limited, path, c, output)
	if err == nil {
		return nil
	}
	if ctx.Err() == nil && limited.Err() != nil {
		err = fmt.Errorf("it ran for more than %v: %w", h.Timeout, err)
	}
	if last := output.String(); last != "" {
		err = fmt.Errorf("%w: it printed %q", err, last)
	}
	return fmt.Errorf("%s hook %q, %s: %w", c.Operation, filepath.Base(path), c.State, err)
}

func (h *Hooks) exec(ctx context.Context, path string, c Call, output io.Writer) error {
	cmd := command.Command{
		Args:   []string{path, string(c.Operation), string(c.State)},
		Env:    h.environ(c),
		Stdout: output, // the same for both: they keep their order, and take turns
		Stderr: output,
	}
	if c.State == Inspect {
		cmd.Dir = c.Extras
	}
	err := h.Runner.Run(ctx, cmd)
	if errors.Is(err, syscall.ENOEXEC) { // a script without "#!": as a shell would run it
		cmd.Args = append([]string{"/bin/sh"}, cmd.Args...)
		err = h.Runner.Run(ctx, cmd)
	}
	return err
}

func (h *Hooks) skip(hook string, reason error) {
	if h.Skipped == nil || h.skipped[hook] {
		return
	}
	if h.skipped == nil {
		h.skipped = make(map[string]bool)
	}
	h.skipped[hook] = true
	h.Skipped(hook, reason)
}
