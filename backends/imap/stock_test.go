package imap_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
)

// The path, user and password of these tests. Duplicity takes ASCII alone.
const (
	stockDir      = "web.one"
	stockUser     = "backup"
	stockPassword = `p:a"s\s@/%& {3}`
)

// stock runs Duplicity on an address.
func stock(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(servers.Needs(t, "duplicity"), append([]string{"--no-encryption", "--archive-dir", t.TempDir()}, args...)...)
	cmd.Env = append(os.Environ(), "IMAP_PASSWORD="+stockPassword)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("duplicity %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// stockServer starts a server on an address of its own: Duplicity takes no
// port.
func stockServer(t *testing.T, ip string) *server {
	return dovecot(t, setup{IP: ip, Standard: true, User: stockUser, Password: stockPassword})
}

func (s *server) stockAddress(scheme string) string {
	return fmt.Sprintf("%s://%s@%s/%s", scheme, stockUser, s.Host, stockDir)
}

// source makes a directory to back up, of several volumes.
func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	random := make([]byte, 3<<20)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/random", string(random))
	write(t, dir+"/text", "text\n")
	return dir
}

// files reads a whole target.
func files(t *testing.T, b backends.Backend) map[string]string {
	t.Helper()
	sizes := make(map[string]int64)
	if err := b.List(t.Context(), func(name string, size int64) error {
		sizes[name] = size
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	contents := make(map[string]string)
	for name, size := range sizes {
		contents[name] = readAll(t, b, name)
		if int64(len(contents[name])) != size {
			t.Errorf("%q is listed with %d bytes, it has %d", name, size, len(contents[name]))
		}
	}
	return contents
}

func readAll(t *testing.T, b backends.Backend, name string) string {
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
	return string(p)
}

func putText(t *testing.T, b backends.Backend, name, content string) {
	t.Helper()
	err := b.Put(t.Context(), name, func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// onDisk reads a directory.
func onDisk(t *testing.T, dir string) map[string]string {
	t.Helper()
	contents := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		p, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		contents[e.Name()] = string(p)
	}
	return contents
}

// wantNames checks that some names have these parts.
func wantNames(t *testing.T, got map[string]string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		found := false
		for name := range got {
			found = found || strings.Contains(name, part)
		}
		if !found {
			t.Errorf("no file %q among %d", part, len(got))
		}
	}
}

// TestReadsStock has Duplicity back up into INBOX, as it does without options,
// and restores from a copy made through the driver.
func TestReadsStock(t *testing.T) {
	t.Parallel()
	s := stockServer(t, "127.0.53.143")
	dir := source(t)
	for _, scheme := range []string{"imap", "imaps"} {
		stock(t, "--volsize", "1", dir, s.stockAddress(scheme))
	}
	b, err := tryOpen(t.Context(), s.env, s.stockAddress("imaps"), backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	stored := files(t, b)
	wantNames(t, stored, "vol1.difftar", "vol4.difftar", "manifest", "sigtar")
	putText(t, b, "beside-stock", "data")
	if err := b.Delete(t.Context(), "beside-stock"); err != nil {
		t.Error(err)
	}

	copied, restored := t.TempDir(), t.TempDir()
	for name, content := range stored {
		write(t, filepath.Join(copied, name), content)
	}
	stock(t, "restore", "--force", "file://"+copied, restored)
	if !maps.Equal(onDisk(t, restored), onDisk(t, dir)) {
		t.Error("what Duplicity restores from the copy is not what it backed up")
	}
}

// TestStockReads has Duplicity restore what the driver stored in a mailbox of
// the path's name, and go on with it.
func TestStockReads(t *testing.T) {
	t.Parallel()
	s := stockServer(t, "127.0.53.144")
	dir, chain := source(t), t.TempDir()
	stock(t, "--volsize", "1", dir, "file://"+chain)
	b, err := tryOpen(t.Context(), s.env, s.stockAddress("imaps"), backends.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for name, content := range onDisk(t, chain) {
		putText(t, b, name, content)
	}
	mailbox := []string{"--imap-mailbox", stockDir}
	status := stock(t, append([]string{"collection-status"}, append(mailbox, s.stockAddress("imap"))...)...)
	if !strings.Contains(status, "Full") || !strings.Contains(status, "No orphaned or incomplete backup sets found") {
		t.Errorf("Duplicity sees no chain:\n%s", status)
	}
	restored := t.TempDir()
	stock(t, append([]string{"restore", "--force"}, append(mailbox, s.stockAddress("imaps"), restored)...)...)
	if !maps.Equal(onDisk(t, restored), onDisk(t, dir)) {
		t.Error("what Duplicity restores is not what was backed up")
	}

	// It goes on with the chain, and the driver reads that.
	write(t, dir+"/new", "new\n")
	stock(t, append([]string{"incremental"}, append(mailbox, dir, s.stockAddress("imap"))...)...)
	wantNames(t, files(t, b), "duplicity-inc")
}
