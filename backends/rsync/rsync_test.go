package rsync_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/backendtest"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/rsync"
)

func TestConformanceDaemon(t *testing.T) {
	d := startDaemon(t, servers.RsyncUsers...)
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		skipMany(t)
		address := "rsync://plain:" + url.QueryEscape(servers.RsyncPassword) + "@127.0.0.1:" + d.Port() + "::/files/" + filepath.Base(t.Name())
		return open(t, environment(), strings.ReplaceAll(address, "+", "%20"))
	})
}

// TestConformanceShell has a stand-in for ssh, whose logins take a lot of time.
func TestConformanceShell(t *testing.T) {
	servers.Needs(t, "rsync")
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		skipMany(t)
		return open(t, local(t), "rsync://host/"+t.TempDir()+"/target")
	})
}

// skipMany leaves thousands of files to TestListMany.
func skipMany(t *testing.T) {
	if strings.HasSuffix(t.Name(), "/ListManyOnce") {
		t.Skip("to run rsync for each of 3000 files takes too long")
	}
}

func TestListMany(t *testing.T) {
	d := startDaemon(t)
	want := make(map[string]int64)
	for i := range 3000 {
		name := fmt.Sprintf("duplicity-full.20200101T000000Z.vol%d.difftar.gpg", i+1)
		want[name] = int64(i)
		write(t, filepath.Join(d.Dir, name), strings.Repeat("x", i))
	}
	got := make(map[string]int64)
	err := open(t, environment(), d.address("")).List(t.Context(), func(name string, size int64) error {
		got[name] = size
		return nil
	})
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%d files are listed, not the 3000 there, error %v", len(got), err)
	}
}

// TestSSH has both forms of paths over a real ssh.
func TestSSH(t *testing.T) {
	s := startShell(t)
	for path, dir := range map[string]string{
		"/rel/dir":                     filepath.Join(s.home, "rel/dir"),
		"//" + s.home[1:] + "/abs/dir": filepath.Join(s.home, "abs/dir"),
		"/":                            s.home,
	} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			b := open(t, s.env, s.address(path))
			roundTrip(t, b, dir, "two words")
		})
	}
}

// roundTrip stores, finds, reads and deletes a file of a target that is a
// directory here.
func roundTrip(t *testing.T, b backends.Backend, dir, name string) {
	t.Helper()
	want := []byte("content")
	put(t, b, name, want)
	if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%q holds %q, %v", filepath.Join(dir, name), got, err)
	}
	if got := read(t, b, name); !bytes.Equal(got, want) {
		t.Errorf("%q is read as %q", name, got)
	}
	seen := 0
	err := b.List(t.Context(), func(listed string, size int64) error {
		if listed == name && size == int64(len(want)) {
			seen++
		}
		return nil
	})
	if err != nil || seen != 1 {
		t.Errorf("%q is listed %d times, error %v", name, seen, err)
	}
	if err := b.Delete(t.Context(), name); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q is still there, error %v", name, err)
	}
}

