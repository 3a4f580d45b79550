package restore_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/chain"
	"tklbam/chain/archive"
	"tklbam/pkg/backup"
	"tklbam/pkg/dirindex"
	"tklbam/pkg/extras"
	"tklbam/pkg/hooks"
	"tklbam/pkg/limits"
	"tklbam/pkg/profile"
	"tklbam/pkg/registry"
	"tklbam/pkg/restore"
	"tklbam/pkg/rollback"
	"tklbam/pkg/tree"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
}

// A machine is a small system in a directory.
type machine string

func (m machine) path(p string) string { return filepath.Join(string(m), p) }

// names have what makes trouble.
var names = []string{"a", "b", "c", "a-b", "a.d", "new\nline", "tab\t", "sp ace", "\xff\xfe", "-rf", "ünï"}

// newMachine makes users and a random tree in /etc, /srv and /var/www.
func newMachine(t testing.TB, rng *rand.Rand, dir string) machine {
	m := machine(dir)
	for _, d := range []string{"etc", "srv", "var/www", "var/other"} {
		must(t, os.MkdirAll(m.path(d), 0o755))
	}
	m.users(t, "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/var/www:/bin/false\nann:x:1000:1000::/home/ann:/bin/sh\n",
		"root:x:0:\nwww:x:33:\nann:x:1000:\n")
	for range 60 {
		m.mutate(t, rng)
	}
	return m
}

func (m machine) users(t testing.TB, passwd, group string) {
	must(t, os.WriteFile(m.path("etc/passwd"), []byte(passwd), 0o644))
	must(t, os.WriteFile(m.path("etc/group"), []byte(group), 0o644))
}

// covered lists all that may be changed.
func (m machine) covered(t testing.TB) (dirs, all []string) {
	for _, top := range []string{"etc", "srv", "var/www"} {
		must(t, filepath.WalkDir(m.path(top), func(p string, d fs.DirEntry, err error) error {
			if err != nil || strings.HasPrefix(p, m.path("etc/passwd")) || strings.HasPrefix(p, m.path("etc/group")) {
				return err
			}
			if d.IsDir() {
				dirs = append(dirs, p)
			}
			if p != m.path(top) {
				all = append(all, p)
			}
			return nil
		}))
	}
	return dirs, all
}

var when = time.Date(2020, 2, 2, 2, 2, 2, 123456789, time.UTC)

// mutate does one random thing to the tree.
func (m machine) mutate(t testing.TB, rng *rand.Rand) {
	dirs, all := m.covered(t)
	path := filepath.Join(dirs[rng.IntN(len(dirs))], names[rng.IntN(len(names))])
	if len(all) > 0 && rng.IntN(3) == 0 {
		path = all[rng.IntN(len(all))]
	}
	_, err := os.Lstat(path)
	exists := err == nil
	switch n := rng.IntN(12); {
	case exists && n == 0:
		must(t, os.RemoveAll(path))
		return
	case exists && n < 3:
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink == 0 {
			mode := []uint32{0o600, 0o755, 0o711, 0o4755, 0o2710}[rng.IntN(5)]
			if info.IsDir() {
				mode |= 0o700
			}
			must(t, unix.Chmod(path, mode))
		}
		return
	case exists && n < 5:
		m.chown(t, rng, path)
		return
	case exists && n == 5:
		dir := filepath.Join(dirs[rng.IntN(len(dirs))], fmt.Sprint("moved", rng.IntN(5)))
		os.Rename(path, dir) // into itself, say: then it stays
		return
	case exists:
		must(t, os.RemoveAll(path))
	}
	switch rng.IntN(8) {
	case 0, 1:
		must(t, os.Mkdir(path, 0o755))
	case 2:
		must(t, os.Symlink([]string{"nowhere", "../nowhere", "/etc/passwd"}[rng.IntN(3)], path))
	case 3:
		must(t, unix.Mkfifo(path, 0o644))
	case 4:
		for _, other := range all {
			if info, err := os.Lstat(other); err == nil && info.Mode().IsRegular() {
				must(t, os.Link(other, path))
				break
			}
		}
		return
	default:
		must(t, os.WriteFile(path, []byte(strings.Repeat(fmt.Sprint(rng.Uint32()), rng.IntN(30))), 0o644))
		must(t, os.Chtimes(path, when, when.Add(time.Duration(rng.Int64N(1e15)))))
	}
	m.chown(t, rng, path)
}

func (m machine) chown(t testing.TB, rng *rand.Rand, path string) {
	if os.Getuid() == 0 {
		ids := []int{0, 33, 1000}
		must(t, os.Lchown(path, ids[rng.IntN(3)], ids[rng.IntN(3)]))
	}
}

