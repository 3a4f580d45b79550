package overlay

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/pkg/rollback"
)

// TestBusy passes over mount points, and directories that hold one.
func TestBusy(t *testing.T) {
	p := newPlace(t, inMemory(t))
	plant(t, p.Root, "d/mounted/", "bound", "f")
	plant(t, p.Extract, "d -> elsewhere", "bound", "f")
	mount(t, "none", filepath.Join(p.Root, "d/mounted"), "tmpfs", 0)
	mount(t, filepath.Join(p.Root, "f"), filepath.Join(p.Root, "bound"), "", unix.MS_BIND)
	p.refused(t, unix.EBUSY, Put("d"))
	p.refused(t, unix.EBUSY, Put("bound"))
	p.begin(t)
	p.refused(t, unix.EBUSY, Put("d"))
	p.refused(t, unix.EBUSY, Put("bound"))
	p.refused(t, unix.EBUSY, Remove("bound"))
	if res := p.apply(t, Put("f"), Remove("d")); res.Done != 1 || res.NotEmpty != 1 {
		t.Errorf("%+v %q", res, p.log.passed)
	}
}

func mount(t *testing.T, what, where, typ string, flags uintptr) {
	t.Helper()
	needsRoot(t)
	if err := unix.Mount(what, where, typ, flags, ""); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(where, unix.MNT_DETACH)) })
}

