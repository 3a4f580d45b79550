package chain_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"tklbam/backends"
	"tklbam/backends/file"
	"tklbam/backends/mirror"
	"tklbam/chain"
	"tklbam/chain/seal"
	"tklbam/chain/timeexpr"
	"tklbam/pkg/backup"
)

// TestCopyRestores copies chains that sessions made, compares them with the
// hashes in their manifests, and restores from the copy.
func TestCopyRestores(t *testing.T) {
	for _, encoding := range []string{"age", "gpg", "gzip", "none"} {
		t.Run(encoding, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 3))
			s := newSite(t, encoding)
			fill(t, rng, s.tree)
			s.mustSession()
			write(t, rng, filepath.Join(s.tree, "d1", "new"), 600<<10)
			s.mustSession()

			from, dir := s.store(), t.TempDir()
			out, text, err := copied(t, chain.CopyOptions{From: from, To: openDir(t, dir), Secret: []byte("a secret of 160 bits")})
			if err != nil || out.Sets != 2 || text != "" {
				t.Fatalf("%+v, %v\n%s", out, err, text)
			}
			copyOf := *s
			copyOf.storage = dir
			copyOf.checkLatest()

			s.spoil()
			secret := []byte("a secret of 160 bits")
			if encoding == "gzip" || encoding == "none" {
				secret = nil
			} else if _, _, err := copied(t, chain.CopyOptions{From: from, To: newShelf(nil), Secret: []byte("another secret")}); !errors.Is(err, chain.ErrWrongSecret) {
				t.Errorf("with a wrong secret: %v", err)
			}
			target := newShelf(map[string][]byte{})
			out, text, err = copied(t, chain.CopyOptions{From: from, To: target, Secret: secret})
			if err != nil || out.Failed != 2 || !strings.Contains(text, "the manifest says") {
				t.Errorf("a volume was changed: %+v, %v\n%s", out, err, text)
			}
			if c := collectionOf(target.files); len(c.Chains)+len(c.Orphans) > 0 {
				t.Error("the set with the changed volume has a manifest")
			}
		})
	}
}

func (s *site) store() backends.Backend { return openDir(s.t, s.storage) }

