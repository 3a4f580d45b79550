package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

const sample = `Hostname vm
Localdir /
Volume 1:
    StartingPath   .  
    EndingPath     usr/share/doc 12
    Hash SHA1 d03498f2cb0962c55ad3c84a4ade3c27b0901348
Volume 2:
    StartingPath   usr/share/doc 13
    EndingPath     "with\x20space"  
    Hash SHA1 2d4b3b1c6dfb5c1d8d1f4f8f0d5f4f6b7f1c9e11
    Hash MD5 68b329da9893e34099c7d8ad5cb9c940
`

func sampleManifest() *Manifest {
	return &Manifest{Hostname: "vm", Localdir: "/", Volumes: []Volume{
		{1, Position{"", 0}, Position{"usr/share/doc", 12},
			[]Hash{{"SHA1", "d03498f2cb0962c55ad3c84a4ade3c27b0901348"}}},
		{2, Position{"usr/share/doc", 13}, Position{"with space", 0},
			[]Hash{{"SHA1", "2d4b3b1c6dfb5c1d8d1f4f8f0d5f4f6b7f1c9e11"}, {"MD5", "68b329da9893e34099c7d8ad5cb9c940"}}},
	}}
}

func text(t *testing.T, m *Manifest) string {
	t.Helper()
	var b bytes.Buffer
	n, err := m.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("WriteTo = %d, %v after %d bytes", n, err, b.Len())
	}
	return b.String()
}

func read(t *testing.T, s string) *Manifest {
	t.Helper()
	m, err := Read(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBothWays(t *testing.T) {
	if got := text(t, sampleManifest()); got != sample {
		t.Errorf("wrote\n%s\nwant\n%s", got, sample)
	}
	if got := read(t, sample); !reflect.DeepEqual(got, sampleManifest()) {
		t.Errorf("read %+v", got)
	}
	v := sampleManifest().Volumes[1]
	if v.Hash("MD5") != "68b329da9893e34099c7d8ad5cb9c940" || v.Hash("SHA256") != "" {
		t.Error("Hash gives the wrong digest")
	}
}

func volume(n int, start, end string) string {
	return fmt.Sprintf("Volume %d:\n    StartingPath   %s  \n    EndingPath     %s  \n", n, start, end)
}

func TestReadTolerates(t *testing.T) {
	list := "Filelist 3\n    new      a/b\n    changed  \"with\\x20space\"\n    deleted  Volume\n"
	v1, v2, v3 := volume(1, "a", "b"), volume(2, "c", "d"), volume(3, "e", "f")
	tests := []struct {
		name, text string
		numbers    []int
		files      int
	}{
		{"nothing", "", []int{}, 0},
		{"list after", v1 + v2 + list, []int{1, 2}, 3},
		{"list before", list + v1 + v2, []int{1, 2}, 3},
		{"list between", v1 + list + v2, []int{1, 2}, 3},
		{"lower case", "volume 1:\n startingpath a\n endingpath b\nVOLUME 2:\nSTARTINGPATH c\nEndingPath d\n", []int{1, 2}, 0},
		{"unknown fields", "Version 9\n" + v1 + "    Colour blue\nZone\n\n" + v2, []int{1, 2}, 0},
		{"no final line feed", strings.TrimSuffix(v1, "\n"), []int{1}, 0},
		{"resumed", v1 + v2 + v3 + volume(2, "x", "y"), []int{1, 2}, 0},
		{"resumed further", v1 + v2 + v3 + volume(2, "x", "y") + volume(3, "z", "zz"), []int{1, 2, 3}, 0},
		{"out of order", v2 + v1, []int{1}, 0},
		{"field of a volume before any", "    StartingPath\n    Hash\n" + v1, []int{1}, 0},
	}
	for _, tt := range tests {
		m := read(t, tt.text)
		if got := m.Numbers(); !reflect.DeepEqual(got, tt.numbers) || m.Files != tt.files {
			t.Errorf("%s: volumes %v and %d files, want %v and %d", tt.name, got, m.Files, tt.numbers, tt.files)
		}
	}
	if m := read(t, v1+v2+volume(1, "x", "y")+volume(2, "z", "zz")); m.Volumes[0].Start.Path != "x" {
		t.Error("the first listing of a volume won")
	}
	m := read(t, "Hostname a\nLocaldir \"\\x2ftmp\"\nhostname b\nlocaldir c\n")
	if m.Hostname != "a" || m.Localdir != "/tmp" {
		t.Errorf("hostname %q, localdir %q", m.Hostname, m.Localdir)
	}
}

// Bytes that look like white space in Unicode are parts of names, and a
// carriage return has no meaning of its own.
func TestReadKeepsForeignSpace(t *testing.T) {
	path := "a\u00a0b\u2003c\xff\x85"
	m := read(t, volume(1, path, path)+"Hostname x\r\n")
	if m.Volumes[0].Start.Path != path || m.Hostname != "x\r" {
		t.Errorf("path %q, hostname %q", m.Volumes[0].Start.Path, m.Hostname)
	}
}

func TestReadRefuses(t *testing.T) {
	tests := map[string]string{
		"Volume x:\n":              "line 1: bad volume number",
		"Volume 0:\n":              "line 1: bad volume number",
		"Volume 1\n":               "line 1: bad volume number",
		"Volume -1:\n":             "line 1: bad volume number",
		"Volume 4294967296:\n":     "line 1: bad volume number",
		"Volume\n":                 "line 1: bad volume number",
		"Volume 1:\n":              "at its end: volume 1: no starting",
		"Volume 1:\n\nVolume 2:\n": "line 3: volume 1: no starting",
		"Volume 1:\n StartingPath a\nFilelist 0\n":     "line 3: volume 1: no starting or no ending",
		"Volume 1:\n StartingPath\n":                   "line 2: volume 1: path is missing",
		"Volume 1:\n StartingPath a b\n":               "bad piece number",
		"Volume 1:\n StartingPath a -1\n":              "bad piece number",
		"Volume 1:\n StartingPath a 99999999999\n":     "bad piece number",
		"Volume 1:\n StartingPath \"a\n":               "closing quote",
		"Volume 1:\n StartingPath \"\n":                "closing quote",
		"Volume 1:\n StartingPath \"\\\"\n":            "bad escape",
		"Volume 1:\n StartingPath \"\\x2\"\n":          "bad escape",
		"Volume 1:\n StartingPath \"\\xzz\"\n":         "bad escape",
		"Volume 1:\n StartingPath \"\\n20\"\n":         "bad escape",
		"Volume 1:\n Hash SHA1\n":                      "hash without",
		"Localdir \"a\n":                               "closing quote",
		"Hostname " + strings.Repeat("x", MaxLine):     "line 1: longer than",
		"Volume 1:\n" + strings.Repeat(" ", MaxLine+1): "line 2: longer than",
		"Volume 1:\n" + manyHashes(maxHashes+1):        "more than 16 hashes",
	}
	for in, want := range tests {
		if _, err := Read(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Read(%.60q) = %v, want %q", in, err, want)
		}
	}
}

func manyHashes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "    Hash H%d 00\n", i)
	}
	return b.String()
}

