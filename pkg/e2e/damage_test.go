package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// damages are what can happen to a stored file.
var damages = []struct {
	name string
	do   func(path string, size int64) error
}{
	{"flipped at the start", func(path string, size int64) error { return flipAt(path, min(20, size-1)) }},
	{"flipped in its head", func(path string, size int64) error { return flipAt(path, min(60, size/3)) }},
	{"flipped in the middle", func(path string, size int64) error { return flipAt(path, size/2) }},
	{"flipped at the end", func(path string, size int64) error { return flipAt(path, size-1) }},
	{"cut in half", func(path string, size int64) error { return os.Truncate(path, size/2) }},
	{"cut by a byte", func(path string, size int64) error { return os.Truncate(path, size-1) }},
	{"emptied", func(path string, _ int64) error { return os.Truncate(path, 0) }},
	{"deleted", func(path string, _ int64) error { return os.Remove(path) }},
}

func flipAt(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	b[0] ^= 0x10
	if err == nil {
		_, err = f.WriteAt(b, at)
	}
	return errors.Join(err, f.Close())
}

// A ward is a chain to be damaged: a full set of several volumes and two
// incremental ones.
type ward struct {
	*box
	sound  string // where the chain is whole
	points []point
}

func newWard(t *testing.T, encryption string) *ward {
	b := newBox(t, "encryption "+encryption, "volsize 1")
	g := newGardener(t, 80)
	for i := range 24 {
		g.file(fmt.Sprintf("d%d/%02d", i/6, i), g.noise(100000))
	}
	g.file("straddles", g.noise(300000))
	w := &ward{box: b, sound: b.storage}
	w.points = append(w.points, b.point(g))
	for i := range 2 {
		for j := range 6 {
			name := fmt.Sprintf("d%d/%02d", j/2, j*3+i)
			g.edit(name, g.flip)
		}
		g.file(fmt.Sprintf("new%d", i), g.noise(1000))
		w.points = append(w.points, b.point(g))
	}
	return w
}

// damaged makes a copy of the chain with one file damaged, and returns what a
// restore of it said and made.
func (w *ward) damaged(name string, do func(path string, size int64) error, args ...string) (result, tree) {
	w.t.Helper()
	dir := tempDir(w.t)
	storage, out := filepath.Join(dir, "s"), filepath.Join(dir, "out")
	ok(w.t, os.Mkdir(storage, 0o755))
	for n := range stored(w.t, w.sound) {
		if n != name {
			ok(w.t, os.Link(filepath.Join(w.sound, n), filepath.Join(storage, n)))
			continue
		}
		content, err := os.ReadFile(filepath.Join(w.sound, n))
		ok(w.t, err)
		ok(w.t, os.WriteFile(filepath.Join(storage, n), content, 0o600))
		ok(w.t, do(filepath.Join(storage, n), int64(len(content))))
	}
	r := w.run("restore", append(args, "--raw-download="+out, address(storage))...)
	got := tree{}
	if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
		got = look(w.t, out)
	}
	discard(dir)
	return r, got
}

// An outcome is what a restore of a damaged chain came to.
type outcome struct {
	result
	what    string   // the damage
	got     tree     // what it left
	want    point    // the state it restored, or should have
	done    bool     // it said that it had restored that
	missing []string // the regular files it did not restore
}

// outcome finds out what a restore did. No file may have a content that it
// never had at that point.
func (w *ward) outcome(what string, r result, got tree) *outcome {
	w.t.Helper()
	o := &outcome{result: r, what: what, got: got, want: w.points[len(w.points)-1]}
	for _, p := range w.points {
		if strings.Contains(r.stdout, "Restored the state of "+p.at.UTC().Format("2006-01-02 15:04:05")) {
			o.want, o.done = p, true
		}
	}
	for path, n := range o.want.tree {
		g, there := got[path]
		switch {
		case n.kind != unix.S_IFREG:
		case !there:
			o.missing = append(o.missing, path)
		case g.sum != n.sum:
			w.t.Errorf("%s: %q has a content it never had\n%s", what, path, r.output())
		}
	}
	return o
}

// expect checks the exit status, how many files may be missing, and words of
// the output.
func (o *outcome) expect(t *testing.T, code, missing int, words ...string) {
	t.Helper()
	bad := o.code != code || len(o.missing) > missing || o.done != (code != 1)
	for _, word := range words {
		bad = bad || !strings.Contains(o.output(), word)
	}
	if bad {
		t.Errorf("%s: exit status %d, want %d; %d files missing, at most %d; words %q:\n%s",
			o.what, o.code, code, len(o.missing), missing, words, o.output())
	}
}

