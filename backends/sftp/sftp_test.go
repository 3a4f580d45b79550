package sftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/backends"
	"tklbam/backends/backendtest"
	"tklbam/backends/backendtest/faultproxy"
	"tklbam/backends/backendtest/servers"
)

func TestConformance(t *testing.T) {
	for name, lines := range map[string][]string{"SFTP": {servers.WithSFTP}, "Shell": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, lines...)
			c := newClient(t, s)
			backendtest.Run(t, func(t *testing.T) backends.Backend {
				if name == "Shell" && strings.HasSuffix(t.Name(), "/ListManyOnce") {
					t.Skip("6000 programs to start for a listing that ls makes without pages")
				}
				return c.open(t, s.Addr, s.Mkdir(t))
			})
		})
	}
}

func writing(p []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(p)
		return err
	}
}

func put(t testing.TB, b backends.Backend, name string, p []byte) {
	t.Helper()
	if err := b.Put(t.Context(), name, writing(p)); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, b backends.Backend, name string) ([]byte, error) {
	t.Helper()
	r, err := b.Open(t.Context(), name)
	if err != nil {
		return nil, err
	}
	p, err := io.ReadAll(r)
	return p, errors.Join(err, r.Close())
}

func wantContent(t testing.TB, b backends.Backend, name string, want []byte) {
	t.Helper()
	if got, err := read(t, b, name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %q: %d bytes of %d, %v", name, len(got), len(want), err)
	}
}

func wantEntries(t testing.TB, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the directory holds %q, want %q", got, want)
	}
}