func TestReadTakesTheLongestLine(t *testing.T) {
	label := " StartingPath "
	path := strings.Repeat("p", MaxLine-len(label))
	m := read(t, "Volume 1:\n"+label+path+"\n EndingPath z\n")
	if m.Volumes[0].Start.Path != path {
		t.Error("path was changed")
	}
}

func TestReadPassesErrorsOn(t *testing.T) {
	broken := io.MultiReader(strings.NewReader(sample), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := Read(broken); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Read = %v", err)
	}
}

// repeat is a reader of n copies of a text.
type repeat struct {
	text string
	n    int
	r    strings.Reader
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.r.Len() == 0 {
		if r.n == 0 {
			return 0, io.EOF
		}
		r.n--
		r.r.Reset(r.text)
	}
	return r.r.Read(p)
}

func TestFilelistTakesNoMemory(t *testing.T) {
	const lines = 1_000_000
	list := &repeat{text: "    changed  var/lib/dpkg/info/some-package-of-the-system.list\n", n: lines}
	var m *Manifest
	allocs := testing.AllocsPerRun(1, func() {
		list.n = lines
		var err error
		m, err = Read(io.MultiReader(strings.NewReader("Filelist 1000000\n"), list, strings.NewReader(volume(1, "a", "b"))))
		if err != nil {
			t.Fatal(err)
		}
	})
	if m.Files != lines || len(m.Volumes) != 1 {
		t.Errorf("%d files, %d volumes", m.Files, len(m.Volumes))
	}
	if allocs > 1000 {
		t.Errorf("%.0f allocations", allocs)
	}
}