// TestReadOnly passes over what is on a read-only file system.
func TestReadOnly(t *testing.T) {
	p := newPlace(t, inMemory(t))
	plant(t, p.Root, "ro/f", "rw/")
	plant(t, p.Extract, "ro/f", "ro/new", "rw/f")
	ro := filepath.Join(p.Root, "ro")
	mount(t, ro, ro, "", unix.MS_BIND)
	must(t, unix.Mount("", ro, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	p.begin(t)
	for _, act := range []Action{Put("ro/f"), Put("ro/new"), MakeDir("ro/d", 0o755, 0, 0), Chown("ro/f", 1, 1), Chmod("ro/f", 0o600), Remove("ro/f")} {
		p.refused(t, unix.EROFS, act)
	}
	if res := p.apply(t, Put("ro/f"), Put("rw/f")); res.Done != 1 || res.Failed != 1 {
		t.Errorf("%+v", res)
	}
	must(t, p.Journal.Close())
	p.undo(t)
}

// TestImmutable passes over immutable files and says what they are.
func TestImmutable(t *testing.T) {
	needsRoot(t)
	p := newPlace(t, t.TempDir())
	plant(t, p.Root, "f", "d/g")
	plant(t, p.Extract, "f", "d/g")
	for _, path := range []string{"f", "d"} {
		setImmutable(t, filepath.Join(p.Root, path))
	}
	p.begin(t)
	for _, act := range []Action{Put("f"), Remove("f"), Chmod("f", 0o600), Put("d/g")} {
		p.refused(t, unix.EPERM, act)
		if got := p.log.passed[len(p.log.passed)-1]; !strings.Contains(got, "immutable") {
			t.Error(got)
		}
	}
}

func setImmutable(t *testing.T, path string) {
	t.Helper()
	needs(t, "chattr")
	if out, err := exec.Command("chattr", "+i", path).CombinedOutput(); err != nil {
		t.Skipf("chattr: %v: %s", err, out)
	}
	t.Cleanup(func() { must(t, exec.Command("chattr", "-i", path).Run()) })
}

// TestFull stops at a full disk, which Need foretells, and can be undone.
func TestFull(t *testing.T) {
	small := otherFS(t, "256k")
	for _, recorded := range []string{small, inMemory(t)} {
		p := newPlace(t, small)
		p.Extract = filepath.Join(inMemory(t), "extract")
		plant(t, p.Root, "a", "b", "z")
		plant(t, p.Extract, "a", "z")
		must(t, os.WriteFile(filepath.Join(p.Extract, "b"), bytes.Repeat([]byte("x"), 1<<20), 0o644))
		p.dir = recorded
		p.begin(t)
		plan := []Action{Put("a"), Put("b"), Put("z")}
		need, err := Need(plan, p.Options, p.Journal.Dir())
		must(t, err)
		if len(need) == 0 || !need[0].Short() || need[0].Bytes < 1<<20 || need[0].Inodes < 3 {
			t.Errorf("%+v", need)
		}
		before := snapshot(t, p.Root)
		res, err := Apply(context.Background(), plan, p.Options)
		if !errors.Is(err, unix.ENOSPC) || res.Done != 1 || !strings.Contains(err.Error(), `put "/b"`) {
			t.Errorf("%+v %v", res, err)
		}
		must(t, p.Journal.Close())
		p.undo(t)
		same(t, "undone", snapshot(t, p.Root), before)
		must(t, os.RemoveAll(p.Root))
	}
}

// TestNeedNothing needs nothing for what is moved.
func TestNeedNothing(t *testing.T) {
	p := newPlace(t, inMemory(t))
	plant(t, p.Extract, "deep/down/f")
	p.Consume = true
	need, err := Need([]Action{Put("deep/down/f"), Remove("absent"), Put("../x")}, p.Options, "")
	must(t, err)
	if len(need) != 0 {
		t.Errorf("%+v", need)
	}
	p.Consume = false
	need, err = Need([]Action{Put("deep/down/f"), PutBytes("b", make([]byte, 100), 0, 0, 0)}, p.Options, "")
	must(t, err)
	if len(need) != 1 || need[0].Bytes < 8000 || need[0].Short() {
		t.Errorf("%+v", need)
	}
	if names, err := os.ReadDir(p.Root); err != nil || len(names) > 0 {
		t.Errorf("%v %v", names, err)
	}
}

// TestCapabilities keeps set-id bits and capabilities through Chown, and
// brings them back.
func TestCapabilities(t *testing.T) {
	needsRoot(t)
	p := newPlace(t, inMemory(t))
	plant(t, p.Root, "f")
	full := filepath.Join(p.Root, "f")
	must(t, os.Chmod(full, 0o755|os.ModeSetuid))
	// VFS_CAP_REVISION_2 with CAP_NET_BIND_SERVICE permitted and effective.
	caps := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	if err := unix.Setxattr(full, "security.capability", []byte(caps), 0); err != nil {
		t.Skipf("no capabilities: %v", err)
	}
	before := snapshot(t, p.Root)
	p.begin(t)
	p.apply(t, Chown("f", 1234, 5678))
	for path, line := range snapshot(t, p.Root) {
		if want := strings.Replace(before[path], "104755 0:0", "104755 1234:5678", 1); line != want {
			t.Errorf("%s\nwant %s", line, want)
		}
	}
	p.apply(t, Chmod("f", 0o600))
	must(t, p.Journal.Close())
	p.undo(t)
	same(t, "undone", snapshot(t, p.Root), before)
}

// TestWithoutJournal loses what is displaced.
func TestWithoutJournal(t *testing.T) {
	p := newPlace(t, inMemory(t))
	plant(t, p.Root, "d/sub/f", "f", "l -> d", "empty/", "full/f")
	plant(t, p.Extract, "d -> f", "f/below", "l")
	res := p.apply(t, Put("d"), Put("f/below"), Put("l"), Remove("empty"), Remove("full"), Remove("absent"), MakeDir("full", 0o700, os.Geteuid(), os.Getegid()))
	if res.Done != 6 || res.NotEmpty != 1 {
		t.Errorf("%+v %q", res, p.log.passed)
	}
	var got []string
	for path := range snapshot(t, p.Root) {
		got = append(got, path)
	}
	if len(got) != 7 { // . d f f/below l full full/f
		t.Errorf("%q", got)
	}
}

// TestPutBytes replaces a file whose security label stays.
func TestPutBytes(t *testing.T) {
	p := newPlace(t, inMemory(t))
	plant(t, p.Root, "etc/shadow")
	full := filepath.Join(p.Root, "etc/shadow")
	labelled := unix.Setxattr(full, "security.test", []byte("label"), 0) == nil
	p.apply(t, PutBytes("etc/shadow", []byte("new"), 0o640, os.Geteuid(), os.Getegid()), PutBytes("new/f", nil, 0o400, os.Geteuid(), os.Getegid()))
	st, err := os.Stat(full)
	must(t, err)
	if p.content(t, "etc/shadow") != "new" || st.Mode() != 0o640 || !st.ModTime().Equal(p.Now) {
		t.Errorf("%v %q", st, p.content(t, "etc/shadow"))
	}
	var value [10]byte
	if n, err := unix.Getxattr(full, "security.test", value[:]); labelled && string(value[:max(n, 0)]) != "label" {
		t.Errorf("%q %v", value, err)
	}
}

// TestRaced has somebody else change paths after they were recorded.
func TestRaced(t *testing.T) {
	p := newPlace(t, inMemory(t))
	plant(t, p.Root, "replaced", "vanishing", "appearing-dir")
	plant(t, p.Extract, "replaced", "vanishing", "appearing", "sub/f", "z")
	before := withoutTimes(snapshot(t, p.Root))
	raced := false
	hook := func() {
		must(t, os.WriteFile(filepath.Join(p.Root, "other"), []byte("theirs"), 0o644))
		must(t, os.Rename(filepath.Join(p.Root, "other"), filepath.Join(p.Root, "replaced")))
		must(t, os.Remove(filepath.Join(p.Root, "vanishing")))
		must(t, os.WriteFile(filepath.Join(p.Root, "appearing"), []byte("theirs"), 0o644))
	}
	j, err := rollback.Begin(filepath.Join(p.dir, "rollback"), rollback.Options{Root: p.Root, Now: p.Now, Fault: func(step string) error {
		if step == "link" && !raced {
			raced = true
			hook()
		}
		return nil
	}})
	must(t, err)
	p.Journal = j
	res := p.apply(t, Put("sub/f"), Put("replaced"), Put("vanishing"), Put("appearing"), Put("z"))
	if res.Done != 5 {
		t.Errorf("%+v %q", res, p.log.passed)
	}
	must(t, j.Close())
	p.undo(t)
	after := withoutTimes(snapshot(t, p.Root))
	if strings.Contains(after["appearing"], "theirs") == false || !strings.Contains(after["replaced"], "theirs") || after["vanishing"] != "" {
		t.Errorf("%q\nbefore %q", after, before)
	}
}

// TestCancelled stops between paths.
func TestCancelled(t *testing.T) {
	p := newPlace(t, inMemory(t))
	plant(t, p.Extract, "a", "b")
	ctx, cancel := context.WithCancel(context.Background())
	p.Fault = func(step string) error {
		if strings.HasPrefix(step, "rename") {
			cancel()
		}
		return nil
	}
	res, err := Apply(ctx, []Action{Put("a"), Put("b")}, p.Options)
	if !errors.Is(err, context.Canceled) || res.Done != 1 {
		t.Errorf("%+v %v", res, err)
	}
}

// killedAt makes the test binary a restore that kills itself.
const killedAt = "OVERLAY_TEST_KILLED_AT"

// TestSigkill ends real processes.
func TestSigkill(t *testing.T) {
	if at, err := strconv.Atoi(os.Getenv(killedAt)); err == nil {
		dieAt(t, at)
		return
	}
	dir := inMemory(t)
	for at := 5; at < 60; at += 11 {
		s := everyKind(t, dir, dir)
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestSigkill$")
		cmd.Env = append(os.Environ(), killedAt+"="+strconv.Itoa(at), "OVERLAY_TEST_DIR="+dir)
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.String() != "signal: killed" {
			t.Fatalf("%v: %s", err, out)
		}
		s.undoneAfterKill(t)
	}
}

func dieAt(t *testing.T, at int) {
	dir := os.Getenv("OVERLAY_TEST_DIR")
	count := 0
	step := func(string) error {
		if count++; count == at {
			must(t, unix.Kill(os.Getpid(), unix.SIGKILL))
			time.Sleep(time.Minute) // until it arrives
		}
		return nil
	}
	s := everyKindIn(dir, dir)
	_, err := s.apply(t, true, step)
	must(t, err)
}