// random returns n bytes that don't compress.
func random(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

// TestPaths opens and makes directories below the login directory and at the
// root, with every scheme.
func TestPaths(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to give the server's user another home directory")
	}
	for kind, lines := range map[string][]string{"sftp": {servers.WithSFTP}, "shell": nil} {
		s := startServer(t, lines...)
		c := newClient(t, s)
		for scheme, path := range map[string]string{"sftp": "/a b/-c", "ssh": "//" + s.Dir + "/abs'\\olute", "scp": "/-r", "SFTP": "/~"} {
			address := scheme + "://" + s.Addr + path
			if err := c.tryError(t, address); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s %s: error is %v, want fs.ErrNotExist", kind, address, err)
			}
			b, err := c.try(t, address, backends.Options{Create: true})
			if err != nil {
				t.Error(err)
				continue
			}
			put(t, b, "name", []byte("data"))
			if !strings.HasPrefix(path, "//") {
				path = s.Dir + path
			}
			wantEntries(t, path, "name")
			for path, want := range map[string]fs.FileMode{path: fs.ModeDir | 0o700, path + "/name": 0o600} {
				if info, err := os.Stat(path); err != nil || info.Mode() != want {
					t.Errorf("%s: %s has mode %v, want %v (%v)", kind, path, info.Mode(), want, err)
				}
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := c.tryError(t, "sftp://"+s.Addr+"/sshd_config"); err == nil || !strings.HasSuffix(err.Error(), "not a directory") {
			t.Errorf("%s: a file as target: %v", kind, err)
		}
		home, err := c.try(t, "sftp://"+s.Addr, backends.Options{})
		if err != nil {
			t.Fatal(err)
		}
		wantContent(t, home, "sshd_config", readFile(t, filepath.Join(s.Dir, "sshd_config")))
		if err := home.Close(); err != nil {
			t.Error(err)
		}
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestKinds has what is no file in a directory, and links.
func TestKinds(t *testing.T) {
	t.Parallel()
	for kind, lines := range map[string][]string{"sftp": {servers.WithSFTP}, "shell": nil} {
		s := startServer(t, lines...)
		dir := s.Mkdir(t)
		c := newClient(t, s)
		err := errors.Join(
			os.Mkdir(filepath.Join(dir, "dir"), 0o755), unix.Mkfifo(filepath.Join(dir, "fifo"), 0o644),
			os.Symlink("nowhere", filepath.Join(dir, "broken")), os.Symlink("loop", filepath.Join(dir, "loop")),
			os.Symlink("../sshd_config", filepath.Join(dir, "link")),
		)
		if err != nil {
			t.Fatal(err)
		}
		b := c.open(t, s.Addr, dir)
		var listed []string
		if err := b.List(t.Context(), func(name string, _ int64) error { listed = append(listed, name); return nil }); err != nil {
			t.Error(err)
		}
		if want := map[string]string{"sftp": "[link]", "shell": "[]"}[kind]; fmt.Sprint(listed) != want {
			t.Errorf("%s: %v is listed, want %s", kind, listed, want)
		}
		for _, name := range []string{"dir", "fifo"} {
			if _, err := read(t, b, name); err == nil || !strings.HasSuffix(err.Error(), "not a regular file") {
				t.Errorf("%s: open %s: %v", kind, name, err)
			}
		}
		if _, err := read(t, b, "broken"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: open a broken link: %v", kind, err)
		}
		wantContent(t, b, "link", readFile(t, filepath.Join(s.Dir, "sshd_config")))
		if err := b.Put(t.Context(), "dir", writing([]byte("x"))); err == nil {
			t.Errorf("%s: a directory could be replaced", kind)
		}
		put(t, b, "link", []byte("new"))
		if info, err := os.Lstat(filepath.Join(dir, "link")); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s: the link is not replaced: %v", kind, err)
		}
		wantEntries(t, dir, "broken", "dir", "fifo", "link", "loop")
	}
}

func TestPermission(t *testing.T) {
	t.Parallel()
	for kind, lines := range map[string][]string{"sftp": {servers.WithSFTP}, "shell": nil} {
		s := startServer(t, lines...)
		dir := s.Mkdir(t)
		c := newClient(t, s)
		b := c.open(t, s.Addr, dir)
		put(t, b, "name", []byte("data"))
		err := errors.Join(os.Chmod(filepath.Join(dir, "name"), 0), os.Chmod(dir, 0o555))
		if err != nil {
			t.Fatal(err)
		}
		_, readErr := read(t, b, "name")
		_, makeErr := c.try(t, "sftp://"+s.Addr+"/"+dir+"/sub", backends.Options{Create: true})
		for what, err := range map[string]error{
			"Open": readErr, "Create": makeErr,
			"Put":    b.Put(t.Context(), "new", writing([]byte("x"))),
			"Delete": b.Delete(t.Context(), "name"),
		} {
			if !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s: %s: error is %v, want fs.ErrPermission", kind, what, err)
			}
		}
	}
}

// TestPlainServer has a server without OpenSSH's extensions, which also lets
// no modes be set.
func TestPlainServer(t *testing.T) {
	t.Parallel()
	s := startServer(t, servers.WithSFTP+" -P posix-rename,fsync,statvfs,setstat,fsetstat")
	dir := s.Mkdir(t)
	b := newClient(t, s).open(t, s.Addr, dir)
	for _, text := range []string{"one", "two", ""} {
		put(t, b, "name", []byte(text))
		wantContent(t, b, "name", []byte(text))
		wantEntries(t, dir, "name")
	}
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := b.(backends.Spacer).Free(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Free: error is %v, want errors.ErrUnsupported", err)
	}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	for kind, lines := range map[string][]string{"sftp": {servers.WithSFTP}, "shell": nil} {
		s := startServer(t, lines...)
		c := newClient(t, s)
		dir := s.Mkdir(t)
		faultproxy.SmallDisk(t, dir, "2m")
		b := c.open(t, s.Addr, dir)
		put(t, b, "old", random(300_000))
		for _, name := range []string{"old", "new"} {
			if err := b.Put(t.Context(), name, writing(random(3<<20))); !errors.Is(err, backends.ErrNoSpace) {
				t.Errorf("%s: error is %v, want backends.ErrNoSpace", kind, err)
			}
			wantEntries(t, dir, "old") // what it left is gone before the next one
		}
		wantContent(t, b, "old", random(300_000))
	}
}

// TestSweep leaves temporary files of an earlier day and of now.
func TestSweep(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]string{{servers.WithSFTP}, nil} {
		s := startServer(t, lines...)
		dir := s.Mkdir(t)
		b := newClient(t, s).open(t, s.Addr, dir)
		temp := func(c string) string { return ".tklbam-" + strings.Repeat(c, 26) + ".tmp" }
		for name, age := range map[string]time.Duration{temp("A"): 49 * time.Hour, temp("B"): time.Hour, ".other": 49 * time.Hour} {
			path := filepath.Join(dir, name)
			then := time.Now().Add(-age)
			if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, then, then)); err != nil {
				t.Fatal(err)
			}
		}
		put(t, b, "name", []byte("data"))
		wantEntries(t, dir, ".other", temp("B"), "name")
	}
}

// TestCut breaks the connection in the middle of everything. The calls under
// way say that the server is not available, later ones connect again.
func TestCut(t *testing.T) {
	t.Parallel()
	for kind, lines := range map[string][]string{"sftp": {servers.WithSFTP}, "shell": nil} {
		s := startServer(t, lines...)
		dir := s.Mkdir(t)
		b := newClient(t, s).open(t, s.Addr, dir)
		content := random(8 << 20)
		put(t, b, "name", content)
		for at := 1; at < len(content); at *= 20 {
			err := b.Put(t.Context(), "name", func(w io.Writer) error {
				_, err := w.Write(content[:at])
				s.Cut()
				for i := 0; i < 64 && err == nil; i++ {
					_, err = w.Write(content)
				}
				return err
			})
			if !errors.Is(err, backends.ErrUnavailable) {
				t.Errorf("%s: Put cut at %d: error is %v, want backends.ErrUnavailable", kind, at, err)
			}
			wantContent(t, b, "name", content)

			r, err := b.Open(t.Context(), "name")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, r, int64(at)); err != nil {
				t.Error(err)
			}
			s.Cut()
			if n, err := io.Copy(io.Discard, r); !errors.Is(err, backends.ErrUnavailable) && n != int64(len(content)-at) {
				t.Errorf("%s: a read cut at %d: %d more bytes and %v", kind, at, n, err)
			}
			r.Close()
		}
		put(t, b, "name", []byte("new"))
		wantContent(t, b, "name", []byte("new"))
		s.Cut()
		if err := b.Close(); err != nil {
			t.Errorf("%s: Close of a cut connection: %v", kind, err)
		}
	}
}

