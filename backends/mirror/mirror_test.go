package mirror_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest"
	"tklbam/backends/file"
	"tklbam/backends/mirror"
)

var errFault = errors.New("fault")

// openDir opens an empty directory, in memory where the system has some to
// offer: tens of thousands of files are stored here.
func openDir(t *testing.T) backends.Backend {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mirror-test-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b, err := file.Open(t.Context(), backends.Address{Scheme: "file", Path: dir}, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// A faulty backend fails at one of its steps, or from there on: before each
// call, at each write, before a file is stored and after.
type faulty struct {
	backends.Backend
	mu      sync.Mutex
	at      int
	forever bool
	fired   bool
}

func (f *faulty) step() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at--
	if f.at == 0 || f.at < 0 && f.forever {
		f.fired = true
		return errFault
	}
	return nil
}

func (f *faulty) List(ctx context.Context, fn func(string, int64) error) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.Backend.List(ctx, fn)
}

func (f *faulty) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := f.step(); err != nil {
		return nil, err
	}
	return f.Backend.Open(ctx, name)
}

func (f *faulty) Put(ctx context.Context, name string, write func(io.Writer) error) error {
	if err := f.step(); err != nil {
		return err
	}
	err := f.Backend.Put(ctx, name, func(w io.Writer) error {
		return errors.Join(write(faultyWriter{w, f}), f.step())
	})
	if err == nil {
		err = f.step()
	}
	return err
}

func (f *faulty) Delete(ctx context.Context, name string) error {
	if err := f.step(); err != nil {
		return err
	}
	return errors.Join(f.Backend.Delete(ctx, name), f.step())
}

type faultyWriter struct {
	w io.Writer
	f *faulty
}

func (w faultyWriter) Write(p []byte) (int, error) {
	if err := w.f.step(); err != nil {
		return 0, err
	}
	return w.w.Write(p)
}

// notices collects what is notified.
type notices struct {
	mu   sync.Mutex
	errs []error
}

func (n *notices) add(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.errs = append(n.errs, err)
}

// want expects a number of notices that begin alike, and no others.
func (n *notices) want(t *testing.T, count int, start string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.errs) != count || count > 0 && !strings.HasPrefix(n.errs[0].Error(), start) {
		t.Errorf("notices are %v, want %d: %q", n.errs, count, start)
	}
}

func ignore(error) {}

func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return mirror.New(openDir(t), openDir(t), func(err error) { t.Errorf("notice: %v", err) })
	})
}

// TestContractWithFaults lets a step of the second target fail: what follows
// is the same whether the fault is for once or for good.
func TestContractWithFaults(t *testing.T) {
	for i := 1; i <= 9; i++ {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backends.Backend {
				return mirror.New(openDir(t), &faulty{Backend: openDir(t), at: i}, ignore)
			})
		})
	}
}

