package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// needs returns the path of a program, without which the test is skipped.
func needs(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
	return ""
}

func shell(script string) Command { return Command{Args: []string{"sh", "-c", script}} }

func TestRunPassesEverything(t *testing.T) {
	needs(t, "sh")
	dir := t.TempDir()
	var out, errs bytes.Buffer
	c := Command{
		Args:   []string{"sh", "-c", `pwd -P; cat; echo "$A" "$HOME" "$1" >&2`, "sh", "an argument"},
		Dir:    dir,
		Env:    []string{"A=value"},
		Stdin:  strings.NewReader("input\n"),
		Stdout: &out,
		Stderr: &errs,
	}
	if err := (Exec{}).Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := real + "\ninput\n"; out.String() != want {
		t.Errorf("stdout is %q, want %q", out.String(), want)
	}
	if want := "value  an argument\n"; errs.String() != want {
		t.Errorf("stderr is %q, want %q", errs.String(), want)
	}
}

func TestRunInheritsTheEnvironment(t *testing.T) {
	needs(t, "sh")
	t.Setenv("COMMAND_TEST", "inherited")
	var out bytes.Buffer
	c := shell(`echo "$COMMAND_TEST"`)
	c.Stdout = &out
	if err := (Exec{}).Run(t.Context(), c); err != nil || out.String() != "inherited\n" {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

func TestRunStatus(t *testing.T) {
	needs(t, "sh")
	err := Exec{}.Run(t.Context(), shell("for i in 1 2 3 4 5 6 7; do echo line $i >&2; done; exit 7"))
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 7 {
		t.Fatalf("got %v, want an exit status of 7", err)
	}
	const end = "line 3\nline 4\nline 5\nline 6\nline 7"
	if string(exit.Stderr) != end {
		t.Errorf("the error holds %q, want %q", exit.Stderr, end)
	}
	if want := `run "sh": exit status 7: "line 3\nline 4\nline 5\nline 6\nline 7"`; err.Error() != want {
		t.Errorf("got %s, want %s", err, want)
	}
	if err := (Exec{}).Run(t.Context(), shell("exit 1")); err.Error() != `run "sh": exit status 1` {
		t.Errorf("got %v", err)
	}
}

func TestRunLeavesStderrToTheCaller(t *testing.T) {
	needs(t, "sh")
	var errs bytes.Buffer
	c := shell("echo no >&2; exit 1")
	c.Stderr = &errs
	err := Exec{}.Run(t.Context(), c)
	if err == nil || strings.Contains(err.Error(), "no") || errs.String() != "no\n" {
		t.Errorf("got %v and %q", err, errs.String())
	}
}

func TestRunAbsentProgram(t *testing.T) {
	for _, name := range []string{"no-such-program-anywhere", "/no/such/program"} {
		err := Exec{}.Run(t.Context(), Command{Args: []string{name}})
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want fs.ErrNotExist", name, err)
		}
	}
	if err := (Exec{}).Run(t.Context(), Command{}); err == nil {
		t.Error("an empty command ran")
	}
}

// shortGrace is enough for a shell to end and short enough for a test.
const shortGrace = 300 * time.Millisecond

// The child of a program ends with the context, although it ignores SIGTERM:
// the output it shares with the program comes to its end.
func TestRunEndsTheGroup(t *testing.T) {
	needs(t, "sh")
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	c := shell(`(trap "" TERM; echo started; while :; do sleep 1; done) & wait`)
	c.Stdout = in
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, c, shortGrace)
		ended <- errors.Join(err, in.Close())
	}()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Error(err)
	}
}

// processState returns the state letter of a process, "" when it is gone.
func processState(pid string) string {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return after[:1]
}

// A daemon that keeps the output open is not waited for.
func TestRunLeavesDaemons(t *testing.T) {
	needs(t, "sh")
	var out bytes.Buffer
	c := shell("sleep 60 & echo $!")
	c.Stdout = &out
	if err := run(t.Context(), c, shortGrace); err != nil {
		t.Errorf("got %v", err)
	}
	pid := strings.TrimSpace(out.String())
	if processState(pid) == "" {
		t.Errorf("process %q is gone", pid)
	}
	stop(t, pid)
}

func stop(t *testing.T, pid string) {
	t.Helper()
	if err := exec.Command("kill", pid).Run(); err != nil {
		t.Error(err)
	}
}

func TestRunSession(t *testing.T) {
	needs(t, "sh")
	own, err := session("self")
	if err != nil {
		t.Fatal(err)
	}
	for _, terminal := range []bool{false, true} {
		var out bytes.Buffer
		c := shell(`cat /proc/$$/stat`)
		c.Stdout, c.Terminal = &out, terminal
		if err := (Exec{}).Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if same := sessionOf(out.String()) == own; same != terminal {
			t.Errorf("Terminal %v: the program shares the session: %v", terminal, same)
		}
	}
}

func session(pid string) (string, error) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return sessionOf(string(stat)), err
}

// sessionOf returns the fourth field after the name in /proc/PID/stat.
func sessionOf(stat string) string {
	_, after, _ := strings.Cut(stat, ") ")
	return strings.Fields(after)[3]
}

func TestRunEndedContext(t *testing.T) {
	needs(t, "sh")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (Exec{}).Run(ctx, shell("exit 0")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestKillGone(t *testing.T) {
	if err := kill(1<<22+1, syscall.SIGTERM); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestTail(t *testing.T) {
	var long Tail
	for range 1000 {
		if n, err := long.Write([]byte("0123456789")); n != 10 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n, err := long.Write(bytes.Repeat([]byte("x"), 3*tailBytes)); n != 3*tailBytes || err != nil {
		t.Fatal(n, err)
	}
	if len(long.String()) != tailBytes {
		t.Errorf("kept %d bytes", len(long.String()))
	}
	var short Tail
	if got := short.String(); got != "" {
		t.Errorf("an empty tail holds %q", got)
	}
}

// TestBound kills a process that waits for a program.
func TestBound(t *testing.T) {
	if os.Getenv("COMMAND_TEST_BOUND") != "" {
		c := shell("echo $$; exec sleep 600")
		c.Bound, c.Stdout = true, os.Stdout
		t.Fatal(Exec{}.Run(context.Background(), c))
	}
	parent := exec.Command(os.Args[0], "-test.run=^TestBound$")
	parent.Env = append(os.Environ(), "COMMAND_TEST_BOUND=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer parent.Wait()
	var pid int
	_, err = fmt.Fscan(out, &pid)
	if kerr := parent.Process.Kill(); err != nil || kerr != nil {
		t.Fatal(err, kerr)
	}
	for range 1000 {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the program goes on")
}
