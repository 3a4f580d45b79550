package pidlock

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestAcquireAndClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backup.pid")
	for range 2 {
		lock := acquire(t, path)
		if got, want := content(t, path), strconv.Itoa(os.Getpid())+"\n"; got != want {
			t.Errorf("file holds %q, want %q", got, want)
		}
		must(t, lock.Close())
		must(t, lock.Close())
		if got := content(t, path); got != "" {
			t.Errorf("released file holds %q", got)
		}
	}
}

func TestSecondLockIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backup.pid")
	lock := acquire(t, path)
	defer lock.Close()
	_, err := Acquire(path)
	var locked *LockedError
	if !errors.As(err, &locked) || !errors.Is(err, ErrLocked) {
		t.Fatalf("second lock: %v, want a LockedError", err)
	}
	if locked.PID != os.Getpid() || locked.Path != path {
		t.Errorf("holder %+v, want pid %d of %s", *locked, os.Getpid(), path)
	}
	if !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("error %q does not name the holder", err)
	}
}

func TestHolderUnknown(t *testing.T) {
	for _, text := range []string{"", "\n", "12x\n", "-4\n", strings.Repeat("9", 100)} {
		path := filepath.Join(t.TempDir(), "backup.pid")
		lock := acquire(t, path)
		must(t, os.WriteFile(path, []byte(text), 0o644))
		var locked *LockedError
		if _, err := Acquire(path); !errors.As(err, &locked) || locked.PID != 0 {
			t.Errorf("file %q: error %v, want a LockedError with pid 0", text, err)
		}
		must(t, lock.Close())
	}
}

// A file from a dead process does not block, nor does the number of a living
// one that holds no lock.
func TestStaleFile(t *testing.T) {
	for _, text := range []string{"999999999\n", "1\n", "garbage that is longer than a pid\n", ""} {
		path := filepath.Join(t.TempDir(), "backup.pid")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		lock := acquire(t, path)
		if got, want := content(t, path), strconv.Itoa(os.Getpid())+"\n"; got != want {
			t.Errorf("file holds %q, want %q", got, want)
		}
		must(t, lock.Close())
	}
}

func TestRefusesOtherFiles(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	must(t, os.WriteFile(victim, []byte("precious"), 0o600))
	path := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.Symlink(victim, path("symlink")))
	must(t, os.Symlink(path("nowhere"), path("dangling")))
	must(t, os.Link(victim, path("hardlink")))
	must(t, syscall.Mkfifo(path("fifo"), 0o600))
	must(t, os.Mkdir(path("directory"), 0o700))
	for _, name := range []string{"symlink", "dangling", "hardlink", "fifo", "directory", "absent/lock"} {
		lock, err := Acquire(path(name))
		if err == nil {
			t.Errorf("%s: locked", name)
			must(t, lock.Close())
		}
		if errors.Is(err, ErrLocked) || (err != nil && !strings.Contains(err.Error(), name)) {
			t.Errorf("%s: error %q", name, err)
		}
	}
	if got := content(t, victim); got != "precious" {
		t.Errorf("victim holds %q", got)
	}
	if _, err := os.Lstat(path("nowhere")); err == nil {
		t.Error("the target of a dangling link was created")
	}
}

// A lock on a file that was removed meanwhile protects nothing: try says no.
func TestReplacedFileIsNotHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backup.pid")
	for _, replaced := range []bool{false, true} {
		file, err := open(path)
		must(t, err)
		must(t, os.Remove(path))
		if replaced {
			must(t, os.WriteFile(path, nil, 0o644))
		}
		held, err := try(file, path)
		if held || err != nil {
			t.Errorf("replaced %v: held %v, error %v", replaced, held, err)
		}
		must(t, file.Close())
	}
	must(t, acquire(t, path).Close())
}

func TestOnlyOneOfMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backup.pid")
	var wg sync.WaitGroup
	locks := make(chan *Lock, 50)
	for range cap(locks) {
		wg.Go(func() {
			lock, err := Acquire(path)
			switch {
			case err == nil:
				locks <- lock
			case !errors.Is(err, ErrLocked):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	close(locks)
	if len(locks) != 1 {
		t.Errorf("%d hold the lock", len(locks))
	}
	for lock := range locks {
		must(t, lock.Close())
	}
}

// TestReleasedByDeath locks in another process, sees it named as the holder,
// and takes over once it is killed. A program which that process started lives
// on and must not keep the lock.
func TestReleasedByDeath(t *testing.T) {
	if path := os.Getenv("PIDLOCK_TEST_PATH"); path != "" {
		holdForever(path)
	}
	path := filepath.Join(t.TempDir(), "backup.pid")
	cmd := exec.Command(os.Args[0], "-test.run=^TestReleasedByDeath$")
	cmd.Env = append(os.Environ(), "PIDLOCK_TEST_PATH="+path)
	out, err := cmd.StdoutPipe()
	must(t, err)
	stdin, err := cmd.StdinPipe() // its end ends the grandchild
	must(t, err)
	defer stdin.Close()
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "locked\n" {
		t.Fatalf("the other process said %q, %v", line, err)
	}

	var locked *LockedError
	if _, err := Acquire(path); !errors.As(err, &locked) || locked.PID != cmd.Process.Pid {
		t.Errorf("while it lives: %v, want pid %d", err, cmd.Process.Pid)
	}
	must(t, cmd.Process.Kill())
	if _, err := cmd.Process.Wait(); err != nil {
		t.Fatal(err)
	}
	must(t, acquire(t, path).Close())
}

func holdForever(path string) {
	lock, err := Acquire(path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	child := exec.Command("cat")
	child.Stdin = os.Stdin
	if err := child.Start(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(lock)
	os.Exit(0)
}

func acquire(t *testing.T, path string) *Lock {
	t.Helper()
	lock, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
