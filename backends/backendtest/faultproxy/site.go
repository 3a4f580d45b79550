package faultproxy

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
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tklbam/backends"
)

const (
	stores = "name"   // what Puts store
	source = "source" // what Opens read
	listed = 12       // how many files Lists find besides
	other  = "a-file.%02d"
)

// site is a Site under test. One goroutine uses it.
type site struct {
	Site
	suite   Suite
	content *rand.ChaCha8
	name    string                       // what Puts store
	stored  []byte                       // what it holds, nil if it is absent
	earlier map[string][sha256.Size]byte // what all names were given
	source  []byte
	turns   [][]Turn // of the latest attempt, by proxy
	puts    int
}

// fresh returns a content that no file had before.
func (x *site) fresh() []byte {
	p := make([]byte, x.suite.Size)
	x.content.Read(p) // gives no error
	return p
}

// fill stores the files that Open and List meet.
func (x *site) fill(t *testing.T) {
	t.Helper()
	x.source = x.fresh()
	err := x.store(t.Context(), source, x.source)
	for i := range listed {
		err = errors.Join(err, x.store(t.Context(), fmt.Sprintf(other, i), []byte(source)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (x *site) store(ctx context.Context, name string, p []byte) error {
	return x.Backend.Put(ctx, name, func(w io.Writer) error {
		_, err := w.Write(p)
		return err
	})
}

// meet makes a call that meets its fate.
func (x *site) meet(t *testing.T, f fate) {
	switch f.call {
	case "Put":
		x.put(t, f)
	case "Open":
		x.open(t, f)
	case "List":
		x.list(t, f)
	}
}

// attempt makes a call while a fault happens, and checks its error and how
// long it took.
func (x *site) attempt(t *testing.T, f fate, call func(ctx context.Context) error) error {
	for i, p := range x.Proxies {
		if i == f.proxy {
			p.Set(f.Fault)
		} else {
			p.Set(None)
		}
	}
	began := time.Now()
	err := call(t.Context())
	if took := time.Since(began); took > x.suite.Limit {
		t.Errorf("%s: the call takes %v, and ends with %v", f, took, err)
	}
	x.turns = nil
	for _, p := range x.Proxies {
		x.turns = append(x.turns, p.Turns())
		p.Set(None)
	}
	if err != nil && (f.isHarmless() || f.isConnection() && !errors.Is(err, backends.ErrUnavailable)) {
		t.Errorf("%s: error is %v", f, err)
	}
	return err
}

// again makes a call without a fault. After a second answer to something it
// may find out that the connection is out of step.
func (x *site) again(f fate, call func() error) error {
	err := call()
	if f.Do == Duplicate && errors.Is(err, backends.ErrUnavailable) {
		return call()
	}
	return err
}

// put stores a file, over another one and as a new one in turns, and then
// without the fault.
func (x *site) put(t *testing.T, f fate) {
	x.makeRoom(t)
	old, replacement := x.stored, x.fresh()
	x.earlier[x.name] = sha256.Sum256(replacement)
	err := x.attempt(t, f, func(ctx context.Context) error { return x.store(ctx, x.name, replacement) })
	if err == nil {
		x.wantStored(t, f, replacement)
	} else {
		x.wantStored(t, f, old, replacement)
	}
	if again := x.again(f, func() error { return x.store(t.Context(), x.name, replacement) }); again != nil {
		t.Errorf("%s: error is %v, and then %v", f, err, again)
	}
	x.wantStored(t, f, replacement)
	x.stored = replacement
}

// makeRoom deletes what Puts store, every other time or always.
func (x *site) makeRoom(t *testing.T) {
	if x.puts++; x.puts%2 == 0 || x.suite.Fresh {
		if err := x.Backend.Delete(t.Context(), x.name); err != nil {
			t.Errorf("Delete: %v", err)
		}
		x.stored = nil
	}
	if x.suite.Fresh {
		x.name = fmt.Sprintf("%s.%04d", stores, x.puts)
	}
}

// wantStored looks at the server's files: the name has one of the contents,
// and no other name is taken.
func (x *site) wantStored(t *testing.T, f fate, contents ...[]byte) {
	got, err := os.ReadFile(filepath.Join(x.Dir, x.name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	found := false
	for _, content := range contents {
		found = found || bytes.Equal(got, content) && (err == nil) == (content != nil)
	}
	if !found {
		t.Errorf("%s: the server has %d bytes that are no content, %v", f, len(got), err)
	}
	x.wantOthers(t, f)
}

// wantOthers looks at the server's other files: those that Open and List meet,
// and whole ones of earlier requests that came late.
func (x *site) wantOthers(t *testing.T, f fate) {
	entries, err := os.ReadDir(x.Dir)
	if err != nil {
		t.Error(err)
	}
	files := 0
	for _, e := range entries {
		if sum, put := x.earlier[e.Name()]; put {
			if got, err := os.ReadFile(filepath.Join(x.Dir, e.Name())); err == nil && sha256.Sum256(got) != sum && e.Name() != x.name {
				t.Errorf("%s: the server has %d wrong bytes as %s", f, len(got), e.Name())
			}
		} else if backends.ValidName(e.Name()) {
			files++
		}
	}
	if files != listed+1 {
		t.Errorf("%s: the server has %d other files, want %d", f, files, listed+1)
	}
}

// open reads a file.
func (x *site) open(t *testing.T, f fate) {
	var got []byte
	err := x.attempt(t, f, func(ctx context.Context) (err error) {
		got, err = x.read(ctx)
		return err
	})
	if err == nil && !bytes.Equal(got, x.source) {
		t.Errorf("%s: %d wrong bytes of %d are read without an error", f, len(got), len(x.source))
	}
	again := x.again(f, func() (err error) {
		got, err = x.read(t.Context())
		return err
	})
	if again != nil || !bytes.Equal(got, x.source) {
		t.Errorf("%s: error is %v, and then %d bytes and %v", f, err, len(got), again)
	}
}

func (x *site) read(ctx context.Context) ([]byte, error) {
	r, err := x.Backend.Open(ctx, source)
	if err != nil {
		return nil, err
	}
	p, err := io.ReadAll(r)
	return p, errors.Join(err, r.Close())
}

// list lists the files.
func (x *site) list(t *testing.T, f fate) {
	var n int
	err := x.attempt(t, f, func(ctx context.Context) (err error) {
		n, err = x.count(ctx)
		return err
	})
	if early := x.suite.Blind && (f.Do == Cut || f.Do == Drop || f.Do == Duplicate); err == nil && n != listed+1 && !early {
		t.Errorf("%s: %d files are listed without an error, want %d", f, n, listed+1)
	}
	again := x.again(f, func() (err error) {
		n, err = x.count(t.Context())
		return err
	})
	if again != nil || n != listed+1 {
		t.Errorf("%s: error is %v, and then %d files and %v", f, err, n, again)
	}
}

// count returns how many files there are, of those whose sizes are right.
func (x *site) count(ctx context.Context) (n int, err error) {
	err = x.Backend.List(ctx, func(file string, size int64) error {
		if file == source && size == int64(len(x.source)) || file != source && !strings.HasPrefix(file, stores) && size == int64(len(source)) {
			n++
		}
		return nil
	})
	return n, err
}