func contents(t *testing.T, b backends.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := b.List(t.Context(), func(name string, size int64) error {
		p, err := read(t, b, name)
		if int64(len(p)) != size {
			t.Errorf("%s has %d bytes, and is listed with %d", name, len(p), size)
		}
		files[name] = p
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t *testing.T, b backends.Reader, name string) (string, error) {
	r, err := b.Open(t.Context(), name)
	if err != nil {
		return "", err
	}
	p, err := io.ReadAll(r)
	return string(p), errors.Join(err, r.Close())
}

func put(t *testing.T, b backends.Backend, name, text string) error {
	t.Helper()
	return b.Put(t.Context(), name, func(w io.Writer) error {
		for part := range strings.SplitAfterSeq(text, " ") {
			if _, err := io.WriteString(w, part); err != nil {
				return err
			}
		}
		return nil
	})
}

// session stores a set, its manifest last, and deletes an older one, its
// manifest first. A call that fails is repeated, as a retrying wrapper does.
func session(t *testing.T, m backends.Backend) {
	t.Helper()
	again := func(call func() error) {
		if call() != nil {
			if err := call(); err != nil {
				t.Error(err)
			}
		}
	}
	for _, name := range []string{"new.vol1", "new.vol2", "new.vol3", "new.sigtar", "new.manifest"} {
		again(func() error { return put(t, m, name, "content of "+name) })
	}
	for _, name := range []string{"old.manifest", "old.sigtar", "old.vol1"} {
		again(func() error { return m.Delete(t.Context(), name) })
	}
}

// wantWhole expects that sets with a manifest have all their files.
func wantWhole(t *testing.T, b backends.Reader) map[string]string {
	t.Helper()
	files := contents(t, b)
	for set, size := range map[string]int{"old": 3, "new": 5} {
		n := 0
		for name := range files {
			if strings.HasPrefix(name, set) {
				n++
			}
		}
		if _, ok := files[set+".manifest"]; ok && n < size {
			t.Errorf("the %s set has a manifest and %d of %d files", set, n, size)
		}
	}
	return files
}

// TestSecondFails lets the second target fail at every step of a session. The
// primary does not notice, and no set in the second is ever complete without
// being whole.
func TestSecondFails(t *testing.T) {
	for _, forever := range []bool{false, true} {
		for i := 1; ; i++ {
			primary, second, n := openDir(t), openDir(t), &notices{}
			for _, name := range []string{"old.vol1", "old.sigtar", "old.manifest"} {
				if err := errors.Join(put(t, primary, name, "old"), put(t, second, name, "old")); err != nil {
					t.Fatal(err)
				}
			}
			f := &faulty{Backend: second, at: i, forever: forever}
			m := mirror.New(primary, f, n.add)
			session(t, m)
			if got := contents(t, primary); len(got) != 5 {
				t.Errorf("step %d: the primary has %v", i, got)
			}
			there := wantWhole(t, second)
			switch {
			case !f.fired:
				if i < 20 || !maps.Equal(there, contents(t, primary)) || m.Lagging() != nil {
					t.Errorf("without a fault, after %d steps, the second has %v", i, there)
				}
				n.want(t, 0, "")
			case m.Lagging() != nil:
				if there["old.manifest"] == "" {
					t.Errorf("step %d: the second lags, and an old set was deleted there", i)
				}
				n.want(t, 1, "the mirror is not written to any more: ")
			default:
				if there["new.manifest"] == "" {
					t.Errorf("step %d: the second does not lag, and lacks the new set", i)
				}
				n.want(t, 1, "nothing is deleted in the mirror any more: ")
			}
			if !f.fired {
				break
			}
		}
	}
}

// TestPrimaryFails lets the primary fail at every step. The second never has
// what the primary lacks.
func TestPrimaryFails(t *testing.T) {
	for i := 1; ; i++ {
		primary, second, n := openDir(t), openDir(t), &notices{}
		f := &faulty{Backend: primary, at: i}
		m := mirror.New(f, second, n.add)
		err := put(t, m, "new.vol1", "a volume of several parts")
		if f.fired != errors.Is(err, errFault) {
			t.Errorf("step %d: error is %v", i, err)
		}
		if m.Lagging() != nil {
			t.Errorf("step %d: the second is said to lag: %v", i, m.Lagging())
		}
		ours, theirs := contents(t, primary), contents(t, second)
		if len(theirs) > 0 && !maps.Equal(ours, theirs) {
			t.Errorf("step %d: the primary has %v, the second %v", i, ours, theirs)
		}
		f.at = 0
		session(t, m)
		if !maps.Equal(contents(t, primary), contents(t, second)) {
			t.Errorf("step %d: after another session the two differ", i)
		}
		n.want(t, 0, "")
		if !f.fired {
			return
		}
	}
}

// TestSecondDeletesFirst: a manifest that was deleted in one of the two only
// is not the second's.
func TestSecondDeletesFirst(t *testing.T) {
	primary, second := openDir(t), openDir(t)
	if err := put(t, mirror.New(primary, second, ignore), "manifest", "x"); err != nil {
		t.Fatal(err)
	}
	m := mirror.New(&faulty{Backend: primary, at: 1}, second, ignore)
	if err := m.Delete(t.Context(), "manifest"); !errors.Is(err, errFault) {
		t.Errorf("error is %v", err)
	}
	if a, b := contents(t, primary), contents(t, second); len(a) != 1 || len(b) != 0 {
		t.Errorf("the primary has %v, the second %v", a, b)
	}
}

// stalled is a backend whose Puts take nothing, until their context ends.
type stalled struct{ backends.Backend }

func (s stalled) Put(ctx context.Context, name string, write func(io.Writer) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestCancelFreesStalled(t *testing.T) {
	primary := openDir(t)
	m := mirror.New(primary, stalled{openDir(t)}, ignore)
	ctx, cancel := context.WithCancel(t.Context())
	err := m.Put(ctx, "name", func(w io.Writer) error {
		cancel()
		_, err := w.Write([]byte("data"))
		return err
	})
	if !errors.Is(err, context.Canceled) || len(contents(t, primary)) > 0 {
		t.Errorf("Put: %v", err)
	}
}

// TestSpacer: the room in the primary is what counts.
func TestSpacer(t *testing.T) {
	primary := openDir(t)
	if _, ok := mirror.New(primary, stalled{openDir(t)}, ignore).(backends.Spacer); !ok {
		t.Error("the mirror of a Spacer is none")
	}
	if _, ok := mirror.New(stalled{primary}, primary, ignore).(backends.Spacer); ok {
		t.Error("the mirror of a backend that is no Spacer is one")
	}
}

// readerBackend reads what a mirror stores through a Reader.
type readerBackend struct {
	mirror.Backend
	r backends.Reader
}

func (b readerBackend) List(ctx context.Context, fn func(string, int64) error) error {
	return b.r.List(ctx, fn)
}

func (b readerBackend) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	return b.r.Open(ctx, name)
}

func TestReaderContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		primary, second := openDir(t), openDir(t)
		return readerBackend{mirror.New(primary, second, ignore), mirror.Reader(primary, second, ignore)}
	})
}

