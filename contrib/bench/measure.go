package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// figures are what one command cost.
type figures struct {
	Wall   time.Duration
	CPU    time.Duration // user and system, with all child processes that were waited for
	Peak   int64         // bytes of resident memory: see watch
	Stored int64         // bytes that the repository grew by
	Others time.Duration // CPU time that the rest of the machine used meanwhile
}

// A command is a program with its arguments, to be run in a directory.
type command struct {
	args []string
	dir  string
}

// outputTail is how much of a failed command's output an error shows, in bytes.
const outputTail = 2000

// run runs a command, measured. Its output goes to a file, so that no program
// waits for this one.
func (c command) run(ctx context.Context, env []string, output string) (figures, error) {
	out, err := os.Create(output)
	if err != nil {
		return figures{}, err
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, env, out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	unix.Sync()
	busy := machineCPU()
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return figures{}, err
	}
	w := watch(cmd.Process.Pid)
	err = cmd.Wait()
	f := figures{Wall: time.Since(began)}
	f.Peak = w.stop()
	f.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	f.Others = max(0, machineCPU()-busy-f.CPU)
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && usage.Maxrss<<10 > ownPeak() {
		f.Peak = max(f.Peak, usage.Maxrss<<10)
	}
	if err != nil {
		return f, errors.Join(ctx.Err(), fmt.Errorf("run %q: %w: %s", strings.Join(c.args, " "), err, tail(output)))
	}
	return f, nil
}

func tail(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(raw[max(0, len(raw)-outputTail):]))
}

// treeSize sums the sizes of the regular files below a directory. What
// disappears meanwhile was nobody's to keep.
func treeSize(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}
