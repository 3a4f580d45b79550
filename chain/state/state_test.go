package state

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"tklbam/chain/archive"
)

func sample() []Item {
	at := time.Unix(1700000000, 123456789).UTC()
	return []Item{
		{Entry: archive.Entry{Type: archive.Directory, Mode: 0755, ModTime: at}},
		{Entry: archive.Entry{Path: "a", Type: archive.Regular, Mode: 04755, UID: 1, GID: 2, User: "daemon", Group: "bin",
			ModTime: at, Size: 1 << 40, ChangeTime: at.Add(time.Second), Device: 2049, Inode: 77, Links: 2,
			Sparse: true, Digest: archive.Digest{BlockLen: 2048, Sum: [16]byte{1, 2, 3}},
			Xattrs: []archive.Xattr{{Name: "user.a=b", Value: "\x00\xff"}, {Name: "user.empty"}}},
			Set: 3, Signature: Ref{Offset: 5, Length: 1 << 33}},
		{Entry: archive.Entry{Path: "a/gone"}, Deleted: true, Set: 4},
		{Entry: archive.Entry{Path: "a/link", Type: archive.Symlink, Linkname: "../\xfftarget\n", Mode: 0777,
			UID: 1, GID: 2, User: "daemon", Group: "bin", ModTime: time.Unix(-5, 7).UTC()}},
		{Entry: archive.Entry{Path: "a/second", Type: archive.Regular, HardLink: "a/file", Device: 2049, Inode: 78, Links: 2, Size: -1, ModTime: at}},
		{Entry: archive.Entry{Path: "a.null", Type: archive.CharDevice, Major: 1, Minor: 3, ModTime: at}},
	}
}

func encode(t testing.TB, items []Item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for i := range items {
		if err := w.Add(&items[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func collect(s Stream) (items []Item, err error) {
	for {
		it, err := s.Next()
		if errors.Is(err, io.EOF) {
			return items, nil
		}
		if err != nil {
			return items, err
		}
		items = append(items, *it)
	}
}

func reader(t testing.TB, raw []byte) *Reader {
	t.Helper()
	r, err := NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRoundTrip(t *testing.T) {
	want := sample()
	got, err := collect(reader(t, encode(t, want)))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read back\n%+v\nwant\n%+v", got, want)
	}
}

func TestWriterRefusesDisorder(t *testing.T) {
	w := NewWriter(io.Discard)
	for _, path := range []string{"a", "a/b", "a.b"} {
		if err := w.Add(&Item{Entry: archive.Entry{Path: path, Type: archive.Fifo}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Add(&Item{Entry: archive.Entry{Path: "a/c", Type: archive.Fifo}}); err == nil {
		t.Error("a path before the last one was accepted")
	}
}

// TestContinue cuts a state after each item and lets another writer go on.
func TestContinue(t *testing.T) {
	items := sample()
	want := encode(t, items)
	var b bytes.Buffer
	w := NewWriter(&b)
	for i := range items {
		if err := w.Add(&items[i]); err != nil {
			t.Fatal(err)
		}
		rest := bytes.NewBuffer(slices.Clone(b.Bytes()))
		cw, err := Continue(rest, bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if cw.Offset() != w.Offset() {
			t.Errorf("after item %d: offset %d, want %d", i, cw.Offset(), w.Offset())
		}
		for j := i + 1; j < len(items); j++ {
			if err := cw.Add(&items[j]); err != nil {
				t.Fatal(err)
			}
		}
		if err := cw.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(rest.Bytes(), want) {
			t.Errorf("continued after item %d the state differs", i)
		}
	}
}

func TestTruncationIsDamage(t *testing.T) {
	raw := encode(t, sample())
	for n := range len(raw) {
		r, err := NewReader(bytes.NewReader(raw[:n]))
		if err == nil {
			_, err = collect(r)
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut at %d of %d: %v", n, len(raw), err)
		}
	}
}

// TestMerge checks the merge of random layers against a map.
func TestMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	paths := []string{"", "a", "a/b", "a/b/c", "a.b", "b", "b/a", "b!", "c"}
	slices.SortFunc(paths, archive.Compare)
	for range 300 {
		want := map[string]Item{}
		var layers []Stream
		older := 0
		for set := range rng.IntN(6) {
			var layer []Item
			for _, p := range paths {
				if rng.IntN(3) == 0 {
					it := Item{Entry: archive.Entry{Path: p, Type: archive.Fifo, ModTime: time.Unix(0, 0).UTC()}, Set: set}
					if set > 0 && rng.IntN(3) == 0 {
						it = Item{Entry: archive.Entry{Path: p}, Deleted: true, Set: set}
					}
					if _, ok := want[p]; ok {
						older++
					}
					layer = append(layer, it)
					want[p] = it
				}
			}
			layers = append(layers, reader(t, encode(t, layer)))
		}
		told := 0
		got, err := collect(Merge(layers, func(winner, loser *Item) error {
			told++
			if winner.Path != loser.Path || winner.Set <= loser.Set {
				t.Errorf("set %d beat set %d", winner.Set, loser.Set)
			}
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) || told != older {
			t.Fatalf("%d items and %d older ones, want %d and %d", len(got), told, len(want), older)
		}
		for i := range got {
			if !reflect.DeepEqual(got[i], want[got[i].Path]) {
				t.Errorf("got %+v want %+v", got[i], want[got[i].Path])
			}
			if i > 0 && archive.Compare(got[i-1].Path, got[i].Path) >= 0 {
				t.Errorf("%q after %q", got[i].Path, got[i-1].Path)
			}
		}
	}
}

// FuzzReader: any bytes give items or an error, and items that were read are
// stored as they were.
func FuzzReader(f *testing.F) {
	f.Add(encode(f, sample()))
	f.Add(encode(f, nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := NewReader(bytes.NewReader(raw))
		if err != nil {
			return
		}
		items, err := collect(r)
		if err != nil {
			return
		}
		w := NewWriter(io.Discard)
		for i := range items {
			if w.Add(&items[i]) != nil {
				return // out of order: a merge would refuse it
			}
		}
	})
}