// TestDamage damages every file of a chain in every way. Whatever a restore
// makes of it: no file has a content that it never had, nothing is missing
// without a word that names the damaged file and an exit status, and what is
// elsewhere is restored.
func TestDamage(t *testing.T) {
	for _, encryption := range []string{"age", "gpg", "none"} {
		t.Run(encryption, func(t *testing.T) {
			w := newWard(t, encryption)
			held := map[string]bool{} // files that the damage of a volume cost
			for _, name := range slices.Sorted(maps.Keys(stored(t, w.sound))) {
				for _, d := range damages {
					r, got := w.damaged(name, d.do)
					o := w.outcome(name+" "+d.name, r, got)
					switch {
					case strings.Contains(name, "sigtar"):
						w.judgeSignatures(t, o, name)
					case strings.Contains(name, "manifest"):
						w.judgeManifest(t, o, name)
					default:
						w.judgeVolume(t, o, name)
					}
					if d.name == "deleted" && strings.HasPrefix(name, "duplicity-full.") && strings.Contains(name, "vol") {
						w.judgeShare(t, o, held)
					}
				}
			}
		})
	}
}

// judgeSignatures: the volumes tell all that matters.
func (w *ward) judgeSignatures(t *testing.T, o *outcome, name string) {
	t.Helper()
	if strings.HasSuffix(o.what, "deleted") {
		name = "the signature file is missing"
	}
	o.expect(t, 0, 0, name, "reading all its volumes instead")
	same(t, o.what, o.got, w.points[2].tree, stock)
}

func (w *ward) judgeManifest(t *testing.T, o *outcome, name string) {
	t.Helper()
	last := w.points[2].at.UTC().Format(".to.20060102T150405Z")
	switch deleted := strings.HasSuffix(o.what, "deleted"); {
	case deleted && strings.Contains(name, "full"):
		o.expect(t, 1, len(w.points[2].tree), "full backup", "not usable: its manifest was lost")
	case deleted && strings.Contains(name, last):
		// What an interrupted session leaves looks the same.
		o.expect(t, 0, 0, "not usable: its manifest is missing")
	case deleted:
		o.expect(t, 3, 0, "not usable: its manifest was lost")
	case strings.HasSuffix(name, "manifest") && o.code == 0:
		// Plain text has nothing to tell that it was changed.
		o.expect(t, 0, 0)
	case strings.HasSuffix(name, "manifest") && !strings.Contains(o.output(), name):
		o.expect(t, 3, 0, "the manifest says")
	default:
		o.expect(t, 3, 0, name)
	}
}

// judgeVolume: of the three volumes of the full set none has more than half
// of the files, nor has an incremental one.
func (w *ward) judgeVolume(t *testing.T, o *outcome, name string) {
	t.Helper()
	if !strings.HasSuffix(o.what, "deleted") {
		o.expect(t, 3, 13, name)
		return
	}
	number := name[strings.Index(name, "vol")+3:]
	o.expect(t, 3, 13, "volume "+number[:strings.Index(number, ".")]+" of the ", "is missing")
}

// judgeShare: volumes cost what they hold, not what others do, but for a file
// that straddles two.
func (w *ward) judgeShare(t *testing.T, o *outcome, held map[string]bool) {
	t.Helper()
	shared := 0
	for _, path := range o.missing {
		if held[path] {
			shared++
		}
		held[path] = true
	}
	if len(o.missing) == 0 || shared > 1 {
		t.Errorf("%s: costs %q, %d of them lost with another volume", o.what, o.missing, shared)
	}
}

// TestLostSignatures: the next backup is a full one and says why.
func TestLostSignatures(t *testing.T) {
	b := newBox(t)
	g := small(t, 81)
	b.backup(g.root)
	g.file("new", g.content(100))
	b.backup(g.root)
	for name := range stored(t, b.storage) {
		if strings.HasPrefix(name, "duplicity-new-signatures") {
			ok(t, os.Remove(filepath.Join(b.storage, name)))
		}
	}
	b.says(b.must("status", address(b.storage)), 0, "will not be extended", "signature file is missing")
	r := b.must("backup", "--raw-upload="+g.root, address(b.storage))
	b.says(r, 0, "Full backup", "warning: incremental backup of ", "its signature file is missing")
	same(t, "the new chain", b.restore(), look(t, g.root), exact)
	if sum := b.backup(g.root); sum.Type != "incremental" {
		t.Errorf("after that: %+v", sum)
	}
}

