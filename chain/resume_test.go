package chain_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/file"
	"tklbam/chain"
	"tklbam/chain/seal"
	"tklbam/chain/timeexpr"
	"tklbam/pkg/backup"
	"tklbam/pkg/restore"
)

// A test that kills sessions runs them in a child: this binary, told by the
// environment what to back up and at which step to die.
func TestMain(m *testing.M) {
	if os.Getenv("CHAIN_TEST_CHILD") != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

// A site is the directories of one backup under test.
type site struct {
	t                    *testing.T
	tree, storage, cache string
	encoding, volumeSize string
}

func newSite(t *testing.T, encoding string) *site {
	dir := t.TempDir()
	s := &site{
		t: t, tree: filepath.Join(dir, "tree"), storage: filepath.Join(dir, "storage"), cache: filepath.Join(dir, "cache"),
		encoding: encoding, volumeSize: strconv.Itoa(256 << 10),
	}
	for _, d := range []string{s.tree, s.storage, s.cache} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *site) env(killAt int) []string {
	return append(os.Environ(), "CHAIN_TEST_CHILD=1", "TREE="+s.tree, "STORAGE="+s.storage, "CACHE="+s.cache,
		"ENCODING="+s.encoding, "VOLSIZE="+s.volumeSize, "KILL_AT="+strconv.Itoa(killAt))
}

func child() int {
	store, err := file.Open(context.Background(), backends.Address{Scheme: "file", Path: os.Getenv("STORAGE")}, backends.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	killAt, _ := strconv.Atoi(os.Getenv("KILL_AT"))
	enc, _ := seal.ParseEncoding(os.Getenv("ENCODING"))
	size, _ := strconv.ParseInt(os.Getenv("VOLSIZE"), 10, 64)
	every, _ := timeexpr.ParseFrequency("1M")
	rep := &problems{}
	dying := &deadly{Store: store}
	dying.steps.Store(int64(killAt))
	sum, err := backup.Raw(context.Background(), backup.Options{
		Dir: os.Getenv("TREE"), Store: dying, Address: "file:///test",
		Secret: []byte("a secret of 160 bits"), Encoding: enc, Frequency: every, VolumeSize: size,
		CacheDir: os.Getenv("CACHE"), Report: rep,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Printf("resumed=%v volumes=%d lost=%d\n%s", sum.Resumed, sum.Volumes, sum.Lost, rep.text.String())
	return 0
}

// problems collects what a session reports.
type problems struct {
	chain.Silent
	text strings.Builder
}

func (p *problems) Problem(x chain.Problem) { fmt.Fprintf(&p.text, "%s: %v\n", x.Path, x.Err) }
func (p *problems) Note(text string)        { fmt.Fprintln(&p.text, text) }

// deadly is a store that kills the process at a step: before and after each
// put and deletion, and before every write of one.
type deadly struct {
	chain.Store
	steps atomic.Int64
}

func (d *deadly) step() {
	if d.steps.Add(-1) == 0 {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (d *deadly) Put(ctx context.Context, name string, write func(io.Writer) error) error {
	d.step()
	err := d.Store.Put(ctx, name, func(w io.Writer) error { return write(&deadlyWriter{w, d}) })
	d.step()
	return err
}

func (d *deadly) Delete(ctx context.Context, name string) error {
	d.step()
	err := d.Store.Delete(ctx, name)
	d.step()
	return err
}

type deadlyWriter struct {
	io.Writer
	d *deadly
}

// Write writes 16 KiB a step.
func (w *deadlyWriter) Write(p []byte) (n int, err error) {
	for err == nil && n < len(p) {
		w.d.step()
		var m int
		m, err = w.Writer.Write(p[n:min(n+16<<10, len(p))])
		n += m
	}
	return n, err
}

// run runs one session, to be killed at a step, 0 for never; it reports
// whether the session finished.
func (s *site) run(killAt int) (string, bool) {
	s.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = s.env(killAt)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
		return "", false
	}
	if err != nil {
		s.t.Fatalf("session: %v\n%s%s", err, out, stderr.Bytes())
	}
	return string(out), true
}

// restore brings back the latest state.
func (s *site) restore() string {
	s.t.Helper()
	dir := s.t.TempDir()
	store, err := file.Open(context.Background(), backends.Address{Scheme: "file", Path: s.storage}, backends.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	rep := &problems{}
	out, err := restore.Raw(context.Background(), restore.Options{
		Dir: dir, Store: store, Secret: []byte("a secret of 160 bits"), Scratch: s.t.TempDir(), Report: rep,
	})
	if err != nil || out.Lost > 0 || out.Warnings > 0 {
		s.t.Fatalf("restore: %v\n%s", err, rep.text.String())
	}
	return dir
}

// A version is one state of a file: what a backup may have read.
type version struct {
	mtime int64
	sum   [32]byte
}

// versions notes the present state of every file beside those before.
func versions(t *testing.T, dir string, all map[string]map[version]bool) {
	t.Helper()
	walk(t, dir, func(path string, v version) {
		if all[path] == nil {
			all[path] = map[version]bool{}
		}
		all[path][v] = true
	})
}

func walk(t *testing.T, dir string, fn func(path string, v version)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		fn(rel, version{st.ModTime().UnixNano(), sha256.Sum256(raw)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fill makes a tree of small files and of some that straddle volumes.
func fill(t *testing.T, rng *rand.Rand, dir string) {
	for i := range 60 {
		size := rng.IntN(3000)
		if i%12 == 5 {
			size = 400<<10 + rng.IntN(900<<10)
		}
		write(t, rng, filepath.Join(dir, fmt.Sprintf("d%d", i%5), fmt.Sprintf("f%02d", i)), size)
	}
}

func write(t *testing.T, rng *rand.Rand, path string, size int) {
	t.Helper()
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(rng.Uint32() >> (rng.Uint32() % 8))
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// mutate changes some files: large ones often, for sessions die within them.
func mutate(t *testing.T, rng *rand.Rand, dir string) {
	t.Helper()
	var paths []string
	walk(t, dir, func(path string, _ version) { paths = append(paths, filepath.Join(dir, path)) })
	for range rng.IntN(6) {
		path := paths[rng.IntN(len(paths))]
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // deleted a moment ago
		}
		switch rng.IntN(5) {
		case 0:
			err = os.Remove(path)
		case 1:
			err = os.WriteFile(path, append(raw, "appended"...), 0o600)
		case 2:
			err = os.WriteFile(path+".new", raw[:len(raw)/2], 0o600)
		default:
			if len(raw) > 0 {
				raw[rng.IntN(len(raw))]++
			}
			err = os.WriteFile(path, raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestKill kills sessions at random steps, changes the tree in between, and
// goes on until one finishes: what it then restores to are states that files
// really had, and one more session catches up with the rest.
func TestKill(t *testing.T) {
	for _, encoding := range []string{"age", "gpg", "none"} {
		t.Run(encoding, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, uint64(len(encoding))))
			s := newSite(t, encoding)
			fill(t, rng, s.tree)
			resumed := 0
			for range 5 {
				all := map[string]map[version]bool{}
				versions(t, s.tree, all)
				for range 6 {
					out, finished := s.run(1 + rng.IntN(250))
					if finished {
						resumed += strings.Count(out, "resumed=true")
						break
					}
					if rng.IntN(2) == 0 {
						mutate(t, rng, s.tree)
						versions(t, s.tree, all)
					}
				}
				out, finished := s.run(0)
				if !finished {
					t.Fatal("a session that is not to be killed did not finish")
				}
				resumed += strings.Count(out, "resumed=true")
				s.checkVersions(all)
				s.run(0)
				s.checkLatest()
				mutate(t, rng, s.tree)
				for i := range 3 {
					write(t, rng, filepath.Join(s.tree, "d2", fmt.Sprintf("large%d", i)), 300<<10+rng.IntN(900<<10))
				}
			}
			t.Logf("%d sessions were gone on with", resumed)
			if resumed == 0 {
				t.Error("no session was gone on with: the test tests nothing")
			}
		})
	}
}

// checkVersions restores and looks every file up among the states it had.
func (s *site) checkVersions(all map[string]map[version]bool) {
	s.t.Helper()
	walk(s.t, s.restore(), func(path string, v version) {
		if !all[path][v] {
			s.t.Errorf("%s was restored to a state it never had", path)
		}
	})
}

// checkLatest restores and compares with the tree as it is.
func (s *site) checkLatest() {
	s.t.Helper()
	got, want := map[string]version{}, map[string]version{}
	walk(s.t, s.restore(), func(path string, v version) { got[path] = v })
	walk(s.t, s.tree, func(path string, v version) { want[path] = v })
	for path, v := range want {
		if got[path] != v {
			s.t.Errorf("%s was not restored to its latest state", path)
		}
		delete(got, path)
	}
	for path := range got {
		s.t.Errorf("%s was restored though it is gone", path)
	}
}

// TestResumeUploadsNothingTwice kills a session after each of its volumes in
// turn: going on with it stores no finished volume again.
func TestResumeUploadsNothingTwice(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := newSite(t, "age")
	fill(t, rng, s.tree)
	stamp := map[string]time.Time{}
	for range 200 {
		_, finished := s.run(80)
		names, err := os.ReadDir(s.storage)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			st, err := n.Info()
			if err != nil {
				t.Fatal(err)
			}
			if was, ok := stamp[n.Name()]; ok && !was.Equal(st.ModTime()) {
				t.Errorf("%s was stored again", n.Name())
			}
			if !strings.HasPrefix(n.Name(), ".") && strings.Contains(n.Name(), "vol") {
				stamp[n.Name()] = st.ModTime()
			}
		}
		if finished {
			if len(stamp) < 4 {
				t.Errorf("only %d volumes: the test tests little", len(stamp))
			}
			s.checkLatest()
			return
		}
	}
	t.Error("the session never finished")
}
