// Package command runs programs.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// A Command is a program to run, without a shell.
type Command struct {
	// Args is the program, looked up in this process's PATH unless it has a
	// slash, and its arguments. Secrets have no place here: other users can
	// read them.
	Args []string

	Dir string   // working directory; "" for this process's
	Env []string // whole environment; nil for this process's

	Stdin          io.Reader // nil for /dev/null
	Stdout, Stderr io.Writer // nil to drop the output; of Stderr the end goes into the error

	// Terminal runs the program in this process's session, where it can use
	// the terminal: for a shell that a person works in. Every other program
	// gets a session of its own, so that one that wants to ask something
	// fails instead of waiting for an answer.
	Terminal bool

	// Bound kills the program when this process ends without having ended it,
	// as a killed one does: for what must not go on by itself. It does not
	// reach what the program starts, nor a program with other rights than
	// this process.
	Bound bool
}

// A Runner runs commands.
type Runner interface {
	// Run runs c and waits for it to end. A program that is not installed is
	// an error that wraps fs.ErrNotExist. One that ends with another status
	// than zero is an error that wraps *exec.ExitError, with the last lines
	// of its standard error, also in that ExitError's Stderr, if c.Stderr was
	// nil. When ctx ends, the program is ended with everything it started,
	// and the error wraps the context's.
	Run(ctx context.Context, c Command) error
}

// grace is what a program gets between SIGTERM and SIGKILL, and what is left
// for its output to arrive once it has ended.
const grace = 5 * time.Second

// Exec is the Runner that starts processes.
type Exec struct{}

// Run implements Runner. When ctx ends, the process group gets SIGTERM, what
// is left of it after 5 seconds or after the program itself has ended gets
// SIGKILL. A service that the program leaves behind, holding on to its
// output, does not keep Run from returning, and is not ended.
func (Exec) Run(ctx context.Context, c Command) error { return run(ctx, c, grace) }

func run(ctx context.Context, c Command, grace time.Duration) error {
	if len(c.Args) == 0 {
		return errors.New("run a program: none was named")
	}
	cmd := prepare(ctx, c)
	cmd.WaitDelay = grace
	var end Tail
	if c.Stderr == nil {
		cmd.Stderr = &end
	}
	if c.Bound { // to the thread, as the kernel has it
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	err := cmd.Run()
	if ctx.Err() != nil && !c.Terminal && cmd.Process != nil {
		err = errors.Join(err, kill(cmd.Process.Pid, syscall.SIGKILL))
	}
	return describe(ctx, c.Args[0], err, end.String())
}

func prepare(ctx context.Context, c Command) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Env = c.Dir, c.Env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	if c.Terminal {
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		return cmd
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.Bound {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	cmd.Cancel = func() error { return kill(cmd.Process.Pid, syscall.SIGTERM) }
	return cmd
}

// kill signals a whole process group. One that is gone is no error.
func kill(group int, signal syscall.Signal) error {
	err := syscall.Kill(-group, signal)
	if err == syscall.ESRCH {
		return nil
	}
	return err
}

// describe makes of the error of a program that was run what Runner promises.
func describe(ctx context.Context, program string, err error, stderr string) error {
	switch {
	case ctx.Err() != nil && err != nil && !errors.Is(err, ctx.Err()):
		return fmt.Errorf("run %q: %w: %w", program, ctx.Err(), err)
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("find program %q in PATH: %w", program, fs.ErrNotExist)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(stderr) > 0 {
		exit.Stderr = []byte(stderr)
		return fmt.Errorf("run %q: %w: %q", program, err, stderr)
	}
	return fmt.Errorf("run %q: %w", program, err)
}
