package restore_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/pkg/extras"
	"tklbam/pkg/restore"
	"tklbam/pkg/rollback"
)

var errFault = errors.New("injected")

// A fault makes the n-th step fail or, as a kill before it, all from the n-th
// on.
type fault struct {
	n, count int
	kill     bool
}

func (f *fault) step(string) error {
	f.count++
	if f.count == f.n || f.kill && f.count > f.n {
		return errFault
	}
	return nil
}

func (f *fault) fired() bool { return f.count >= f.n }

// TestFaults: whichever step of a restore fails, or is the last before a kill,
// and whichever step of the rollback after it, a rollback that runs to its end
// brings the machine back.
func TestFaults(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	dir := t.TempDir()
	m := newMachine(t, rng, filepath.Join(dir, "m"))
	p := profileOf(t, m, dir)
	fresh := m.copy(t, filepath.Join(dir, "fresh"))
	fresh.users(t, "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n", "root:x:0:\nbob:x:1000:\n")
	for range 25 {
		m.mutate(t, rng)
	}
	extract := filepath.Join(dir, "extract")
	backUp(t, m, p, extract)
	before := fresh.state(t, nil, nil, map[uint64]string{}, "")
	for _, kill := range []bool{false, true} {
		steps, undone := 0, 0
		for n := 1; ; n++ {
			c := faultCase{t: t, fresh: fresh, extract: extract, dir: filepath.Join(dir, "case"), before: before}
			f := &fault{n: n, kill: kill}
			c.restore(f.step)
			// The rollback fails once too, at a step that goes through all there are.
			u := &fault{n: 1 + n%25, kill: kill}
			c.undo(u.step)
			c.undo(nil)
			c.check(n)
			undone = max(undone, u.count)
			if t.Failed() {
				return
			}
			if !f.fired() {
				steps = f.count
				break
			}
		}
		if steps < 50 || undone < 20 {
			t.Errorf("kill %v: only %d steps of a restore and %d of a rollback", kill, steps, undone)
		}
		t.Logf("kill %v: %d steps of a restore, up to %d of a rollback", kill, steps, undone)
	}
}

type faultCase struct {
	t            testing.TB
	fresh, m     machine
	extract, dir string
	before       []string
}

// restore starts over with a copy of the fresh machine. Its errors are those
// that were injected, and the paths that they cost.
func (c *faultCase) restore(step func(string) error) {
	must(c.t, os.RemoveAll(c.dir))
	must(c.t, os.Mkdir(c.dir, 0o700))
	c.m = c.fresh.copy(c.t, filepath.Join(c.dir, "m"))
	r := restore.Run{
		System: &restore.System{
			Root: string(c.m), Extract: c.extract, Out: testWriter{c.t}, Now: time.Now(), Fault: step,
			Warn: func(string, error) {},
		},
		Hooks: noHooks(), SkipPackages: true, Record: c.record(),
		Accept: func(context.Context, extras.Conf) error { return nil },
	}
	if _, err := r.Do(c.t.Context()); err != nil && !errors.Is(err, errFault) {
		c.t.Errorf("restore: %v", err)
	}
}

func (c *faultCase) record() string { return filepath.Join(c.dir, "record") }

// undo rolls back, if there is anything to.
func (c *faultCase) undo(step func(string) error) {
	rec, err := rollback.Open(c.record())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	must(c.t, err)
	defer rec.Close()
	u := restore.Undo{Root: string(c.m), Record: rec, Out: testWriter{c.t}, Fault: step, Warn: func(string, error) {}}
	res, err := u.Do(c.t.Context())
	if step == nil && (err != nil || !res.Done()) {
		c.t.Errorf("rollback: %+v, %v", res, err)
	}
	if err != nil && !errors.Is(err, errFault) {
		c.t.Errorf("rollback: %v", err)
	}
}

func (c *faultCase) check(n int) {
	if d := diff(c.before, c.m.state(c.t, nil, nil, map[uint64]string{}, "")); d != "" {
		c.t.Errorf("step %d (- wanted, + found):\n%s", n, d)
	}
}

// TestNoSpace: what would not fit is refused before the first change.
func TestNoSpace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	dir := t.TempDir()
	m := newMachine(t, rand.New(rand.NewPCG(1, 1)), filepath.Join(dir, "m"))
	p := profileOf(t, m, dir)
	small := filepath.Join(dir, "small")
	must(t, os.Mkdir(small, 0o755))
	if err := unix.Mount("none", small, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(small, unix.MNT_DETACH)) })
	fresh := m.copy(t, filepath.Join(small, "fresh"))
	must(t, os.WriteFile(m.path("srv/large"), make([]byte, 4<<20), 0o644))
	extract := filepath.Join(dir, "extract")
	backUp(t, m, p, extract)
	before := fresh.state(t, nil, nil, nil, "")
	r := restore.Run{
		System: &restore.System{Root: string(fresh), Extract: extract, Out: testWriter{t}, Now: time.Now(), Warn: func(string, error) {}},
		Hooks:  noHooks(), SkipPackages: true, Record: filepath.Join(dir, "record"),
		Accept: func(context.Context, extras.Conf) error { return nil },
	}
	_, err := r.Do(t.Context())
	if tight, ok := errors.AsType[*restore.SpaceError](err); !ok || tight.Bytes < 4<<20 {
		t.Errorf("%v", err)
	}
	if d := diff(before, fresh.state(t, nil, nil, nil, "")); d != "" {
		t.Errorf("changed:\n%s", d)
	}
}
