package ftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/ftp"
)

func put(ctx context.Context, b backends.Backend, name string, content []byte) error {
	return b.Put(ctx, name, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

func read(t *testing.T, b backends.Reader, name string) ([]byte, error) {
	t.Helper()
	r, err := b.Open(t.Context(), name)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	return content, errors.Join(err, r.Close())
}

func wantNames(t *testing.T, b backends.Reader, want ...string) {
	t.Helper()
	var got []string
	err := b.List(t.Context(), func(name string, size int64) error {
		got = append(got, fmt.Sprintf("%s %d", name, size))
		return nil
	})
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("List gives %q, %v, want %q", got, err, want)
	}
}

// wantOnly looks into the server's directory.
func wantOnly(t *testing.T, s *server, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.root, "dir"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("the server has %q, want %q", got, want)
	}
}

var big = bytes.Repeat([]byte("0123456789abcde\n"), 200_000)

// TestOddities stores on servers that lack something.
func TestOddities(t *testing.T) {
	for name, o := range map[string]oddity{
		"no rename over a file": {NoRename: true},
		"no MLSD":               {Without: []string{"MLSD", "MLST"}},
		"no SIZE":               {Without: []string{"SIZE"}},
		"no SIZE and no MLSD":   {Without: []string{"SIZE", "MLSD", "MLST"}},
		"no NLST and no MLSD":   {Without: []string{"NLST", "MLSD", "MLST"}},
		"no EPSV":               {Without: []string{"EPSV"}},
		"no FEAT and no OPTS":   {Without: []string{"FEAT", "OPTS"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := pyftpdlib(t, o)
			b := s.open(t, "/dir", backends.Options{})
			if err := os.Mkdir(s.root+"/dir/collection", 0o755); err != nil {
				t.Fatal(err)
			}
			for _, content := range [][]byte{[]byte("small"), big, []byte("x")} {
				if err := put(t.Context(), b, "a name – ü", content); err != nil {
					t.Fatal(err)
				}
				got, err := read(t, b, "a name – ü")
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("%d bytes of %d, %v", len(got), len(content), err)
				}
				wantNames(t, b, fmt.Sprintf("a name – ü %d", len(content)))
			}
			wantOnly(t, s, "a name – ü", "collection")
		})
	}
}

// TestCut ends connections in the middle of transfers.
func TestCut(t *testing.T) {
	s, p := pyftpdlib(t, oddity{}).behind(t)
	b := s.open(t, "/dir", backends.Options{})
	cut := func() {
		p.Control.Cut()
		p.Data.Cut()
	}
	if err := put(t.Context(), b, "name", []byte("old")); err != nil {
		t.Fatal(err)
	}
	err := b.Put(t.Context(), "name", func(w io.Writer) error {
		_, err := w.Write(big)
		cut()
		return err
	})
	if !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("a connection cut in a Put: %v", err)
	}
	wantNames(t, b, "name 3")
	wantOnly(t, s, "name")
	if err := put(t.Context(), b, "name", big); err != nil {
		t.Errorf("repeated: %v", err)
	}
	r, err := b.Open(t.Context(), "name")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cut()
	if _, err := io.ReadAll(r); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("a connection cut under a reader: %v", err)
	}
}

// TestIdle ends the idle connections as servers do after a minute.
func TestIdle(t *testing.T) {
	s, p := vsftpd(t, "ftp", false).behind(t)
	b := s.open(t, "/dir", backends.Options{})
	drop := func() {
		if err := ftp.Age(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		p.Control.Cut()
	}
	for range 2 {
		drop()
		if err := put(t.Context(), b, "name", []byte("data")); err != nil {
			t.Errorf("Put: %v", err)
		}
		drop()
		wantNames(t, b, "name 4")
		drop()
		if _, err := read(t, b, "name"); err != nil {
			t.Errorf("read: %v", err)
		}
	}
	drop()
	if err := b.Delete(t.Context(), "name"); err != nil {
		t.Errorf("Delete: %v", err)
	}
}

// TestStale leaves temporary files of different ages for the first Put, on
// servers whose listings show hidden files and on those that want to be asked.
func TestStale(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) *server{
		"pyftpdlib": func(t *testing.T) *server { return pyftpdlib(t, oddity{}) },
		"vsftpd":    func(t *testing.T) *server { return vsftpd(t, "ftp", false) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			old, young, other := ".tklbam-AAAAAAAAAAAAAAAAAAAAAAAAAA.tmp", ".tklbam-BBBBBBBBBBBBBBBBBBBBBBBBBB.tmp", ".other"
			for _, name := range []string{old, young, other} {
				path := filepath.Join(s.root, "dir", name)
				write(t, path, "data")
				if name != young {
					if err := os.Chtimes(path, time.Time{}, time.Now().Add(-72*time.Hour)); err != nil {
						t.Fatal(err)
					}
				}
			}
			b := s.open(t, "/dir", backends.Options{})
			wantNames(t, b)
			if err := put(t.Context(), b, "name", []byte("data")); err != nil {
				t.Fatal(err)
			}
			wantOnly(t, s, other, young, "name")
		})
	}
}

func TestOpenTarget(t *testing.T) {
	s := pyftpdlib(t, oddity{})
	write(t, s.root+"/dir/plain", "data")
	for _, c := range []struct {
		path   string
		create bool
		want   error
	}{
		{"", false, nil},
		{"/dir", false, nil},
		{"//dir", false, nil},
		{"/dir/a/b%20c", false, fs.ErrNotExist},
		{"/dir/a/b%20c", true, nil},
		{"//dir/a/b%20c", false, nil},
		{"//dir/d/e", true, nil},
	} {
		b, err := s.tryOpen(t.Context(), c.path, backends.Options{Create: c.create})
		if !errors.Is(err, c.want) {
			t.Errorf("open %q, create %v: %v, want %v", c.path, c.create, err, c.want)
		}
		if err == nil {
			b.Close()
		}
	}
	if _, err := s.tryOpen(t.Context(), "/dir/plain", backends.Options{Create: true}); err == nil {
		t.Error("a file is opened as a directory")
	}
	s.env.Password = backends.NewSecret("wrong-one")
	_, err := s.tryOpen(t.Context(), "/dir", backends.Options{})
	if !errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "wrong-one") {
		t.Errorf("with a wrong password: %v", err)
	}
}

// TestEncryption opens servers that encrypt in either manner by either scheme,
// and servers that must not be talked to.
func TestEncryption(t *testing.T) {
	explicit := pyftpdlib(t, oddity{TLS: true})
	explicit.address = strings.Replace(explicit.address, "ftpes", "ftps", 1)
	b := explicit.open(t, "/dir", backends.Options{})
	if err := put(t.Context(), b, "name", big); err != nil {
		t.Errorf("ftps:// with explicit TLS: %v", err)
	}
	if got, err := read(t, b, "name"); err != nil || !bytes.Equal(got, big) {
		t.Errorf("ftps:// with explicit TLS: %d bytes of %d, %v", len(got), len(big), err)
	}
	explicit.env.CAFile = ""
	if _, err := explicit.tryOpen(t.Context(), "/dir", backends.Options{}); err == nil || errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("a certificate nobody trusts: %v", err)
	}
	clear := pyftpdlib(t, oddity{})
	for _, scheme := range []string{"ftps", "ftpes"} {
		s := *clear
		s.address = strings.Replace(s.address, "ftp", scheme, 1)
		if _, err := s.tryOpen(t.Context(), "/dir", backends.Options{}); err == nil {
			t.Errorf("%s:// is content without encryption", scheme)
		}
	}
}
