package chain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"tklbam/chain"
	"tklbam/chain/collection"
)

var errDead = errors.New("the store is dead")

// A shelf is a store in memory. When its steps are used up it is dead: every
// call fails, and what is being stored is lost.
type shelf struct {
	mu      sync.Mutex
	files   map[string][]byte
	listed  map[string]int64 // sizes that a listing gets wrong
	stored  []string         // what was put, in order
	opened  int
	steps   int // 0: never dies
	dead    bool
	atWrite func()
}

func newShelf(files map[string][]byte) *shelf { return &shelf{files: maps.Collect(maps.All(files))} }

func (s *shelf) step() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.steps--; s.steps == 0 {
		s.dead = true
	}
	if s.dead {
		return errDead
	}
	return nil
}

func (s *shelf) List(ctx context.Context, fn func(string, int64) error) error {
	if err := errors.Join(s.step(), ctx.Err()); err != nil {
		return err
	}
	for name, p := range s.files {
		size := int64(len(p))
		if wrong, ok := s.listed[name]; ok {
			size = wrong
		}
		if err := fn(name, size); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelf) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := errors.Join(s.step(), ctx.Err()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	p, ok := s.files[name]
	if !ok {
		return nil, fmt.Errorf("open %q: %w", name, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(p)), nil
}

func (s *shelf) Put(ctx context.Context, name string, write func(io.Writer) error) error {
	if err := errors.Join(s.step(), ctx.Err()); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return fmt.Errorf("store %q: %w", name, err)
	}
	if s.atWrite != nil {
		s.atWrite()
	}
	if err := errors.Join(s.step(), ctx.Err()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[name] = b.Bytes()
	s.stored = append(s.stored, name)
	return nil
}

func (s *shelf) Delete(context.Context, string) error { panic("a copy deletes nothing") }

// A fullShelf has little room.
type fullShelf struct {
	*shelf
	free uint64
}

func (s fullShelf) Free(context.Context) (uint64, error) { return s.free, nil }

// Names of two chains, the first with two incremental sets. Times are minutes.
func fullNames(t int, volumes int, suffix string) []string {
	return setNames(fmt.Sprintf("duplicity-full%%s.%s.", minute(t)), "-signatures", volumes, suffix)
}

func incNames(from, to int, volumes int, suffix string) []string {
	names := setNames(fmt.Sprintf("duplicity-inc%%s.%s.to.%s.", minute(from), minute(to)), "", volumes, suffix)
	i := len(names) - 2
	names[i] = strings.Replace(names[i], "-inc", "-new-signatures", 1)
	return names
}

func setNames(stem, signatures string, volumes int, suffix string) (names []string) {
	for i := range volumes {
		names = append(names, fmt.Sprintf(stem+"vol%d.difftar%s", "", i+1, suffix))
	}
	return append(names, fmt.Sprintf(stem+"sigtar%s", signatures, suffix), fmt.Sprintf(stem+"manifest%s", "", strings.TrimSuffix(suffix, ".gz")))
}

func minute(t int) string { return fmt.Sprintf("20240101T00%02d00Z", t) }

// filled gives every name content of its own, of its own size.
func filled(seed uint64, names ...[]string) map[string][]byte {
	rng := rand.NewChaCha8([32]byte{byte(seed)})
	files := map[string][]byte{}
	for i, name := range slices.Concat(names...) {
		files[name] = make([]byte, 5000+i)
		rng.Read(files[name])
	}
	return files
}

// twoChains is the usual source of these tests.
func twoChains() map[string][]byte {
	const age = ".zst.age"
	return filled(1, fullNames(0, 5, age), incNames(0, 1, 1, age), incNames(1, 2, 3, age), fullNames(3, 2, age))
}

// copied copies and returns the outcome with all that was reported.
func copied(t *testing.T, o chain.CopyOptions) (*chain.Copied, string, error) {
	t.Helper()
	rep := &problems{}
	o.Report = rep
	out, err := chain.Copy(t.Context(), o)
	return out, rep.text.String(), err
}

func wantSame(t *testing.T, got, want map[string][]byte) {
	t.Helper()
	for name, p := range want {
		if !bytes.Equal(got[name], p) {
			t.Errorf("%s: %d bytes that are not the %d of the source", name, len(got[name]), len(p))
		}
	}
	for name := range got {
		if want[name] == nil {
			t.Errorf("%s was stored, and should not be", name)
		}
	}
}

// TestCopyPassesOver copies a store that holds more than chains.
func TestCopyPassesOver(t *testing.T) {
	const gpg = ".gpg"
	source, want := twoChains(), twoChains()
	more := filled(2, fullNames(20, 1, gpg)[:1], incNames(30, 31, 1, gpg), fullNames(40, 1, gpg)[1:2],
		[]string{"README", "x-" + fullNames(0, 1, gpg)[0], "duplicity-full." + minute(50) + ".vol1.difftar.part"})
	maps.Copy(source, more)
	target := newShelf(filled(3, []string{"notes.txt"}))
	maps.Copy(want, target.files)
	out, text, err := copied(t, chain.CopyOptions{From: newShelf(source), To: target})
	if err != nil || out.Sets != 4 || out.Failed != 0 {
		t.Errorf("%+v, %v\n%s", out, err, text)
	}
	wantSame(t, target.files, want)
	for _, sentence := range []string{
		"the full backup of 2024-01-01T00:20:00Z is not copied: its manifest is missing",
		"the incremental backup of 2024-01-01T00:31:00Z is not copied: the backup of 2024-01-01T00:30:00Z, on which it builds, is not here",
		"sigtar.gpg is not copied", "difftar.part is not copied", "2 files that are no backup chain's are not copied",
	} {
		if !strings.Contains(text, sentence) {
			t.Errorf("no note says %q:\n%s", sentence, text)
		}
	}
}

func TestCopyOrder(t *testing.T) {
	target := newShelf(nil)
	if _, text, err := copied(t, chain.CopyOptions{From: newShelf(twoChains()), To: target, Parallel: 4}); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	rank := func(name string) string {
		set := name[strings.LastIndex(name, "T00"):][:9]
		role := map[bool]string{true: "2", false: "1"}[strings.Contains(name, "sigtar")]
		if strings.Contains(name, "manifest") {
			role = "3"
		}
		return set + role
	}
	if !slices.IsSortedFunc(target.stored, func(a, b string) int { return strings.Compare(rank(a), rank(b)) }) {
		t.Errorf("stored out of order:\n%s", strings.Join(target.stored, "\n"))
	}
}

// TestCopyCutOff lets the target die at every step. No set of it is ever
// complete without being whole, and the next copy goes on where the first was
// cut off.
func TestCopyCutOff(t *testing.T) {
	source := twoChains()
	for step := 1; ; step++ {
		target := newShelf(nil)
		target.steps = step
		_, _, err := copied(t, chain.CopyOptions{From: newShelf(source), To: target})
		if !target.dead {
			if err != nil || step < 40 {
				t.Errorf("ended after %d steps: %v", step, err)
			}
			return
		}
		if !errors.Is(err, errDead) {
			t.Errorf("step %d: error is %v", step, err)
		}
		for _, c := range collectionOf(target.files).Chains {
			for _, s := range c.Sets() {
				want := collectionOf(source).Chains[0].Sets()
				i := slices.IndexFunc(want, func(w collection.Set) bool { return w.String() == s.String() })
				if i >= 0 && len(want[i].Files()) != len(s.Files()) {
					t.Errorf("step %d: the %s looks complete with %d of %d files", step, &s, len(s.Files()), len(want[i].Files()))
				}
			}
		}
		if n := len(collectionOf(target.files).Orphans); n > 0 {
			t.Errorf("step %d: %d sets without what they build on", step, n)
		}
		target.steps, target.dead = 0, false
		if _, text, err := copied(t, chain.CopyOptions{From: newShelf(source), To: target}); err != nil || text != "" {
			t.Errorf("step %d: again: %v\n%s", step, err, text)
		}
		wantSame(t, target.files, source)
		if len(target.stored) != len(source) {
			t.Errorf("step %d: %d files were stored, there are %d", step, len(target.stored), len(source))
		}
	}
}

// TestCopyStale has the files of a session that was started over in the
// target, in the sizes of those that took their names.
func TestCopyStale(t *testing.T) {
	for _, suffix := range []string{".zst.age", ".gpg", ".gz", ""} {
		t.Run(suffix, func(t *testing.T) {
			names := fullNames(0, 3, suffix)
			source, other := filled(1, names), filled(2, names)
			if suffix == "" || suffix == ".gz" {
				// Without encryption files can begin alike.
				for name, p := range source {
					copy(other[name], p[:len(p)-1])
				}
			}
			target := newShelf(map[string][]byte{names[0]: other[names[0]], names[1]: source[names[1]], names[3]: other[names[3]]})
			for _, from := range []map[string][]byte{source, without(source, names[4])} {
				to := newShelf(target.files)
				_, text, err := copied(t, chain.CopyOptions{From: newShelf(from), To: to, Mirror: from[names[4]] == nil})
				if err != nil {
					t.Errorf("%v\n%s", err, text)
				}
				wantSame(t, to.files, from)
				if slices.Contains(to.stored, names[1]) {
					t.Error("the file that is the same was stored again")
				}
			}
		})
	}
}

func without(files map[string][]byte, name string) map[string][]byte {
	files = maps.Clone(files)
	delete(files, name)
	return files
}

// TestCopyConfirms copies into a target that holds another backup under the
// same names, with files of the same sizes.
func TestCopyConfirms(t *testing.T) {
	source := twoChains()
	other := filled(9, fullNames(0, 5, ".zst.age"))
	target := newShelf(other)
	out, text, err := copied(t, chain.CopyOptions{From: newShelf(source), To: target})
	if err != nil || out.Failed != 3 || out.Sets != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	if strings.Count(text, "holds another backup") != 1 || strings.Count(text, "builds on was not copied") != 2 {
		t.Errorf("reported:\n%s", text)
	}
	want := filled(9, fullNames(0, 5, ".zst.age"))
	for _, name := range fullNames(3, 2, ".zst.age") {
		want[name] = source[name]
	}
	wantSame(t, target.files, want)

	target = newShelf(source)
	if out, text, err := copied(t, chain.CopyOptions{From: newShelf(source), To: target, Mirror: true}); err != nil || out.Sets != 0 || target.opened > 0 {
		t.Errorf("a mirror that has all is read %d times: %+v, %v\n%s", target.opened, out, err, text)
	}
}

// TestCopyRepairs brings back what a target lost under its manifests.
func TestCopyRepairs(t *testing.T) {
	source := twoChains()
	lost, cut := fullNames(0, 5, ".zst.age")[2], incNames(1, 2, 3, ".zst.age")[3]
	target := newShelf(without(source, lost))
	target.files[cut] = target.files[cut][:10]
	out, text, err := copied(t, chain.CopyOptions{From: newShelf(source), To: target})
	if err != nil || out.Sets != 2 || out.Files != 2 || out.Bytes != int64(len(source[lost])+len(source[cut])) {
		t.Errorf("%+v, %v\n%s", out, err, text)
	}
	wantSame(t, target.files, source)
}

// TestCopyUnreadable has a file in the source that is not what was listed: the
// chain ends before its set, and the other chain is copied.
func TestCopyUnreadable(t *testing.T) {
	bad := incNames(0, 1, 1, ".zst.age")
	for _, name := range bad {
		for what, spoil := range map[string]func(s *shelf){
			"too short": func(s *shelf) { s.listed = map[string]int64{name: int64(len(s.files[name]) + 1)} },
			"too long":  func(s *shelf) { s.listed = map[string]int64{name: int64(len(s.files[name]) - 1)} },
			"gone":      func(s *shelf) { s.listed = map[string]int64{name: 7}; s.files[name] = nil },
		} {
			source, target := newShelf(twoChains()), newShelf(nil)
			spoil(source)
			out, text, err := copied(t, chain.CopyOptions{From: source, To: target})
			if err != nil || out.Sets != 2 || out.Failed != 2 || !strings.Contains(text, name) {
				t.Errorf("%s %s: %+v, %v\n%s", name, what, out, err, text)
			}
			if target.files[name] != nil || target.files[bad[2]] != nil {
				t.Errorf("%s %s: it was stored, or its manifest", name, what)
			}
			got := collectionOf(target.files)
			if len(got.Chains) != 2 || len(got.Chains[0].Incs) != 0 {
				t.Errorf("%s %s: the target has %d chains, want two full sets", name, what, len(got.Chains))
			}
		}
	}
}

// TestCopyDamaged copies what there is of a set that lost a volume.
func TestCopyDamaged(t *testing.T) {
	source := without(twoChains(), fullNames(0, 5, ".zst.age")[1])
	target := newShelf(nil)
	out, text, err := copied(t, chain.CopyOptions{From: newShelf(source), To: target})
	if err != nil || out.Sets != 4 || !strings.Contains(text, "copied as it is: volumes are missing: 2") {
		t.Errorf("%+v, %v\n%s", out, err, text)
	}
	wantSame(t, target.files, source)
}

func TestCopyNoRoom(t *testing.T) {
	target := fullShelf{newShelf(nil), 10_000}
	_, _, err := copied(t, chain.CopyOptions{From: newShelf(twoChains()), To: target})
	if _, ok := errors.AsType[*chain.NoSpaceError](err); !ok || len(target.stored) > 0 {
		t.Errorf("error is %v, %d files stored", err, len(target.stored))
	}
	target = fullShelf{newShelf(twoChains()), 0}
	if _, _, err := copied(t, chain.CopyOptions{From: newShelf(twoChains()), To: target}); err != nil {
		t.Errorf("nothing to copy into a full target: %v", err)
	}
}

func TestCopySimulate(t *testing.T) {
	target := newShelf(nil)
	out, _, err := copied(t, chain.CopyOptions{From: newShelf(twoChains()), To: target, Simulate: true})
	if err != nil || len(out.Plan.Sets) != 4 || len(target.stored) > 0 || out.Sets != 0 {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestCopyCancelled(t *testing.T) {
	for after := range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		target := newShelf(nil)
		var once sync.Once
		target.atWrite = func() {
			target.mu.Lock()
			defer target.mu.Unlock()
			if len(target.stored) >= after {
				once.Do(cancel)
			}
		}
		rep := &problems{}
		_, err := chain.Copy(ctx, chain.CopyOptions{From: newShelf(twoChains()), To: target, Report: rep})
		cancel()
		if !errors.Is(err, context.Canceled) || rep.text.Len() > 0 {
			t.Errorf("after %d files: error is %v, reported: %s", after, err, rep.text.String())
		}
	}
}

// adding sums up what is reported.
type adding struct {
	chain.Silent
	mu                     sync.Mutex
	files, bytes, stored   int64
	totalFiles, totalBytes int64
}

func (a *adding) Total(files, bytes int64) { a.totalFiles, a.totalBytes = files, bytes }
func (a *adding) Add(files, bytes, stored int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files, a.bytes, a.stored = a.files+files, a.bytes+bytes, a.stored+stored
}

func TestCopyProgress(t *testing.T) {
	source, rep := twoChains(), &adding{}
	target := newShelf(without(source, fullNames(0, 5, "")[0]))
	delete(target.files, fullNames(3, 2, ".zst.age")[3])
	delete(target.files, incNames(1, 2, 3, ".zst.age")[4])
	delete(target.files, incNames(1, 2, 3, ".zst.age")[0])
	if _, err := chain.Copy(t.Context(), chain.CopyOptions{From: newShelf(source), To: target, Report: rep}); err != nil {
		t.Fatal(err)
	}
	if rep.files != 3 || rep.files != rep.totalFiles || rep.bytes != rep.totalBytes || rep.stored != rep.bytes {
		t.Errorf("reported %+v", rep)
	}
}
