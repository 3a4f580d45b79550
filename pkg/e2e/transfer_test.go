package e2e

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newLarge makes a box and a directory of some megabytes to back up.
func newLarge(t *testing.T, conf ...string) (b *box, src string) {
	b = newBox(t, append(conf, "volsize 1")...)
	src = b.path("home")
	for i, name := range []string{"a", "b", "c"} {
		noise := make([]byte, 2<<20)
		_, err := rand.NewChaCha8([32]byte{byte(i)}).Read(noise)
		ok(t, errors.Join(err, os.WriteFile(filepath.Join(src, name), noise, 0o600)))
	}
	return b, src
}

// sameStorage checks that two targets hold the same files.
func sameStorage(t *testing.T, a, b string) {
	t.Helper()
	if out, err := exec.Command("diff", "-r", a, b).CombinedOutput(); err != nil {
		t.Errorf("the targets differ: %v\n%s", err, out)
	}
}

// TestMirror: what goes to one target goes to the other too; one that lags is
// told of and catches up; and either is enough for a restore.
func TestMirror(t *testing.T) {
	b, src := newLarge(t)
	second := b.path("second")
	mirror := "--mirror=file://" + second
	b.backup(src, mirror)
	sameStorage(t, b.storage, second)

	ok(t, os.Rename(second, second+".away"))
	b.write(second, "no directory")
	b.write(filepath.Join(src, "more"), "more")
	b.fails(3, []string{"mirror: ", "not all could be backed up"}, "backup", "--raw-upload="+src, address(b.storage), mirror)

	ok(t, errors.Join(os.Remove(second), os.Rename(second+".away", second)))
	b.write(filepath.Join(src, "still more"), "more")
	b.backup(src, mirror)
	sameStorage(t, b.storage, second)

	want := look(t, src)
	ok(t, os.Rename(b.storage, b.storage+".away"))
	r := b.run("restore", "--raw-download="+b.path("out"), address(b.storage), mirror)
	b.says(r, 0, "warning: reading from the mirror")
	same(t, "the restored tree", look(t, b.path("out")), want, exact)
	b.says(b.run("status", address(b.storage), mirror), 0, "second")

	// Neither is complete, and together they are.
	ok(t, os.Rename(b.storage+".away", b.storage))
	for i, dir := range []string{b.storage, second} {
		volumes, err := filepath.Glob(filepath.Join(dir, "duplicity-full.*.vol*"))
		ok(t, err)
		ok(t, os.Remove(volumes[i]))
	}
	r = b.run("restore", "--raw-download="+b.path("out2"), address(b.storage), mirror)
	b.says(r, 0, "mirror")
	same(t, "the restored tree", look(t, b.path("out2")), want, exact)
}

// TestCopy: backups are copied as they are, and can be extended where they are
// then.
func TestCopy(t *testing.T) {
	b, src := newLarge(t)
	b.backup(src)
	b.write(filepath.Join(src, "more"), "more")
	b.backup(src)
	to := b.path("copy")
	run := func(args ...string) result {
		return b.run("copy", append([]string{"--logfile=" + b.path("log")}, args...)...)
	}
	from, there := "file://"+b.storage, "file://"+to
	b.says(run("--simulate", from, there), 0, "would be copied")
	if _, err := os.Stat(to); err == nil {
		t.Error("the simulation made the target")
	}
	b.says(run(from, there), 0, "Copied 2 sets")
	sameStorage(t, b.storage, to)
	b.says(run(from, there), 0, "Copied 0 sets")

	volumes, err := filepath.Glob(filepath.Join(b.storage, "duplicity-full.*.vol*"))
	ok(t, err)
	f, err := os.OpenFile(volumes[0], os.O_RDWR, 0)
	ok(t, err)
	_, err = f.WriteAt([]byte("damage"), 5000)
	ok(t, err)
	ok(t, f.Close())
	b.says(run(from, "file://"+b.path("third")), 3, "not all could be copied", filepath.Base(volumes[0]))
	b.says(run(from), 2, "two addresses")

	b.storage = to
	b.write(filepath.Join(src, "late"), "late")
	if sum := b.backup(src); sum.Type != "incremental" {
		t.Errorf("the copy is not extended: %+v", sum)
	}
	same(t, "the restored tree", b.restore(), look(t, src), exact)
}

// TestBandwidth: no more is used than was granted.
func TestBandwidth(t *testing.T) {
	b, src := newLarge(t)
	begin := time.Now()
	b.backup(src, "--limit-upload=3M")
	if took := time.Since(begin); took < 1700*time.Millisecond {
		t.Errorf("6 MiB at 3 MiB/s took %v", took)
	}
	begin = time.Now()
	b.restore("--limit-download=00:00,3M")
	if took := time.Since(begin); took < 1700*time.Millisecond {
		t.Errorf("6 MiB at 3 MiB/s took %v", took)
	}
	b.fails(2, []string{"limit-upload", "3MB"}, "backup", "--raw-upload="+src, address(b.storage), "--limit-upload=3MB")
}

// TestRequireMount: the mount point of a disk that is not there takes nothing.
func TestRequireMount(t *testing.T) {
	b, src := newLarge(t, "require-mount true")
	out, err := exec.Command("stat", "--format=%m", b.dir).Output()
	ok(t, err)
	if strings.TrimSpace(string(out)) != "/" {
		t.Skip("temporary files are on a file system of their own here")
	}
	b.fails(1, []string{"mount"}, "backup", "--raw-upload="+src, address(b.storage))
	if _, err := os.Stat(b.storage); err == nil {
		t.Error("the target was made")
	}
}
