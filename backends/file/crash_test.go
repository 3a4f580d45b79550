package file_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"tklbam/backends"
)

// A child is a process of this test binary that runs TestChild on a directory.
// It prints a line before it goes on, and waits for one.
type child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Scanner
}

func startChild(t *testing.T, dir, mode string) *child {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), "FILETEST_DIR="+dir, "FILETEST_MODE="+mode)
	cmd.Stderr = os.Stderr
	stdin, inErr := cmd.StdinPipe()
	stdout, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	return &child{cmd, stdin, bufio.NewScanner(stdout)}
}

// waitFor waits until the child has printed n lines.
func (c *child) waitFor(t *testing.T, n int) {
	t.Helper()
	for range n {
		if !c.stdout.Scan() {
			t.Fatalf("the child ended: %v", c.cmd.Wait())
		}
	}
}

func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.cmd.Wait()
}

// TestChild is what the processes of the other tests run.
func TestChild(t *testing.T) {
	dir := os.Getenv("FILETEST_DIR")
	switch os.Getenv("FILETEST_MODE") {
	case "one put":
		waitInPut(t, open(t, dir))
	case "short put":
		runtime.LockOSThread() // strace counts calls by thread
		put(t, open(t, dir), "name", versions[1])
	case "many puts":
		putForever(t, open(t, dir))
	default:
		t.Skip("only for other tests")
	}
}

// childContent is too long for any buffer.
var childContent = strings.Repeat("content of the child\n", 100_000)

func waitInPut(t *testing.T, b backends.Backend) {
	err := b.Put(t.Context(), "name", func(w io.Writer) error {
		err := writing(childContent)(w)
		fmt.Println("writing")
		_, readErr := bufio.NewReader(os.Stdin).ReadString('\n')
		return errors.Join(err, readErr)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func putForever(t *testing.T, b backends.Backend) {
	for i := 0; ; i++ {
		put(t, b, "name", versions[i%len(versions)])
		fmt.Println("put", i)
	}
}

// versions are what putForever stores in turns, and "short put" the second.
var versions = [2]string{strings.Repeat("even", 1000), strings.Repeat("odd", 50_000)}

func TestKilledInPut(t *testing.T) {
	for _, old := range []string{"", "old content"} {
		dir := t.TempDir()
		if old != "" {
			writeFile(t, filepath.Join(dir, "name"), old)
		}
		before := entries(t, dir)
		c := startChild(t, dir, "one put")
		c.waitFor(t, 1)
		c.kill(t)

		if left := entries(t, dir); len(left) != len(before)+1 {
			t.Errorf("the killed Put left %q, want one temporary file", left)
		}
		b := open(t, dir)
		err := b.List(t.Context(), func(name string, size int64) error {
			if name != "name" || size != int64(len(old)) {
				return fmt.Errorf("%s of %d bytes is listed", name, size)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if old != "" {
			wantFile(t, filepath.Join(dir, "name"), old)
		}
		put(t, b, "name", "new")
		wantEntries(t, dir, "name")
		wantFile(t, filepath.Join(dir, "name"), "new")
	}
}

// TestKilledAnywhere kills a process that stores one file again and again, at
// whatever point it has come to.
func TestKilledAnywhere(t *testing.T) {
	dir := t.TempDir()
	for i := range 8 {
		c := startChild(t, dir, "many puts")
		c.waitFor(t, 1+i)
		c.kill(t)
		got, err := os.ReadFile(filepath.Join(dir, "name"))
		if err != nil || string(got) != versions[0] && string(got) != versions[1] {
			t.Fatalf("kill %d: the file holds %d bytes of no version, %v", i, len(got), err)
		}
	}
	put(t, open(t, dir), "name", "new")
	wantEntries(t, dir, "name")
}

// TestLivePutIsKept: the Put of one process does not remove what another is
// writing.
func TestLivePutIsKept(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, dir, "one put")
	c.waitFor(t, 1)
	put(t, open(t, dir), "other", "content")
	if left := entries(t, dir); len(left) != 2 {
		t.Errorf("the directory holds %q, want the file and the temporary one of the other process", left)
	}
	if _, err := io.WriteString(c.stdin, "go on\n"); err != nil {
		t.Fatal(err)
	}
	for c.stdout.Scan() {
	}
	if err := c.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, dir, "name", "other")
	wantFile(t, filepath.Join(dir, "name"), childContent)
}

// TestSweepsMeet has many backends on one directory, all of which sweep while
// the others write.
func TestSweepsMeet(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 25 {
				b, err := openAddress(t, "file://"+dir, backends.Options{})
				if err == nil {
					err = b.Put(t.Context(), fmt.Sprintf("file.%d.%d", i, j), writing("content"))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := len(entries(t, dir)); n != 8*25 {
		t.Errorf("the directory holds %d files of %d", n, 8*25)
	}
}

// TestSweepIsChoosy: only a temporary file goes, and nothing that a link or
// another kind of entry under such a name leads to.
func TestSweepIsChoosy(t *testing.T) {
	dir := t.TempDir()
	temp := func(c string) string { return ".tklbam-" + strings.Repeat(c, 26) + ".tmp" }
	kept := []string{".tklbam-.tmp", ".tklbam-short.tmp", ".tmp", "x" + temp("A"), temp("A") + "x"}
	for _, name := range append(kept, temp("A"), "outside") {
		writeFile(t, filepath.Join(dir, name), "data")
	}
	err := errors.Join(
		os.Symlink("outside", filepath.Join(dir, temp("B"))),
		os.Mkdir(filepath.Join(dir, temp("C")), 0o700),
		unix.Mkfifo(filepath.Join(dir, temp("D")), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	put(t, open(t, dir), "name", "content")
	if _, err := os.Lstat(filepath.Join(dir, temp("A"))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leftover is still there: %v", err)
	}
	for _, name := range append(kept, "outside", temp("B"), temp("C")) {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}