// TestStalled has a server from which nothing comes any more: a cancelled call
// ends nevertheless, and one that is not, when the server counts as gone.
func TestStalled(t *testing.T) {
	for kind, lines := range map[string][]string{"sftp": {servers.WithSFTP}, "shell": nil} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, lines...)
			p, address := faultproxy.Start(t, s.Addr)
			c := newClient(t, s)
			c.trust(t, address, s.HostKey)
			c.write(t, "config", "ServerAliveInterval 1\nServerAliveCountMax 1\n")
			b := c.open(t, address, s.Mkdir(t))
			put(t, b, "name", random(8<<20))
			r, err := b.Open(t.Context(), "name")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			err = b.Put(ctx, "other", func(w io.Writer) error {
				p.Set(faultproxy.Fault{Do: faultproxy.Stall, Stays: true})
				time.AfterFunc(50*time.Millisecond, cancel)
				return writing(random(8 << 20))(w)
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a cancelled Put: %v", err)
			}
			if _, err := io.Copy(io.Discard, r); !errors.Is(err, backends.ErrUnavailable) {
				t.Errorf("a read: %v, want backends.ErrUnavailable", err)
			}
			r.Close()
		})
	}
}

// TestNoServer covers what answers no connection, or not with SSH.
func TestNoServer(t *testing.T) {
	t.Parallel()
	s := startServer(t, servers.WithSFTP)
	c := newClient(t, s)
	refused := listenLoopback(t)
	refused.Close()
	closes := listenLoopback(t)
	go acceptAll(closes, func(conn net.Conn) { conn.Close() })
	silent := listenLoopback(t)
	c.write(t, "config", "Match host 127.0.0.1\nConnectTimeout 1\n")
	for what, l := range map[string]net.Listener{"refuses": refused, "closes": closes} {
		if err := c.tryError(t, "sftp://"+l.Addr().String()+"/x"); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("a server that %s: error is %v, want backends.ErrUnavailable", what, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := backends.Open(ctx, drivers(c), "sftp://"+silent.Addr().String()+"/x", backends.Options{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent server: %v, want the context's error", err)
	}
}

// TestDelayedLink stores and reads over a link on which answers take 50 ms.
// One request after the other, of 32 KiB each, would take half a minute.
func TestDelayedLink(t *testing.T) {
	t.Parallel()
	for kind, lines := range map[string][]string{"sftp": {servers.WithSFTP}, "shell": nil} {
		t.Run(kind, func(t *testing.T) {
			s := startServer(t, lines...)
			p, address := faultproxy.Start(t, s.Addr)
			p.SetDelay(25 * time.Millisecond)
			c := newClient(t, s)
			c.trust(t, address, s.HostKey)
			b := c.open(t, address, s.Mkdir(t))
			content := random(20 << 20)
			begin := time.Now()
			put(t, b, "name", content)
			stored := time.Now()
			wantContent(t, b, "name", content)
			read := time.Since(stored)
			t.Logf("20 MiB stored in %v, read in %v", stored.Sub(begin), read)
			if limit := 6 * time.Second; stored.Sub(begin) > limit || read > limit {
				t.Errorf("it takes longer than %v: requests wait for each other", limit)
			}
		})
	}
}

// TestStockReads: the system's own sftp reads what was stored, and stores what
// is read.
func TestStockReads(t *testing.T) {
	t.Parallel()
	s := startServer(t, servers.WithSFTP)
	dir := s.Mkdir(t)
	c := newClient(t, s)
	b := c.open(t, s.Addr, dir)
	content := random(1 << 20)
	put(t, b, "ours", content)
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	local := t.TempDir()
	cmd := exec.CommandContext(t.Context(), servers.Needs(t, "sftp"), "-q", "-b", "-", "-P", port, "-o", "UserKnownHostsFile="+c.home+"/.ssh/known_hosts",
		"-i", c.home+"/.ssh/id_ed25519", s.User+"@"+host)
	cmd.Stdin = strings.NewReader(fmt.Sprintf("get %s/ours %s/ours\nput %s/ours %s/theirs\n", dir, local, local, dir))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sftp: %v\n%s", err, out)
	}
	if !bytes.Equal(readFile(t, filepath.Join(local, "ours")), content) {
		t.Error("sftp reads something else than what was stored")
	}
	wantContent(t, b, "theirs", content)
}
