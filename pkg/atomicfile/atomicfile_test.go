package atomicfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestWriteReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	for _, want := range []string{"first\n", "", "a longer second content\n", "x"} {
		if err := Write(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		expect(t, path, want)
	}
	expectNames(t, filepath.Dir(path), "secret")
}

func TestWritePermissions(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "file")
	for _, perm := range []fs.FileMode{0o644, 0o600, 0o755} {
		if err := Write(path, []byte("x"), perm); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != perm {
			t.Errorf("mode %v, want %v", got, perm)
		}
	}
}

func TestWriteReplacesSymlink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	must(t, os.WriteFile(target, []byte("untouched"), 0o600))
	must(t, os.Symlink(target, link))
	must(t, Write(link, []byte("new"), 0o600))
	expect(t, target, "untouched")
	expect(t, link, "new")
	if info, err := os.Lstat(link); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the link is still there: %v, %v", info.Mode(), err)
	}
}

func TestWriteErrors(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	must(t, os.Mkdir(taken, 0o700))
	if err := Write(taken, []byte("x"), 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	expectNames(t, dir, "taken")

	err := Write(filepath.Join(dir, "absent", "file"), []byte("x"), 0o600)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v, want fs.ErrNotExist", err)
	}
}

var errInjected = errors.New("injected")

// faulty fails its n-th operation.
type faulty struct {
	system
	left  int
	fired bool
}

func (d *faulty) step() error {
	d.left--
	if d.left == 0 {
		d.fired = true
		return errInjected
	}
	return nil
}

func (d *faulty) CreateTemp(dir, pattern string) (file, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	f, err := d.system.CreateTemp(dir, pattern)
	return &faultyFile{f, d}, err
}

func (d *faulty) Rename(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.system.Rename(from, to)
}

func (d *faulty) SyncDir(dir string) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.system.SyncDir(dir)
}

type faultyFile struct {
	file
	d *faulty
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.d.step(); err != nil {
		n, _ := f.file.Write(p[:len(p)/2])
		return n, err
	}
	return f.file.Write(p)
}

func (f *faultyFile) Chmod(perm fs.FileMode) error {
	return errors.Join(f.d.step(), f.file.Chmod(perm))
}

func (f *faultyFile) Sync() error { return errors.Join(f.d.step(), f.file.Sync()) }

func (f *faultyFile) Close() error { return errors.Join(f.d.step(), f.file.Close()) }

func TestWriteFailsAtEveryStep(t *testing.T) {
	const steps = 7 // create, write, chmod, sync, close, rename, sync of the directory
	for n := 1; ; n++ {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		must(t, os.WriteFile(path, []byte("old content"), 0o600))
		d := &faulty{left: n}
		err := write(d, path, []byte("new content"), 0o600)
		if !d.fired {
			if n-1 != steps {
				t.Errorf("%d steps can fail, want %d", n-1, steps)
			}
			must(t, err)
			break
		}
		if !errors.Is(err, errInjected) {
			t.Errorf("step %d: error %v, want the injected one", n, err)
		}
		if n < steps {
			expect(t, path, "old content")
		} else {
			expect(t, path, "new content")
		}
		expectNames(t, dir, "file")
		must(t, Write(path, []byte("retried"), 0o600))
		expect(t, path, "retried")
	}
}

// TestWriteKilled kills a process that replaces one file over and over, and
// looks for anything but a whole content.
func TestWriteKilled(t *testing.T) {
	if path := os.Getenv("ATOMICFILE_TEST_PATH"); path != "" {
		writeForever(path)
	}
	path := filepath.Join(t.TempDir(), "file")
	for range 10 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWriteKilled$")
		cmd.Env = append(os.Environ(), "ATOMICFILE_TEST_PATH="+path)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatalf("the writer did not start: %v", err)
		}
		must(t, cmd.Process.Kill())
		if err := cmd.Wait(); err == nil {
			t.Fatal("the writer ended by itself")
		}
		data, err := os.ReadFile(path)
		must(t, err)
		if len(data) != 1<<16 || bytes.Count(data, data[:1]) != len(data) {
			t.Fatalf("torn content of %d bytes", len(data))
		}
	}
}

func writeForever(path string) {
	for i := 0; ; i++ {
		content := bytes.Repeat([]byte{byte('a' + i%26)}, 1<<16)
		if err := Write(path, content, 0o600); err != nil {
			os.Exit(0)
		}
		if i == 0 {
			os.Stdout.WriteString("!")
		}
	}
}

func expect(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s holds %q, want %q", filepath.Base(path), got, want)
	}
}

func expectNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("directory holds %q, want %q", got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
