package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestHeaderOracle reads headers of random and extreme entries with package
// tar, and compares with what it was told to write itself.
func TestHeaderOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		e, name, size := randomEntry(rng, i)
		got, err := tar.NewReader(bytes.NewReader(appendHeader(nil, e, name, size))).Next()
		if err != nil {
			t.Fatalf("%q %+v: %v", name, e, err)
		}
		var b bytes.Buffer
		want := &tar.Header{
			Format: tar.FormatPAX, Typeflag: typeflags[e.Type], Name: name, Linkname: e.Linkname, Size: size,
			Mode: int64(e.Mode), Uid: e.UID, Gid: e.GID, Uname: e.User, Gname: e.Group, ModTime: e.ModTime,
			Devmajor: int64(e.Major), Devminor: int64(e.Minor), PAXRecords: got.PAXRecords,
		}
		// What the standard says itself is not for the caller to give.
		own := maps.Clone(got.PAXRecords)
		maps.DeleteFunc(own, func(k, _ string) bool { return !strings.Contains(k, ".") })
		want.PAXRecords = own
		if err := tar.NewWriter(&b).WriteHeader(want); err != nil {
			t.Fatal(err)
		}
		want, err = tar.NewReader(&b).Next()
		if err != nil {
			t.Fatal(err)
		}
		got.Format, got.PAXRecords, want.Format, want.PAXRecords = 0, nil, 0, nil
		if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
			t.Fatalf("entry %d\n got %s\nwant %s", i, g, w)
		}
	}
}

func randomEntry(rng *rand.Rand, i int) (*Entry, string, int64) {
	pick := func(choices ...int64) int64 { return choices[rng.IntN(len(choices))] }
	types := []Type{Regular, Directory, Symlink, Fifo, CharDevice, BlockDevice}
	e := &Entry{
		Type: types[rng.IntN(len(types))],
		Mode: uint32(rng.IntN(010000)),
		UID:  int(pick(0, 7, 1000, 1<<21-1, 1<<21, 1<<32-1)),
		GID:  int(pick(0, 7, 1000, 1<<21-1, 1<<21, 1<<32-1)),
		User: strings.Repeat("ü", rng.IntN(2)) + strings.Repeat("u", rng.IntN(40)), Group: strings.Repeat("g", rng.IntN(40)),
		ModTime: time.Unix(pick(0, -1, -1000, 1, 1<<30, 1<<33-1, 1<<33, 1<<40), pick(0, 1, 999999999, 500000000)),
		Size:    pick(-1, 0, 1, 8589934591, 8589934592, 1<<60),
		Major:   uint32(rng.IntN(4096)), Minor: uint32(rng.IntN(1 << 20)),
		Xattrs: []Xattr{{"user.x", strings.Repeat("v", i)}}, // every length of a record
	}
	if e.Type == Symlink {
		e.Linkname = strings.Repeat("l", 1+rng.IntN(120))
	}
	size := int64(0)
	if e.Type == Regular {
		size = pick(0, 1, 511, 512, 8589934591, 8589934592, 1<<50)
	}
	name := "snapshot/" + strings.Repeat("n", 1+rng.IntN(120))
	if e.Type == Directory {
		name += "/"
	}
	return e, name, size
}

func TestBodyLength(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	rec := Record{Kind: Snapshot, Size: 3, Entry: &Entry{Path: "a", Type: Regular, Size: 3}}
	if err := w.Begin(rec); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("four")); !errors.Is(err, errTooMuch) {
		t.Errorf("4 bytes of 3: %v", err)
	}
	if _, err := w.Write([]byte("xy")); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); !errors.Is(err, errTooLess) {
		t.Errorf("2 bytes of 3: %v", err)
	}
	if err := w.Begin(rec); !errors.Is(err, errTooLess) {
		t.Errorf("the next header after 2 bytes of 3: %v", err)
	}
	if _, err := w.Write([]byte("z")); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil || b.Len()%tarBlock != 0 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}