// TestDamagedSignatures: with the cache gone too, a backup that can't read
// what it would build on is a full one and says why.
func TestDamagedSignatures(t *testing.T) {
	for _, encryption := range []string{"age", "gpg", "none"} {
		t.Run(encryption, func(t *testing.T) {
			b := newBox(t, "encryption "+encryption)
			g := small(t, 82)
			b.backup(g.root)
			damaged := ""
			for name, size := range stored(t, b.storage) {
				if strings.Contains(name, "sigtar") {
					damaged = name
					ok(t, flipAt(filepath.Join(b.storage, name), size/2))
				}
			}
			if sum := b.backup(g.root); sum.Type != "incremental" {
				t.Errorf("with the cache: %+v", sum)
			}
			ok(t, os.RemoveAll(b.path("cache")))
			r := b.must("backup", "--raw-upload="+g.root, address(b.storage))
			b.says(r, 0, "Full backup", "warning: ", damaged)
			same(t, "the new chain", b.restore(), look(t, g.root), exact)
		})
	}
}

// TestForeignFiles: what others keep in the target stays, and is in nobody's
// way.
func TestForeignFiles(t *testing.T) {
	b := newBox(t)
	g := small(t, 83)
	foreign := map[string]string{
		"README": "x", "duplicity-full.manifest": "", "duplicity-full.20200101T000000Z.vol1.difftar.xz": "y", ".hidden": "",
		"other-duplicity-full.20200101T000000Z.manifest.gpg": "z",
	}
	ok(t, os.Mkdir(b.storage, 0o755))
	ok(t, os.Mkdir(filepath.Join(b.storage, "duplicity-full.20200101T000000Z.manifest"), 0o755))
	for name, content := range foreign {
		b.write(filepath.Join(b.storage, name), content)
	}
	b.backup(g.root)
	g.file("new", g.content(10))
	b.backup(g.root)
	b.must("cleanup", address(b.storage))
	same(t, "restored", b.restore(), look(t, g.root), exact)
	for name, content := range foreign {
		if got, err := os.ReadFile(filepath.Join(b.storage, name)); err != nil || string(got) != content {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	b.says(b.must("status", address(b.storage)), 0, "of others, left alone")
}

// TestClockSetBack dates a chain to the future, as a clock that was wrong
// would have.
func TestClockSetBack(t *testing.T) {
	b := newBox(t, "encryption none")
	g := small(t, 84)
	sum := b.backup(g.root)
	dated := sum.Time.UTC().Format("20060102T150405Z")
	for name := range stored(t, b.storage) {
		ok(t, os.Rename(filepath.Join(b.storage, name), filepath.Join(b.storage, strings.ReplaceAll(name, dated, "20370101T000000Z"))))
	}
	first := point{time.Date(2037, 1, 1, 0, 0, 0, 0, time.UTC), look(t, g.root)}
	g.file("new", g.content(10))
	r := b.must("backup", "--raw-upload="+g.root, address(b.storage))
	b.says(r, 0, "the clock", "2037-01-01T00:00:00Z", "recorded as of 2037-01-01T00:00:01Z", "Incremental backup")
	same(t, "the new state", b.restore(), look(t, g.root), exact)
	same(t, "the state before", b.restore(first.timeArg()), first.tree, exact)
	if st := b.status(0); len(st.Chains) != 1 || len(st.Chains[0].Sets) != 2 {
		t.Errorf("%+v", st)
	}
}

// TestWithoutMDC refuses messages without integrity protection, as stock makes
// them with old gpg settings, unless they are allowed.
func TestWithoutMDC(t *testing.T) {
	b := newBox(t)
	d := newDuplicity(t, b.storage, "the secret", "--gpg-options=--rfc2440 --cipher-algo=CAST5")
	g := small(t, 85)
	if r := d.try("full", g.root, d.target); r.code != 0 {
		t.Skip("this gpg can't write without MDC:", r.output())
	}
	for name := range stored(t, b.storage) {
		packets := run(t, gpgPackets(d, filepath.Join(b.storage, name)))
		if strings.Contains(packets.output(), "mdc_method") {
			t.Skip("this gpg can't write without MDC:", packets.output())
		}
	}
	secret := b.secretFile("the secret")
	out := b.path("out")
	b.fails(1, []string{"error: ", "integrity", "--allow-unprotected"}, "restore", "--raw-download="+out, address(b.storage), secret)
	if entries, err := os.ReadDir(out); len(entries) > 0 {
		t.Errorf("%d files are restored: %v", len(entries), err)
	}
	same(t, "allowed", b.restore("--allow-unprotected", secret), look(t, g.root), stock)
}

// gpgPackets lists the packets of a message for the duplicity's passphrase.
func gpgPackets(d *duplicity, path string) *exec.Cmd {
	cmd := exec.Command("gpg", "--batch", "--no-tty", "--pinentry-mode=loopback", "--passphrase-fd=0", "--list-packets", path)
	cmd.Env, cmd.Stdin = d.env, strings.NewReader("the secret\n")
	return cmd
}