// copy makes another machine of the same state.
func (m machine) copy(t testing.TB, dir string) machine {
	run(t, "cp", "-a", string(m), dir)
	return machine(dir)
}

// state lists everything below the given directories, a line for each path.
// Owners go through the maps. Which paths are one file is told if links is not
// nil: a delta does not say so of files that are as they were.
func (m machine) state(t testing.TB, uids, gids map[int]int, links map[uint64]string, tops ...string) []string {
	var list []string
	id := func(ids map[int]int, n uint32) int {
		if to, ok := ids[int(n)]; ok {
			return to
		}
		return int(n)
	}
	for _, top := range tops {
		must(t, filepath.WalkDir(m.path(top), func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			var st unix.Stat_t
			if err := unix.Lstat(p, &st); err != nil {
				return err
			}
			line := fmt.Sprintf("%q %o %d:%d", strings.TrimPrefix(p, string(m)), st.Mode, id(uids, st.Uid), id(gids, st.Gid))
			switch st.Mode & unix.S_IFMT {
			case unix.S_IFLNK:
				to, err := os.Readlink(p)
				must(t, err)
				line += " -> " + to
			case unix.S_IFREG:
				data, err := os.ReadFile(p)
				must(t, err)
				line += fmt.Sprintf(" %d %x", st.Mtim.Nano(), sha256.Sum256(data))
				if st.Nlink > 1 && links != nil {
					if links[st.Ino] == "" {
						links[st.Ino] = p
					}
					line += " = " + strings.TrimPrefix(links[st.Ino], string(m))
				}
			}
			list = append(list, line)
			return nil
		}))
	}
	slices.Sort(list)
	return list
}

func diff(a, b []string) string {
	var out strings.Builder
	for _, l := range a {
		if !slices.Contains(b, l) {
			fmt.Fprintln(&out, "-", l)
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			fmt.Fprintln(&out, "+", l)
		}
	}
	return out.String()
}

// profileOf makes a profile of the machine as it is.
func profileOf(t testing.TB, m machine, dir string) *profile.Profile {
	r, err := registry.Open(filepath.Join(dir, "registry"))
	must(t, err)
	custom := filepath.Join(dir, "custom")
	must(t, profile.Create(t.Context(), profile.Options{
		Dir: custom, Root: string(m), Conf: strings.NewReader("/etc\n/srv\n/var/www\n-/var/www/b\n/var/www/b/a\n"),
		Index: func(ctx context.Context, w io.Writer, root string, list limits.List) error {
			return dirindex.Create(ctx, w, dirindex.Options{Root: root, Scope: dirindex.NewScope(list)})
		},
	}))
	src, err := profile.DirectorySource(custom)
	must(t, err)
	must(t, profile.Install(t.Context(), r.Profile(), src))
	p, err := profile.Load(r.Profile(), "generic")
	must(t, err)
	return p
}

// noHooks are those of an empty configuration.
func noHooks() *hooks.Hooks { return &hooks.Hooks{} }

// backUp dumps what changed on a machine.
func backUp(t testing.TB, m machine, p *profile.Profile, dir string) {
	must(t, os.Mkdir(dir, 0o700))
	sys := &backup.System{Root: string(m), Extras: extras.In(dir), Profile: p, SkipPackages: true, Report: complain{t}}
	r := backup.Run{
		System: sys, Hooks: noHooks(), Keep: true,
		Show:  func(backup.Footprint, *backup.Findings) error { return nil },
		Store: func(ctx context.Context, selected []tree.Selected) error { return sys.Dump(ctx, dir, selected) },
	}
	must(t, r.Do(t.Context()))
}

// complain fails the test with whatever a session has to say.
type complain struct{ t testing.TB }

func (complain) Phase(string)              {}
func (complain) Total(int64, int64)        {}
func (complain) Path(string)               {}
func (complain) Add(int64, int64, int64)   {}
func (c complain) Note(s string)           { c.t.Log(s) }
func (c complain) Problem(p chain.Problem) { c.t.Errorf("%s: %v", p.Path, p.Err) }

func restoreOnto(t testing.TB, m machine, extract, record string) restore.Outcome {
	r := restore.Run{
		System: &restore.System{
			Root: string(m), Extract: extract, Out: testWriter{t}, Now: time.Now(),
			Warn: func(path string, err error) { t.Errorf("%s: %v", path, err) },
		},
		Hooks: noHooks(), SkipPackages: true, Record: record,
		Accept: func(context.Context, extras.Conf) error { return nil },
	}
	out, err := r.Do(t.Context())
	must(t, err)
	return out
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) { return len(p), nil }