func TestWriteRefuses(t *testing.T) {
	bad := map[string]func(m *Manifest){
		"follows volume":   func(m *Manifest) { m.Volumes[1].Number = 1 },
		"volume 0":         func(m *Manifest) { m.Volumes[0].Number = 0 },
		"31 bits":          func(m *Manifest) { m.Volumes[1].Number = 1 << 31 },
		"too long":         func(m *Manifest) { m.Volumes[0].Start.Path = strings.Repeat(" ", MaxLine/4) },
		"for a line":       func(m *Manifest) { m.Localdir = strings.Repeat("x", MaxLine) },
		"root":             func(m *Manifest) { m.Volumes[0].End.Path = "." },
		"piece number":     func(m *Manifest) { m.Volumes[0].End.Piece = -1 },
		"two words":        func(m *Manifest) { m.Volumes[0].Hashes[0].Hex = "" },
		"is not two words": func(m *Manifest) { m.Volumes[0].Hashes[0].Type = "SHA 1" },
		"too many hashes":  func(m *Manifest) { m.Volumes[0].Hashes = make([]Hash, 0); addHashes(m) },
	}
	for want, spoil := range bad {
		m := sampleManifest()
		spoil(m)
		if n, err := m.WriteTo(io.Discard); err == nil || n != 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("WriteTo = %d, %v, want %q", n, err, want)
		}
	}
}

func addHashes(m *Manifest) {
	for i := range maxHashes + 1 {
		m.Volumes[0].Hashes = append(m.Volumes[0].Hashes, Hash{fmt.Sprint("H", i), "00"})
	}
}

type shortWriter struct{ room int }

func (w *shortWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.room)
	w.room -= n
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

func TestWriteReportsErrors(t *testing.T) {
	for room := range len(sample) {
		n, err := sampleManifest().WriteTo(&shortWriter{room})
		if !errors.Is(err, io.ErrShortWrite) || n != int64(room) {
			t.Fatalf("with room for %d bytes: %d, %v", room, n, err)
		}
	}
}

func TestVolumesFor(t *testing.T) {
	m := &Manifest{Volumes: []Volume{
		{Number: 1, Start: Position{"", 0}, End: Position{"big", 15}},
		{Number: 2, Start: Position{"big", 16}, End: Position{"big", 30}},
		{Number: 3, Start: Position{"big", 31}, End: Position{"etc/passwd", 0}},
		{Number: 4, Start: Position{"etc/shadow", 0}, End: Position{"usr/lib/x", 0}},
		{Number: 5, Start: Position{"usr/lib/y", 0}, End: Position{"usr.old", 0}},
		{Number: 6, Start: Position{"z", 0}, End: Position{"y", 0}}, // out of order
	}}
	tests := map[string][]int{
		"":            {1, 2, 3, 4, 5, 6},
		"aaa":         {1, 6},
		"big":         {1, 2, 3, 6},
		"big/below":   {3, 6},
		"bigger":      {3, 6},
		"etc":         {3, 4, 6},
		"etc/passwd":  {3, 6},
		"etc/passwd-": {6},
		"etc/ssh":     {4, 6},
		"etc.d":       {4, 6},
		"usr":         {4, 5, 6},
		"usr/lib":     {4, 5, 6},
		"usr/lib/xx":  {6},
		"usr/lib/y/z": {5, 6},
		"usr/share":   {5, 6},
		"usr.older":   {6},
		"zzz":         {6},
	}
	for path, want := range tests {
		got := (&Manifest{Volumes: m.VolumesFor(path)}).Numbers()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("VolumesFor(%q) = %v, want %v", path, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		numbers []int
		want    string
	}{
		{[]int{1, 2, 3}, ""},
		{nil, "no volume"},
		{[]int{2}, "volume 2 is listed, volume 1 is not"},
		{[]int{1, 2, 2000000000}, "volume 3 is not"},
	}
	for _, tt := range tests {
		var m Manifest
		for _, n := range tt.numbers {
			m.Volumes = append(m.Volumes, Volume{Number: n})
		}
		err := m.Check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Check of %v = %v, want %q", tt.numbers, err, tt.want)
		}
	}
}

// What was read can be written, and reads back the same.
func FuzzRead(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("Filelist 1\n    new a\n" + volume(1, "a", `"b\x20c"`) + volume(1, "é", "\xff")))
	f.Add([]byte("hostname \"\\x0a\"\nlocaldir \xff\nvolume 7: x\nstartingpath \"\" 0\nendingpath . 3\n hash a b c\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if _, err := m.WriteTo(&b); err != nil {
			t.Fatalf("write %+v: %v", m, err)
		}
		again, err := Read(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatalf("read %q: %v", b.Bytes(), err)
		}
		m.Files = 0
		m.Hostname = validUTF8(m.Hostname)
		if !reflect.DeepEqual(m, again) {
			t.Fatalf("%+v became %+v", m, again)
		}
	})
}
