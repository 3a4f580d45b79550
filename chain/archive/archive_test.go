package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func samples() []Record {
	at := time.Unix(1700000000, 123456789).UTC()
	long := strings.Repeat("d", 255) + "/" + strings.Repeat("e", 255) + "/" + strings.Repeat("f", 255)
	return []Record{
		{Kind: Snapshot, Entry: &Entry{Type: Directory, Mode: 01777, UID: 0, GID: 0, User: "root", Group: "root", ModTime: at, Size: -1}},
		{Kind: Snapshot, Size: 5, Entry: &Entry{Path: "a", Type: Regular, Mode: 04755, UID: 1, GID: 1 << 31, User: "daemon", ModTime: at, Size: 5,
			ChangeTime: at.Add(time.Nanosecond), Device: 7, Inode: 8, Links: 3, HardLink: "0/x\ny", Sparse: true,
			Digest: Digest{BlockLen: 512, Sum: [16]byte{255, 1}},
			Xattrs: []Xattr{{"security.capability", "\x01\x00\xff\n="}, {"user.100%=x", "v"}, {"user.empty", ""}}}},
		{Kind: Diff, Piece: 1, Size: 3, Entry: &Entry{Path: "a\nb/\xff\xfe", Type: Regular, ModTime: at, Size: 1 << 42}},
		{Kind: Diff, Piece: 2, Size: 3, Entry: &Entry{Path: "a\nb/\xff\xfe", Type: Regular, ModTime: at, Size: 1 << 42}},
		{Kind: Snapshot, Piece: 1, Size: 1, Entry: &Entry{Path: "b/1", Type: Regular, ModTime: at, Size: 2}},
		{Kind: Snapshot, Entry: &Entry{Path: "b/2", Type: Symlink, Linkname: "\xff ->\n" + long, ModTime: time.Unix(-1, 5e8).UTC(), Size: -1}},
		{Kind: Snapshot, Entry: &Entry{Path: "c", Type: CharDevice, Major: 4095, Minor: 1 << 19, ModTime: at, Size: -1}},
		{Kind: Snapshot, Entry: &Entry{Path: "d", Type: BlockDevice, ModTime: at, Size: -1}},
		{Kind: Deleted, Entry: &Entry{Path: long}},
		{Kind: Snapshot, Entry: &Entry{Path: "g.zst.age", Type: Fifo, ModTime: at, Size: -1}},
	}
}

func write(t testing.TB, recs []Record, begin func(*Writer, Record) error) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, r := range recs {
		if err := begin(w, r); err != nil {
			t.Fatalf("%q: %v", r.Entry.Path, err)
		}
		if _, err := w.Write(bytes.Repeat([]byte{'x'}, int(r.Size))); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	b.Write(Footer)
	return b.Bytes()
}

func read(r io.Reader) (recs []Record, err error) {
	tr := NewReader(r)
	for {
		rec, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return recs, nil
		}
		if err != nil {
			return recs, err
		}
		n, err := tr.WriteTo(io.Discard)
		if err != nil {
			return recs, err
		}
		if n != rec.Size {
			return recs, io.ErrUnexpectedEOF
		}
		recs = append(recs, rec)
	}
}

func TestVolumeRoundTrip(t *testing.T) {
	want := samples()
	got, err := read(bytes.NewReader(write(t, want, (*Writer).Begin)))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, want)
}

func TestSigtarRoundTrip(t *testing.T) {
	var want []Record
	for _, r := range samples() {
		if r.Piece > 1 {
			continue
		}
		if r.Piece = 0; r.Entry.Type == Regular {
			r.Kind = Signature
		}
		want = append(want, r)
	}
	got, err := read(bytes.NewReader(write(t, want, (*Writer).BeginSignature)))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, want)
}

func compare(t *testing.T, got, want []Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("record %d:\n got %+v %+v\nwant %+v %+v", i, got[i], got[i].Entry, want[i], want[i].Entry)
		}
	}
}

