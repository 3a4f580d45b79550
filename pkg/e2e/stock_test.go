package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A duplicity is the stock program with its own archive directory, on one
// target.
type duplicity struct {
	t       testing.TB
	dir     string
	target  string
	options []string
	env     []string
}

// newDuplicity prepares stock sessions on a target with a passphrase, or
// without encryption if that is "".
func newDuplicity(t testing.TB, target, passphrase string, options ...string) *duplicity {
	t.Helper()
	needs(t, "duplicity", "gpg")
	d := &duplicity{t: t, dir: tempDir(t), target: "file://" + target, options: options}
	for _, name := range []string{"archive", "tmp", "gnupg"} {
		ok(t, os.Mkdir(filepath.Join(d.dir, name), 0o700))
	}
	if passphrase == "" {
		d.options = append(d.options, "--no-encryption")
	}
	home := filepath.Join(d.dir, "gnupg")
	ok(t, os.WriteFile(filepath.Join(home, "gpg.conf"), []byte("s2k-count 65536\n"), 0o600)) // fast
	d.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "TMPDIR=" + filepath.Join(d.dir, "tmp"), "TZ=UTC",
		"GNUPGHOME=" + home, "PASSPHRASE=" + passphrase, "LC_ALL=C.UTF-8",
	}
	t.Cleanup(func() {
		if passphrase != "" {
			run(t, exec.Command("gpgconf", "--homedir", home, "--kill", "all"))
		}
	})
	return d
}

// run runs duplicity, which has to succeed without a warning.
func (d *duplicity) run(args ...string) string {
	d.t.Helper()
	r := d.try(args...)
	if r.code != 0 || strings.Contains(strings.ToLower(r.output()), "warn") {
		d.t.Fatalf("duplicity %q: exit status %d\n%s", args, r.code, r.output())
	}
	return r.output()
}

func (d *duplicity) try(args ...string) result {
	d.t.Helper()
	cmd := exec.CommandContext(d.t.Context(), "duplicity", args...)
	cmd.Args = append(cmd.Args, d.options...)
	cmd.Args = append(cmd.Args, "--archive-dir="+filepath.Join(d.dir, "archive"), "--allow-source-mismatch", "--volsize=1")
	cmd.Env = d.env
	return run(d.t, cmd)
}

// backup runs a session dated to at, since two cannot share a second.
func (d *duplicity) backup(kind string, g *gardener, at time.Time) point {
	d.t.Helper()
	d.run(kind, currentTime(at), g.root, d.target)
	return point{at, look(d.t, g.root)}
}

func currentTime(at time.Time) string { return "--current-time=" + strconv.FormatInt(at.Unix(), 10) }

// restore restores the state of a point, the latest if that is nil, and
// returns it.
func (d *duplicity) restore(p *point) tree {
	d.t.Helper()
	dst := filepath.Join(tempDir(d.t), "out")
	args := []string{"restore", d.target, dst}
	if p != nil {
		args = append(args, p.timeArg())
	}
	d.run(args...)
	got := look(d.t, dst)
	discard(filepath.Dir(dst))
	return got
}

// status is what stock makes of the target. It has to find nothing odd.
func (d *duplicity) status(sets int) {
	d.t.Helper()
	out := d.run("collection-status", d.target)
	if !strings.Contains(out, "No orphaned or incomplete backup sets found") ||
		!strings.Contains(out, "Number of contained backup sets: "+strconv.Itoa(sets)) ||
		!strings.Contains(out, "Found 0 secondary backup chains") {
		d.t.Errorf("want %d sets in one chain:\n%s", sets, out)
	}
}

// verify compares the state of a point with the tree it was made of.
func (d *duplicity) verify(g *gardener, p point) {
	d.t.Helper()
	if out := d.run("verify", "--compare-data", currentTime(p.at.Add(time.Second)), d.target, g.root); !strings.Contains(out, " 0 differences found") {
		d.t.Error(out)
	}
}