func put(t *testing.T, b backends.Backend, name string, p []byte) {
	t.Helper()
	err := b.Put(t.Context(), name, func(w io.Writer) error {
		_, err := w.Write(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, b backends.Backend, name string) []byte {
	t.Helper()
	r, err := b.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestOddDirectories has paths that a shell, or rsync at either end, could take
// for something else. Beside each is what its wildcards match.
func TestOddDirectories(t *testing.T) {
	d := startDaemon(t)
	for _, name := range []string{
		"two words; $HOME `id`", "a*b", "[ab]", "a?b", `back\slash`, `b\*`, "-rf", "~root", `a'b "c:d`, "#x {a,b} ", "grüße",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, path := range []string{"axb", "a", "b", "back", "b*", "x"} {
				if err := os.MkdirAll(filepath.Join(dir, path), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			odd := filepath.Join(dir, name, "x", name)
			roundTrip(t, open(t, local(t), backends.Address{Scheme: "rsync", Host: "host", Path: odd}.String()), odd, "name")
			odd = filepath.Join(d.Dir, name, "x")
			roundTrip(t, open(t, environment(), d.address(strings.TrimPrefix(backends.Address{Scheme: "file", Path: "/" + name + "/x"}.String(), "file://"))), odd, "name")
		})
	}
}

func TestRelativeDirectoryIsNoOption(t *testing.T) {
	s := startShell(t)
	for _, name := range []string{"-rf", "~", "~root"} {
		roundTrip(t, open(t, s.env, s.address("/"+name)), filepath.Join(s.home, name), "name")
	}
}

func TestMadeDirectoriesArePrivate(t *testing.T) {
	d := startDaemon(t)
	if err := os.Mkdir(filepath.Join(d.Dir, "there"), 0o755); err != nil {
		t.Fatal(err)
	}
	open(t, environment(), d.address("/there/a/b"))
	put(t, open(t, environment(), d.address("/there/a/b")), "name", []byte("x"))
	for path, want := range map[string]fs.FileMode{"there": 0o755, "there/a": 0o700, "there/a/b": 0o700, "there/a/b/name": 0o600} {
		info, err := os.Stat(filepath.Join(d.Dir, path))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != want {
			t.Errorf("%s has the mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
}

// TestDeleteSparesDirectories: a name that is a directory is no file.
func TestDeleteSparesDirectories(t *testing.T) {
	d := startDaemon(t)
	b := open(t, environment(), d.address(""))
	for _, name := range []string{"empty", "full/x"} {
		if err := os.MkdirAll(filepath.Join(d.Dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put(t, b, "file", []byte("x"))
	for _, name := range []string{"empty", "full"} {
		if err := b.Delete(t.Context(), name); err != nil {
			t.Logf("Delete: %v", err)
		}
		if _, err := os.Stat(filepath.Join(d.Dir, name)); err != nil {
			t.Error(err)
		}
		if _, err := b.Open(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open of a directory: %v", err)
		}
	}
}

// TestErrors has targets that can't be opened, and what a caller branches on;
// nil is none of these.
func TestErrors(t *testing.T) {
	d := startDaemon(t)
	closed := startDaemon(t, servers.RsyncUsers...)
	ssh := startShell(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	kinds := []error{fs.ErrNotExist, fs.ErrPermission, backends.ErrNoSpace, backends.ErrUnavailable}
	for _, test := range []struct {
		address string
		env     rsync.Environment
		want    error
	}{
		{d.address("/absent"), environment(), fs.ErrNotExist},
		{strings.Replace(d.address("/x"), "files", "nomodule", 1), environment(), fs.ErrNotExist},
		{closed.address("/x"), environment(), fs.ErrPermission},
		{strings.Replace(closed.address("/x"), "127", "plain:hunter3@127", 1), environment(), fs.ErrPermission},
		{"rsync://" + free.Addr().String() + "::/files", environment(), backends.ErrUnavailable},
		{"rsync://nohost.invalid::/files", environment(), nil},
		{ssh.address("/absent"), ssh.env, fs.ErrNotExist},
		{ssh.address("/absent"), environment(), nil}, // a host key that is not known
		{"rsync://" + free.Addr().String() + "/x", ssh.env, backends.ErrUnavailable},
		{"rsync://host/x", rsync.Environment{Environ: os.Environ(), Shell: []string{"no-such-shell"}}, nil},
	} {
		_, err := try(t, test.env, test.address, backends.Options{})
		if err == nil {
			t.Errorf("%s can be opened", test.address)
			continue
		}
		for _, kind := range kinds {
			if errors.Is(err, kind) != (kind == test.want) {
				t.Errorf("%s: error is %v, want %v", test.address, err, test.want)
			}
		}
		if strings.Contains(err.Error(), "hunter") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

// TestRefused has a daemon that takes nothing. Its reason can get lost when it
// closes the connection while more is sent.
func TestRefused(t *testing.T) {
	d := startDaemon(t, "read only = yes")
	b := open(t, environment(), d.address(""))
	write(t, filepath.Join(d.Dir, "name"), "old")
	isRefusal := func(err error) bool {
		return errors.Is(err, fs.ErrPermission) || errors.Is(err, backends.ErrUnavailable) && strings.Contains(err.Error(), "reset")
	}
	if err := b.Delete(t.Context(), "name"); !isRefusal(err) {
		t.Errorf("Delete: %v", err)
	}
	if err := b.Put(t.Context(), "name", func(io.Writer) error { return nil }); !isRefusal(err) {
		t.Errorf("Put: %v", err)
	}
	if got := read(t, b, "name"); string(got) != "old" {
		t.Errorf("the file holds %q", got)
	}
}

// TestWithoutSync has a daemon that refuses --fsync, as old ones do.
func TestWithoutSync(t *testing.T) {
	d := startDaemon(t, "refuse options = fsync")
	b := open(t, environment(), d.address(""))
	for range 2 {
		roundTrip(t, b, d.Dir, "name")
	}
}

// TestDirectoryVanishes: a target that is gone, as a disk that is not mounted,
// is not made anew.
func TestDirectoryVanishes(t *testing.T) {
	servers.Needs(t, "rsync")
	dir := filepath.Join(t.TempDir(), "target")
	b := open(t, local(t), "rsync://host/"+dir)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	err := b.Put(t.Context(), "name", func(io.Writer) error { return nil })
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Put: %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory is made anew")
	}
}

// TestCancelKills cancels while rsync waits for a server that never answers.
func TestCancelKills(t *testing.T) {
	d := startDaemon(t)
	b := open(t, environment(), d.address(""))
	d.Become("sh", "-c", "cat >/dev/null")
	for what, call := range map[string]func(context.Context) error{
		"Put":    func(ctx context.Context) error { return b.Put(ctx, "name", func(io.Writer) error { return nil }) },
		"Delete": func(ctx context.Context) error { return b.Delete(ctx, "name") },
		"List":   func(ctx context.Context) error { return b.List(ctx, func(string, int64) error { return nil }) },
		"Open":   func(ctx context.Context) error { _, err := b.Open(ctx, "name"); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		start := time.Now()
		err := call(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 3*time.Second {
			t.Errorf("%s returns %v after %v", what, err, time.Since(start))
		}
	}
	d.Become("true")
	if err := b.Delete(t.Context(), "name"); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("Delete with a server that hangs up: %v", err)
	}
}

// TestDuplicity has Duplicity read, through its own backend, a chain that it
// wrote elsewhere and this driver stored.
func TestDuplicity(t *testing.T) {
	duplicity := servers.Needs(t, "duplicity")
	d := startDaemon(t)
	dir := t.TempDir()
	source, chain := filepath.Join(dir, "source"), filepath.Join(dir, "chain")
	for _, path := range []string{source, chain} {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	want := make([]byte, 100_000)
	rand.NewChaCha8([32]byte{}).Read(want)
	write(t, filepath.Join(source, "file"), string(want))
	run := func(args ...string) {
		t.Helper()
		args = append([]string{"--no-encryption", "--archive-dir", filepath.Join(dir, "archive")}, args...)
		if out, err := exec.CommandContext(t.Context(), duplicity, args...).CombinedOutput(); err != nil {
			t.Fatalf("duplicity: %v\n%s", err, out)
		}
	}
	run("full", source, "file://"+chain)
	b := open(t, environment(), d.address("/chain"))
	files, err := os.ReadDir(chain)
	if err != nil || len(files) == 0 {
		t.Fatalf("duplicity wrote %d files, %v", len(files), err)
	}
	for _, f := range files {
		p, err := os.ReadFile(filepath.Join(chain, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		put(t, b, f.Name(), p)
	}
	if err := os.RemoveAll(filepath.Join(dir, "archive")); err != nil {
		t.Fatal(err)
	}
	run("restore", d.address("/chain"), filepath.Join(dir, "restored"))
	if got, err := os.ReadFile(filepath.Join(dir, "restored", "file")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the restored file has %d bytes, %v", len(got), err)
	}
}