// TestReader has a primary and a second that hold different files.
func TestReader(t *testing.T) {
	both := map[string]string{"a": "primary", "b": "primary", "c": "second"}
	broken := func(b backends.Backend) backends.Backend { return &faulty{Backend: b, at: 1, forever: true} }
	tests := []struct {
		name          string
		first, second func(backends.Backend) backends.Backend
		want          map[string]string
		notice        string
	}{
		{"both answer", nil, nil, both, "reading from the mirror: "},
		{"no primary", broken, nil, map[string]string{"b": "second", "c": "second"}, "reading from the mirror: "},
		{"no second", nil, broken, map[string]string{"a": "primary", "b": "primary"}, "the mirror can't be read: "},
		{"neither", broken, broken, nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			primary, second, n := openDir(t), openDir(t), &notices{}
			if err := errors.Join(put(t, primary, "a", "primary"), put(t, primary, "b", "primary"), put(t, second, "b", "second"), put(t, second, "c", "second")); err != nil {
				t.Fatal(err)
			}
			if test.first != nil {
				primary = test.first(primary)
			}
			if test.second != nil {
				second = test.second(second)
			}
			r := mirror.Reader(primary, second, n.add)
			if test.want == nil {
				err := r.List(t.Context(), func(string, int64) error { return nil })
				_, openErr := r.Open(t.Context(), "a")
				if !errors.Is(err, errFault) || !errors.Is(openErr, errFault) {
					t.Errorf("List: %v; Open: %v", err, openErr)
				}
				n.want(t, 0, "")
				return
			}
			if got := contents(t, r); !maps.Equal(got, test.want) {
				t.Errorf("it has %v, want %v", got, test.want)
			}
			n.want(t, 1, test.notice)
			_, err := read(t, r, "d")
			if test.first == nil && test.second == nil && !errors.Is(err, fs.ErrNotExist) || err == nil {
				t.Errorf("absent: %v", err)
			}
			if (test.first != nil || test.second != nil) && errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what one can't tell is said to be absent: %v", err)
			}
		})
	}
}

// TestReaderAsksSecondFirst: a primary that does not answer is not asked for
// every file.
func TestReaderAsksSecondFirst(t *testing.T) {
	second := openDir(t)
	if err := put(t, second, "name", "content"); err != nil {
		t.Fatal(err)
	}
	primary := &faulty{Backend: openDir(t), at: 1, forever: true}
	r := mirror.Reader(primary, second, ignore)
	for range 5 {
		if got, err := read(t, r, "name"); got != "content" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if asked := 1 - primary.at; asked != 1 {
		t.Errorf("the primary was asked %d times", asked)
	}
}

// BenchmarkPut is to be compared with the primary alone.
func BenchmarkPut(b *testing.B) {
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	for name, mirrored := range map[string]bool{"alone": false, "mirrored": true} {
		b.Run(name, func(b *testing.B) {
			open := func() backends.Backend {
				t, err := file.Open(b.Context(), backends.Address{Scheme: "file", Path: b.TempDir()}, backends.Options{})
				if err != nil {
					b.Fatal(err)
				}
				return t
			}
			target := open()
			if mirrored {
				target = mirror.New(target, open(), ignore)
			}
			b.SetBytes(int64(len(chunk)) << 10)
			for b.Loop() {
				err := target.Put(b.Context(), "name", func(w io.Writer) error {
					for range 1 << 10 {
						if _, err := w.Write(chunk); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
