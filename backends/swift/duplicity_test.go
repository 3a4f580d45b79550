package swift_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/file"
	"tklbam/backends/swift"
)

// TestDuplicity has Duplicity restore what was copied into a container by this
// driver, and this driver read what Duplicity wrote: in one piece, and as
// dynamic large objects.
func TestDuplicity(t *testing.T) {
	acc := account(startCluster(t))
	servers.Needs(t, "duplicity")
	if err := exec.Command("/usr/bin/python3", "-c", "import swiftclient.service").Run(); err != nil {
		servers.Absent(t, "python3-swiftclient")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	if err := os.Mkdir(source, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(source+"/file", bytes.Repeat([]byte("content"), 1<<18), 0o600); err != nil {
		t.Fatal(err)
	}
	duplicity := func(args ...string) {
		t.Helper()
		args = append([]string{"--no-encryption", "--archive-dir", t.TempDir(), "--verbosity", "notice"}, args...)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, "duplicity", args...)
		// It needs the second names as well, for version 1: swiftclient.service
		// ignores what it is told.
		cmd.Env = append(os.Environ(), "SWIFT_USERNAME="+acc.User, "SWIFT_PASSWORD="+acc.Password.Reveal(), "SWIFT_AUTHURL="+acc.AuthURL,
			"SWIFT_AUTHVERSION=1",
			"ST_USER="+acc.User, "ST_KEY="+acc.Password.Reveal(), "ST_AUTH="+acc.AuthURL, "HOME="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("duplicity %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	restored := func(address, to string) {
		t.Helper()
		duplicity("restore", address, filepath.Join(dir, to))
		want, _ := os.ReadFile(source + "/file")
		if got, err := os.ReadFile(filepath.Join(dir, to, "file")); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s gives %d bytes of %d, %v", address, len(got), len(want), err)
		}
	}

	duplicity("full", source, "swift://theirs/a/prefix")
	theirs := open(t, swift.Environment{Swift: acc}, "swift://theirs/a/prefix")
	local, err := backends.Open(t.Context(), []backends.Driver{file.Driver()}, "file://"+dir+"/local", backends.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	copyAll(t, local, theirs)
	restored("file://"+dir+"/local", "from-local")
	ours := open(t, swift.Environment{Swift: acc, SegmentSize: 3000}, "swift://ours/a/prefix")
	copyAll(t, ours, local)
	restored("swift://ours/a/prefix", "from-ours")

	duplicity("full", "--mp-segment-size", "1", "--no-compression", source, "swift://parts")
	parts := open(t, swift.Environment{Swift: acc}, "swift://parts")
	again, err := backends.Open(t.Context(), []backends.Driver{file.Driver()}, "file://"+dir+"/again", backends.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	copyAll(t, again, parts)
	restored("file://"+dir+"/again", "from-parts")
	r := login(t, acc)
	if len(r.names("parts_segments")) == 0 {
		t.Error("Duplicity made no segments")
	}
	for _, name := range names(t, parts) {
		if err := parts.Delete(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if left := slices.Concat(r.names("parts"), r.names("parts_segments")); len(left) != 0 {
		t.Errorf("%q are left", left)
	}
}

func names(t *testing.T, b backends.Reader) (all []string) {
	t.Helper()
	err := b.List(t.Context(), func(name string, _ int64) error {
		all = append(all, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// copyAll copies a backend's files, and holds their listed sizes.
func copyAll(t *testing.T, to, from backends.Backend) {
	t.Helper()
	err := from.List(t.Context(), func(name string, size int64) error {
		r, err := from.Open(t.Context(), name)
		if err != nil {
			return err
		}
		defer r.Close()
		return to.Put(t.Context(), name, func(w io.Writer) error {
			n, err := io.Copy(w, r)
			if err == nil && n != size {
				err = fmt.Errorf("%q has %d bytes, listed are %d", name, n, size)
			}
			return err
		})
	})
	if err != nil || len(names(t, to)) < 3 {
		t.Fatalf("%d files copied, %v", len(names(t, to)), err)
	}
}