// TestThereAndBack: what changed on a machine since its installation, restored
// over a fresh one, makes the same of it in all that the profile covers; and a
// rollback makes it fresh again.
func TestThereAndBack(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			dir := t.TempDir()
			rng := rand.New(rand.NewPCG(seed, 7))
			m := newMachine(t, rng, filepath.Join(dir, "m"))
			p := profileOf(t, m, dir)
			fresh := m.copy(t, filepath.Join(dir, "fresh"))
			for range 30 {
				m.mutate(t, rng)
			}
			extract, record := filepath.Join(dir, "extract"), filepath.Join(dir, "record")
			backUp(t, m, p, extract)
			before := fresh.state(t, nil, nil, map[uint64]string{}, "")
			out := restoreOnto(t, fresh, extract, record)
			if out.Files.Failed > 0 {
				t.Errorf("failed: %q", out.Files.Paths)
			}
			if d := diff(m.inProfile(t, nil, nil), fresh.inProfile(t, nil, nil)); d != "" {
				t.Errorf("after the restore (- wanted, + found):\n%s", d)
			}
			undo(t, fresh, record)
			if d := diff(before, fresh.state(t, nil, nil, map[uint64]string{}, "")); d != "" {
				t.Errorf("after the rollback (- wanted, + found):\n%s", d)
			}
		})
	}
}

// inProfile is the state of what the profile covers.
func (m machine) inProfile(t testing.TB, uids, gids map[int]int) []string {
	list := m.state(t, uids, gids, nil, "etc", "srv", "var/www")
	return slices.DeleteFunc(list, func(l string) bool {
		path, err := strconv.QuotedPrefix(l)
		must(t, err)
		path, err = strconv.Unquote(path)
		must(t, err)
		return archive.Within(path, "/var/www/b") && !archive.Within(path, "/var/www/b/a")
	})
}

func undo(t testing.TB, m machine, record string) {
	rec, err := rollback.Open(record)
	must(t, err)
	defer rec.Close()
	u := restore.Undo{Root: string(m), Record: rec, Out: testWriter{t}, Warn: func(path string, err error) { t.Errorf("%s: %v", path, err) }}
	res, err := u.Do(t.Context())
	must(t, err)
	if !res.Done() {
		t.Errorf("%+v", res)
	}
	if _, err := os.Stat(record); !os.IsNotExist(err) {
		t.Errorf("the record stays: %v", err)
	}
}

// TestMapped restores onto a machine where the ids mean other users.
func TestMapped(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	for seed := range uint64(10) {
		dir := t.TempDir()
		rng := rand.New(rand.NewPCG(seed, 8))
		m := newMachine(t, rng, filepath.Join(dir, "m"))
		p := profileOf(t, m, dir)
		fresh := m.copy(t, filepath.Join(dir, "fresh"))
		// The files of the installation have the ids of the installation.
		fresh.users(t, "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/var/www:/bin/false\nbob:x:1000:1000::/home/bob:/bin/sh\n",
			"root:x:0:\nwww:x:33:\nbob:x:1000:\n")
		must(t, os.RemoveAll(fresh.path("srv")))
		must(t, os.Mkdir(fresh.path("srv"), 0o755))
		for range 20 {
			m.mutate(t, rng)
		}
		extract := filepath.Join(dir, "extract")
		// Everything in /srv is new, and so goes into the backup.
		index, err := os.ReadFile(p.Paths.Dirindex)
		must(t, err)
		kept := slices.DeleteFunc(strings.SplitAfter(string(index), "\n"), func(l string) bool { return strings.HasPrefix(strings.TrimPrefix(l, "/."), "/srv/") })
		must(t, os.WriteFile(p.Paths.Dirindex, []byte(strings.Join(kept, "")), 0o644))
		backUp(t, m, p, extract)
		restoreOnto(t, fresh, extract, filepath.Join(dir, "record"))
		ids := map[int]int{1000: 1001}
		if d := diff(m.state(t, ids, ids, nil, "srv"), fresh.state(t, nil, nil, nil, "srv")); d != "" {
			t.Errorf("seed %d (- wanted, + found):\n%s", seed, d)
		}
		passwd, err := os.ReadFile(fresh.path("etc/passwd"))
		must(t, err)
		if !strings.Contains(string(passwd), "ann:x:1001:1001:") || !strings.Contains(string(passwd), "bob:x:1000:1000:") {
			t.Errorf("users:\n%s", passwd)
		}
	}
}
