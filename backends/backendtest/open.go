package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"
	"testing/iotest"

	"tklbam/backends"
)

func openAbsent(t *testing.T, b backends.Backend) {
	put(t, b, "name", []byte("data"))
	for _, name := range []string{"nam", "name2", "NAME.absent"} {
		wantAbsent(t, b, name)
	}
}

func openPartialReads(t *testing.T, b backends.Backend) {
	want := content(1, 10_000)
	put(t, b, "name", want)
	for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader} {
		r := open(t, b, "name")
		got, err := io.ReadAll(wrap(r))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("reading in small pieces gives %d bytes, %v", len(got), err)
		}
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("Read after the end: %d, %v", n, err)
		}
		closeReader(t, r)
	}
}

func openClosedEarly(t *testing.T, b backends.Backend) {
	want := content(1, 4<<20)
	put(t, b, "name", want)
	for _, n := range []int{0, 1, 70_000} {
		r := open(t, b, "name")
		if got := make([]byte, n); n > 0 {
			if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want[:n]) {
				t.Errorf("reading the first %d bytes: wrong bytes or %v", n, err)
			}
		}
		closeReader(t, r)
	}
	wantContent(t, b, "name", want)
}

// openInterleaved reads several files, and one of them twice, in turns.
func openInterleaved(t *testing.T, b backends.Backend) {
	const size, step = 300_000, 10_000
	var readers []io.ReadCloser
	var want, got [][]byte
	for i := range 4 {
		name := fmt.Sprintf("name.%d", i%3)
		want = append(want, content(uint64(i%3), size))
		put(t, b, name, want[i])
		readers = append(readers, open(t, b, name))
		got = append(got, nil)
	}
	for range size / step {
		for i, r := range readers {
			p := make([]byte, step)
			if _, err := io.ReadFull(r, p); err != nil {
				t.Fatalf("reader %d: %v", i, err)
			}
			got[i] = append(got[i], p...)
		}
	}
	for i, r := range readers {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("reader %d gives bytes that are not its file's", i)
		}
		closeReader(t, r)
	}
}

func openCancelled(t *testing.T, b backends.Backend) {
	put(t, b, "name", content(1, 4<<20))
	_, err := read(cancelled(t), b, "name")
	wantCancelled(t, "Open", err)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := b.Open(ctx, "name")
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Errorf("Read: %v", err)
	}
	cancel()
	_, err = io.ReadAll(r)
	wantCancelled(t, "Read", err)
	closeReader(t, r)
}

func openSeeks(t *testing.T, b backends.Backend) {
	want := content(1, 5000)
	put(t, b, "name", want)
	r := open(t, b, "name")
	defer closeReader(t, r)
	if _, ok := r.(io.Seeker); !ok {
		t.Skip("the readers are no Seekers")
	}
	if err := iotest.TestReader(r, want); err != nil {
		t.Error(err)
	}
}

func openWhileReplaced(t *testing.T, b backends.Backend) {
	old, other := content(1, 3<<20), content(2, 2<<20)
	for _, readBefore := range []int{0, 1, 1 << 20} {
		put(t, b, "name", old)
		changeWhileRead(t, b, old, readBefore, func() { put(t, b, "name", other) })
		wantContent(t, b, "name", other)
	}
}

func openWhileDeleted(t *testing.T, b backends.Backend) {
	old := content(1, 3<<20)
	for _, readBefore := range []int{0, 1, 1 << 20} {
		put(t, b, "name", old)
		changeWhileRead(t, b, old, readBefore, func() {
			if err := b.Delete(t.Context(), "name"); err != nil {
				t.Errorf("Delete: %v", err)
			}
		})
		wantAbsent(t, b, "name")
	}
}

// changeWhileRead reads the first bytes of a file, changes it and reads on:
// that must give the rest of the old content or an error.
func changeWhileRead(t *testing.T, b backends.Backend, old []byte, readBefore int, change func()) {
	t.Helper()
	r := open(t, b, "name")
	defer r.Close()
	got := make([]byte, readBefore)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatalf("Read: %v", err)
	}
	change()
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Logf("a reader fails when its file is changed: %v", err)
		return
	}
	if got = append(got, rest...); !bytes.Equal(got, old) {
		t.Errorf("%d bytes read, file changed, read to EOF: %d bytes that are not the %d of the old content", readBefore, len(got), len(old))
	}
}

func namesOdd(t *testing.T, b backends.Backend) {
	want := make(map[string]int64)
	for i, name := range oddNames() {
		put(t, b, name, content(uint64(i), 100+i))
		want[name] = int64(100 + i)
	}
	wantList(t, b, want)
	for i, name := range oddNames() {
		wantContent(t, b, name, content(uint64(i), 100+i))
		if err := b.Delete(t.Context(), name); err != nil {
			t.Errorf("Delete %q: %v", name, err)
		}
	}
	wantList(t, b, map[string]int64{})
}

func namesInvalid(t *testing.T, b backends.Backend) {
	for _, name := range invalidNames() {
		_, readErr := read(t.Context(), b, name)
		for what, err := range map[string]error{
			"CheckName": backends.CheckName(name),
			"Open":      readErr,
			"Delete":    b.Delete(t.Context(), name),
			"Put": b.Put(t.Context(), name, func(io.Writer) error {
				t.Errorf("Put %.300q called write", name)
				return errors.New("called")
			}),
		} {
			if !errors.Is(err, fs.ErrInvalid) || len(err.Error()) > 2000 {
				t.Errorf("%s %.300q: error is %.300v, want a short fs.ErrInvalid", what, name, err)
			}
		}
	}
	wantList(t, b, map[string]int64{})
}