func openDir(t *testing.T, dir string) backends.Backend {
	t.Helper()
	b, err := file.Open(t.Context(), backends.Address{Scheme: "file", Path: dir}, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// spoil changes a byte of the full set's second volume.
func (s *site) spoil() {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.storage, "duplicity-full.*.vol2.*"))
	if err != nil || len(found) != 1 {
		s.t.Fatalf("second volumes: %q, %v", found, err)
	}
	raw, err := os.ReadFile(found[0])
	if err != nil {
		s.t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(found[0], raw, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// A mortal backend fails for good once its steps are used up: calls, and
// writes of 16 KiB.
type mortal struct {
	backends.Backend
	steps atomic.Int64
}

func newMortal(b backends.Backend, steps int) *mortal {
	m := &mortal{Backend: b}
	m.steps.Store(int64(steps))
	return m
}

func (m *mortal) step() error {
	if m.steps.Add(-1) < 0 {
		return errDead
	}
	return nil
}

func (m *mortal) Put(ctx context.Context, name string, write func(io.Writer) error) error {
	if err := m.step(); err != nil {
		return err
	}
	err := m.Backend.Put(ctx, name, func(w io.Writer) error {
		return errors.Join(write(writerFunc(func(p []byte) (n int, err error) {
			for err == nil && n < len(p) {
				if err = m.step(); err == nil {
					var k int
					k, err = w.Write(p[n:min(n+16<<10, len(p))])
					n += k
				}
			}
			return n, err
		})), m.step())
	})
	return errors.Join(err, m.step())
}

func (m *mortal) Delete(ctx context.Context, name string) error {
	if err := m.step(); err != nil {
		return err
	}
	return m.Backend.Delete(ctx, name)
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestCopyCatchesUp runs sessions over a mirror either side of which dies at
// random steps, while the tree changes, with copies that catch up in between
// and may be cut off too. Whatever the second target has complete is what the
// first has, and in the end all that the first has.
func TestCopyCatchesUp(t *testing.T) {
	for _, encoding := range []string{"age", "none"} {
		t.Run(encoding, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(11, uint64(len(encoding))))
			s := newSite(t, encoding)
			fill(t, rng, s.tree)
			second := t.TempDir()
			resumed, lagged := 0, 0
			for round := range 10 {
				const never = 1 << 30
				primarySteps, secondSteps, copySteps := never, never, never
				healthy := round%5 == 4
				switch {
				case healthy:
				case rng.IntN(2) == 0:
					secondSteps = 1 + rng.IntN(20)
				default:
					primarySteps = 20 + rng.IntN(150)
				}
				if !healthy && rng.IntN(4) == 0 {
					copySteps = 1 + rng.IntN(60)
				}
				primary := newMortal(s.store(), primarySteps)
				m := mirror.New(primary, newMortal(openDir(t, second), secondSteps), func(error) {})
				var store chain.Store = primary
				out, err := chain.Copy(t.Context(), chain.CopyOptions{
					From: primary, To: newMortal(openDir(t, second), copySteps), Mirror: true, Report: chain.Silent{}})
				if err == nil && out.Failed == 0 {
					store = m
				}
				sum, err := s.session(store)
				if err == nil && sum.Resumed {
					resumed++
				}
				if m.Lagging() != nil {
					lagged++
				}
				s.checkMirror(second, healthy)
				mutate(t, rng, s.tree)
				write(t, rng, filepath.Join(s.tree, "d2", fmt.Sprint(round)), 300<<10+rng.IntN(900<<10))
			}
			copyOf := *s
			copyOf.storage = second
			s.mustSession()
			if _, err := chain.Copy(t.Context(), chain.CopyOptions{From: s.store(), To: openDir(t, second), Secret: []byte("a secret of 160 bits"), Report: chain.Silent{}}); err != nil {
				t.Error(err)
			}
			copyOf.checkLatest()
			t.Logf("%d sessions were gone on with, the mirror fell behind %d times", resumed, lagged)
			if resumed == 0 || lagged == 0 {
				t.Error("the test tests nothing")
			}
		})
	}
}

// session runs one here.
func (s *site) session(store chain.Store) (*chain.Summary, error) {
	enc, err := seal.ParseEncoding(s.encoding)
	if err != nil {
		s.t.Fatal(err)
	}
	every, err := timeexpr.ParseFrequency("1M")
	if err != nil {
		s.t.Fatal(err)
	}
	return backup.Raw(s.t.Context(), backup.Options{
		Dir: s.tree, Store: store, Address: "file:///test", Secret: []byte("a secret of 160 bits"), Encoding: enc,
		Frequency: every, VolumeSize: 256 << 10, CacheDir: s.cache, Report: chain.Silent{},
	})
}

func (s *site) mustSession() {
	s.t.Helper()
	if _, err := s.session(s.store()); err != nil {
		s.t.Fatal(err)
	}
}

// checkMirror compares the complete sets of a mirror with those it mirrors.
func (s *site) checkMirror(dir string, all bool) {
	s.t.Helper()
	ours, theirs := s.sets(s.storage), s.sets(dir)
	for set, files := range theirs {
		if !maps.Equal(files, ours[set]) {
			s.t.Errorf("the mirror's %s is not the one it mirrors", set)
		}
	}
	if all && len(ours) != len(theirs) {
		s.t.Errorf("the mirror has %d sets of %d", len(theirs), len(ours))
	}
}

// sets returns the content of the complete sets in a directory.
func (s *site) sets(dir string) map[string]map[string]string {
	s.t.Helper()
	coll, err := chain.List(s.t.Context(), openDir(s.t, dir))
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[string]map[string]string{}
	for _, c := range coll.Chains {
		for _, set := range c.Sets() {
			all[set.String()] = map[string]string{}
			for _, f := range set.Files() {
				raw, err := os.ReadFile(filepath.Join(dir, f.Name))
				if err != nil {
					s.t.Fatal(err)
				}
				all[set.String()][f.Name] = string(raw)
			}
		}
	}
	return all
}
