package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
)

// asNobody names the directory to work in when the test binary runs again
// without privilege.
const asNobody = "TREE_TEST_AS_NOBODY"

const nobody = 65534

// TestAsNobody runs the tests below again as nobody, when run as root.
func TestAsNobody(t *testing.T) {
	needsRoot(t)
	dir, err := os.MkdirTemp("", "tree")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755))
	binary := filepath.Join(dir, "test")
	copyFile(t, "/proc/self/exe", binary)
	must(t, os.Mkdir(filepath.Join(dir, "work"), 0o755))
	must(t, os.Chown(filepath.Join(dir, "work"), nobody, nobody))
	plant(t, dir, "work/roots/f")
	must(t, os.Chmod(filepath.Join(dir, "work/roots"), 0o700))
	cmd := exec.Command(binary, "-test.run=^TestUnprivileged", "-test.v")
	cmd.Env = append(os.Environ(), asNobody+"="+filepath.Join(dir, "work"))
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS: TestUnprivileged") < 3 {
		t.Errorf("%v\n%s", err, out)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	must(t, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	must(t, err)
	_, err = io.Copy(out, in)
	must(t, err)
	must(t, out.Close())
}

func unprivileged(t *testing.T) (base string) {
	t.Helper()
	base = os.Getenv(asNobody)
	if base == "" {
		t.Skip("runs as part of TestAsNobody")
	}
	return base
}

func TestUnprivilegedScan(t *testing.T) {
	base := unprivileged(t)
	plant(t, base, "scan/a", "scan/closed/x", "scan/noexec/y", "scan/z", "scan/unreadable")
	in := func(p string) string { return filepath.Join(base, "scan", p) }
	must(t, os.Chmod(in("closed"), 0))
	must(t, os.Chmod(in("noexec"), 0o400))
	must(t, os.Chmod(in("unreadable"), 0))
	defer os.Chmod(in("closed"), 0o700)
	defer os.Chmod(in("noexec"), 0o700)
	s := newSource(t, Options{Root: in("")})
	var got []string
	for _, n := range collect(t, s) {
		state := "ok"
		if n.Err != nil {
			state = "kept"
			if !errors.Is(n.Err, fs.ErrPermission) || !strings.Contains(n.Err.Error(), n.Entry.Path) {
				t.Error(n.Err)
			}
		}
		got = append(got, fmt.Sprintf("%s:%s:%s", n.Entry.Path, n.Entry.Type, state))
		if n.Entry.Path == "unreadable" {
			if _, err := s.Open(n.Entry); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("Open: %v", err)
			}
		}
	}
	want := []string{":directory:ok", "a:file:ok", "closed:directory:kept", "noexec:directory:kept",
		"unreadable:file:ok", "z:file:ok"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	s = newSource(t, Options{Root: in(""), Select: sel("closed/x", "noexec/y", "z")})
	for _, n := range collect(t, s) {
		below := n.Entry.Path == "closed/x" || n.Entry.Path == "noexec/y"
		if below != (n.Err != nil) || below != (n.Entry.Type == 0) {
			t.Errorf("listed: %q: %v", n.Entry.Path, n.Err)
		}
	}
	exclude := func(path string, _ bool) (bool, bool) { return path == "closed" || path == "noexec", false }
	for _, n := range collect(t, newSource(t, Options{Root: in(""), Exclude: exclude})) {
		if n.Err != nil {
			t.Errorf("excluded, but reported: %v", n.Err)
		}
	}
}

func TestUnprivilegedRestore(t *testing.T) {
	base := unprivileged(t)
	root := filepath.Join(base, "restore")
	must(t, os.Mkdir(root, 0o755))
	for range 2 { // the second time over what the first left
		var lost []string
		tg := newTarget(t, root, TargetOptions{Overwrite: true, Degraded: func(path string, what Loss, _ error) {
			lost = append(lost, fmt.Sprint(path, " ", what))
		}})
		own, others := file("ro/own"), file("ro/others")
		own.Mode, others.Mode, others.UID, others.GID = 0o6755, 0o6755, 1, 2
		own.Xattrs = []archive.Xattr{{Name: "user.x", Value: "1"}}
		others.Xattrs = []archive.Xattr{{Name: capability, Value: "\x01\x00\x00\x02"}, {Name: "trusted.x", Value: "1"}}
		readOnly := directory("ro")
		readOnly.Mode, readOnly.Xattrs = 0o555, own.Xattrs
		own.Mode &^= 0o200
		must(t, tg.Mkdir(readOnly))
		must(t, write(tg, own, "x"))
		must(t, write(tg, others, "y"))
		link := symlink("link", "x")
		link.UID = 1
		must(t, tg.Make(link))
		must(t, tg.SetDirMeta(readOnly))
		err := tg.Make(&archive.Entry{Path: "null", Type: archive.CharDevice, Major: 1, Minor: 3})
		if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), `"null"`) {
			t.Errorf("device: %v", err)
		}
		if m := lstat(t, root, "ro/own").Mode & 0o7777; m != 0o6555 {
			t.Errorf("own file: mode %o", m)
		}
		if m := lstat(t, root, "ro/others").Mode & 0o7777; m != 0o755 {
			t.Errorf("others' file: mode %o", m)
		}
		if n, err := unix.Lgetxattr(filepath.Join(root, "ro/own"), "user.x", nil); n != 1 {
			t.Errorf("attribute of a read-only file: %v", err)
		}
		want := []string{"ro/others owner", "ro/others extended attribute", "ro/others set-id bits"}
		slices.Sort(want)
		slices.Sort(lost)
		stats := map[Loss]int{LostOwner: 2, LostXattr: 2, LostSetID: 1}
		if !slices.Equal(lost, want) || !maps.Equal(tg.Stats(), stats) {
			t.Errorf("lost %q, %v", lost, tg.Stats())
		}
	}
	must(t, os.Chmod(filepath.Join(root, "ro"), 0o755))
}

func TestUnprivilegedForeignDirectory(t *testing.T) {
	base := unprivileged(t)
	tg := newTarget(t, base, TargetOptions{Overwrite: true})
	if err := write(tg, file("roots/g"), "x"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("into root's directory: %v", err)
	}
	if err := tg.SetDirMeta(directory("roots")); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("metadata of root's directory: %v", err)
	}
	if err := tg.Mkdir(directory("roots")); err != nil {
		t.Errorf("it exists already: %v", err)
	}
}