// TestPython reads a volume with the library that stock Duplicity reads it
// with, and looks for the names and the fields stock uses.
func TestPython(t *testing.T) {
	needs(t, "python3")
	raw := write(t, samples(), (*Writer).Begin)
	cmd := exec.Command("python3", "-c", `
import sys, tarfile, os
for t in tarfile.TarFile("x", "r", fileobj=os.fdopen(0, "rb")):
    print(ascii(t.name), t.type, oct(t.mode), t.uid, t.gid, t.uname, int(t.mtime), t.size, ascii(t.linkname)[:12], t.devmajor, t.devminor)
`)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(raw), os.Stderr
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	f.Write(raw)
	f.Seek(0, io.SeekStart)
	cmd.Stdin = f
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i, want := range []string{
		`'snapshot/.' b'5' 0o1777 0 0 root 1700000000 0 '' 0 0`,
		`'snapshot/a' b'0' 0o4755 1 2147483648 daemon 1700000000 5 '' 0 0`,
		`'multivol_diff/a\nb/\udcff\udcfe/1' b'0' 0o0 0 0  1700000000 3 '' 0 0`,
		`'multivol_diff/a\nb/\udcff\udcfe/2' b'0' 0o0 0 0  1700000000 3 '' 0 0`,
		`'multivol_snapshot/b/1/1' b'0' 0o0 0 0  1700000000 1 '' 0 0`,
		`'snapshot/b/2' b'2' 0o0 0 0  0 0 '\udcff ->\n 0 0`,
		`'snapshot/c' b'3' 0o0 0 0  1700000000 0 '' 4095 524288`,
	} {
		if i >= len(lines) || lines[i] != want {
			t.Errorf("line %d: %s\nwant %s", i, lines[min(i, len(lines)-1)], want)
		}
	}
}

func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", program)
		}
		t.Skipf("%s is not installed", program)
	}
}

func TestCompare(t *testing.T) {
	want := []string{"", "\x01", "a", "a/b", "a/b/c", "a/b.c", "a\x01", "a.d", "a.d/z", "a.txt", "b", "\xff"}
	got := slices.Clone(want)
	slices.SortFunc(got, Compare)
	if !slices.Equal(got, want) {
		t.Errorf("sorted %q, want %q", got, want)
	}
	for i, a := range want {
		for j, b := range want {
			if c := Compare(a, b); (c < 0) != (i < j) || (c == 0) != (i == j) {
				t.Errorf("Compare(%q, %q) = %d", a, b, c)
			}
		}
	}
}

func TestHostileNames(t *testing.T) {
	for _, name := range []string{
		"snapshot/../x", "snapshot/a/../../x", "snapshot//etc/passwd", "snapshot/a//b", "snapshot/./a",
		"/etc/passwd", "x", "other/a", "multivol_snapshot/a", "multivol_snapshot/a/0", "multivol_snapshot/a/x",
		"multivol_deleted/../1", "snapshot/a/.",
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name}); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if recs, err := read(&b); err == nil {
			t.Errorf("%q was read as %+v", name, recs[0].Entry)
		}
	}
}

func TestOrderIsChecked(t *testing.T) {
	fifo := func(p string) Record { return Record{Kind: Snapshot, Entry: &Entry{Path: p, Type: Fifo}} }
	for _, pair := range [][2]string{{"b", "a"}, {"a.d", "a/b"}, {"a", "a"}} {
		raw := write(t, []Record{fifo(pair[0]), fifo(pair[1])}, (*Writer).Begin)
		if _, err := read(bytes.NewReader(raw)); err == nil {
			t.Errorf("%q after %q was accepted", pair[1], pair[0])
		}
	}
}

// FuzzReader: any bytes give records or an error, and no record leads outside.
func FuzzReader(f *testing.F) {
	f.Add(write(f, samples(), (*Writer).Begin))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		recs, _ := read(bytes.NewReader(raw))
		for _, r := range recs {
			if p, err := CleanPath(r.Entry.Path); err != nil || p != r.Entry.Path {
				t.Errorf("path %q", r.Entry.Path)
			}
		}
	})
}

// Stock can leave a single block of zeros between the last record of a volume
// and the noise that it fills the volume up with.
func TestOneZeroBlockEnds(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	body := make([]byte, 512) // zeros, which end nothing
	for _, path := range []string{"a", "b"} {
		e := &Entry{Path: path, Type: Regular, Size: 512, ModTime: time.Unix(1, 0)}
		if err := w.Begin(Record{Kind: Snapshot, Entry: e, Size: 512}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	noise := bytes.Repeat([]byte("noise"), 300)
	zeros := make([]byte, 512)
	for _, c := range []struct {
		name string
		tail []byte
		want error
	}{
		{"no end", nil, io.EOF},
		{"one block", zeros, io.EOF},
		{"one block, then noise", append(slices.Clone(zeros), noise...), io.EOF},
		{"one block, then little noise", append(slices.Clone(zeros), noise[:100]...), io.EOF},
		{"two blocks, then noise", append(make([]byte, 1024), noise...), io.EOF},
		{"noise", noise, tar.ErrHeader},
	} {
		r := NewReader(bytes.NewReader(slices.Concat(b.Bytes(), c.tail)))
		var err error
		n := 0
		for ; err == nil; n++ {
			_, err = r.Next()
		}
		if n != 3 || !errors.Is(err, c.want) {
			t.Errorf("%s: %d records, then %v", c.name, n-1, err)
		}
	}
}
