package rclone_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/backendtest"
	"tklbam/backends/rclone"
)

// needs skips a test where a program it needs is absent, or fails it in CI.
func needs(t testing.TB, program string) string {
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

// config is a configuration of rclone with the remotes of these tests.
const config = `
[disk]
type = local

[my disk]
type = alias
remote = disk:DIR

[files]
type = alias
remote = disk:DIR

[memory]
type = memory

[sealed]
type = crypt
remote = disk:DIR/sealed
password = PASSWORD
`

// A client is a user of rclone, whose remotes have their files in a directory.
type client struct {
	dir string
	env rclone.Environment
}

func newClient(t testing.TB) *client {
	t.Helper()
	program := needs(t, "rclone")
	obscured, err := exec.Command(program, "obscure", "hunter2").Output()
	if err != nil {
		t.Fatal(err)
	}
	c := &client{dir: t.TempDir()}
	path := filepath.Join(t.TempDir(), "rclone.conf")
	text := strings.NewReplacer("DIR", c.dir, "PASSWORD", strings.TrimSpace(string(obscured))).Replace(config)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.env = rclone.Environment{Environ: append(os.Environ(), "RCLONE_CONFIG="+path), SpoolDir: t.TempDir()}
	t.Cleanup(func() {
		if left, err := os.ReadDir(c.env.SpoolDir); err != nil || len(left) > 0 {
			t.Errorf("%d spool directories are left, error %v", len(left), err)
		}
	})
	return c
}

func (c *client) try(t testing.TB, address string, opts backends.Options) (backends.Backend, error) {
	t.Helper()
	return backends.Open(t.Context(), []backends.Driver{rclone.Driver(c.env)}, address, opts)
}

// open opens a target, and makes it.
func (c *client) open(t testing.TB, address string) backends.Backend {
	t.Helper()
	b, err := c.try(t, address, backends.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestConformanceDisk(t *testing.T) {
	c := newClient(t)
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return c.open(t, "rclone:my disk:"+t.Name())
	})
}

// TestConformanceMemory has a remote that does not rename, as object stores.
func TestConformanceMemory(t *testing.T) {
	c := newClient(t)
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return c.open(t, "rclone:memory:bucket/prefix")
	})
}

func TestCrypt(t *testing.T) {
	c := newClient(t)
	b := c.open(t, "rclone:sealed:a/b")
	for _, p := range [][]byte{[]byte("content"), nil, bytes.Repeat([]byte("x"), 1<<20)} {
		roundTrip(t, b, "two words", p)
	}
	err := filepath.WalkDir(filepath.Join(c.dir, "sealed"), func(path string, d fs.DirEntry, err error) error {
		if strings.Contains(path, "words") {
			t.Errorf("%s shows a name", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// roundTrip stores, finds and reads a file.
func roundTrip(t *testing.T, b backends.Backend, name string, want []byte) {
	t.Helper()
	err := b.Put(t.Context(), name, func(w io.Writer) error {
		_, err := w.Write(want)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = b.List(t.Context(), func(listed string, size int64) error {
		if listed == name && size == int64(len(want)) {
			seen++
		}
		return nil
	})
	if err != nil || seen != 1 {
		t.Errorf("%q is listed %d times, error %v", name, seen, err)
	}
	r, err := b.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%q is read as %d bytes, %v", name, len(got), err)
	}
}

// TestSameTimeAndLength: content is stored also where length and time of what
// is there are those of the new file.
func TestSameTimeAndLength(t *testing.T) {
	b := newClient(t).open(t, "rclone:my disk:target")
	for _, text := range []string{"one", "two", "six"} {
		roundTrip(t, b, "name", []byte(text))
	}
}

func TestOddDirectories(t *testing.T) {
	c := newClient(t)
	for _, name := range []string{"[a]b]", `two "words"`, "a,b=c:d", "$HOME", "-rf", "a*b%41"} {
		address := backends.Address{Scheme: "rclone", Path: "my disk:" + name}
		roundTrip(t, c.open(t, address.String()), "name", []byte("content"))
		if got, err := os.ReadFile(filepath.Join(c.dir, name, "name")); err != nil || string(got) != "content" {
			t.Errorf("%q holds %q, %v", name, got, err)
		}
	}
}

// TestErrors has targets that can't be opened, and what a caller branches on;
// nil is none of these.
func TestErrors(t *testing.T) {
	c := newClient(t)
	broken := &client{env: c.env}
	broken.env.Environ = append(os.Environ(), "RCLONE_CONFIG="+filepath.Join(c.dir, "sealed.conf"))
	if err := os.WriteFile(filepath.Join(c.dir, "sealed.conf"), []byte("# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nAAAA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		client  *client
		address string
		want    error
	}{
		{c, "rclone:my disk:absent", fs.ErrNotExist},
		{c, "rclone:unknown:x", nil},
		{broken, "rclone:disk:x", nil},
		{c, "rclone:my disk:sealed.conf", nil}, // a file
	} {
		_, err := test.client.try(t, test.address, backends.Options{})
		if err == nil {
			t.Errorf("%s can be opened", test.address)
			continue
		}
		t.Log(err)
		for _, kind := range []error{fs.ErrNotExist, fs.ErrPermission, backends.ErrNoSpace, backends.ErrUnavailable} {
			if errors.Is(err, kind) != (kind == test.want) {
				t.Errorf("%s: error is %v, want %v", test.address, err, test.want)
			}
		}
	}
}

// TestStaleTemporaryFiles: a Put removes what a dead run has left, and nothing
// else.
func TestStaleTemporaryFiles(t *testing.T) {
	c := newClient(t)
	b := c.open(t, "rclone:my disk:target")
	stale, fresh := backends.TempName(), backends.TempName()
	old := time.Now().Add(-72 * time.Hour)
	for name, modified := range map[string]time.Time{stale: old, fresh: time.Now(), ".htaccess": old, "name": old} {
		path := filepath.Join(c.dir, "target", name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, modified, modified)); err != nil {
			t.Fatal(err)
		}
	}
	roundTrip(t, b, "new", []byte("content"))
	for name, want := range map[string]bool{stale: false, fresh: true, ".htaccess": true, "name": true, "new": true} {
		if _, err := os.Stat(filepath.Join(c.dir, "target", name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDuplicity has Duplicity look, through its own backend, at a chain that it
// wrote elsewhere and this driver stored.
func TestDuplicity(t *testing.T) {
	duplicity := needs(t, "duplicity")
	c, dir := newClient(t), t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), duplicity, append([]string{"--no-encryption", "--archive-dir", t.TempDir()}, args...)...)
		cmd.Env = c.env.Environ
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("duplicity: %v\n%s", err, out)
		}
		return string(out)
	}
	run("full", t.TempDir(), "file://"+dir)
	b := c.open(t, "rclone:files:chain")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatalf("duplicity wrote %d files, %v", len(files), err)
	}
	for _, f := range files {
		p, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, b, f.Name(), p)
	}
	if out := run("verify", b.String(), t.TempDir()); !strings.Contains(out, "0 differences found") {
		t.Errorf("duplicity says %s", out)
	}
}

// TestCancelledOpen: nothing is left of a server that a cancelled call starts.
func TestCancelledOpen(t *testing.T) {
	c := newClient(t)
	for _, wait := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		b, err := backends.Open(ctx, []backends.Driver{rclone.Driver(c.env)}, "rclone:my disk:x", backends.Options{Create: true})
		cancel()
		if err == nil {
			b.Close()
		} else if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", wait, err)
		}
	}
}
