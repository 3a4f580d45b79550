package userdb

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var seeds = []string{
	"", "\n", "\n\n", "a", ":", "::::::", "+", "-x\n", "# c\n", "a:x:1:1:::", "a:x:1:1:::\n\na:x:2:2:::\r\n", "a:x:-1:1:::\n",
	"a:x:01:1:::\n", "a:x:4294967295:1:::\n", "a:x:99999999999999999999:1:::\n", "a:x:1:1:::::::\n", "a:x:1:b,,c,\n", "a:x:1\n",
	"a:!:1::::::\n", "a:!::b\n", "\x00:x:1:1:::\n", "a:x:1:1:\xff::\n", "root:x:5:5:::\ntoor:x:0:0:::\n", "a_orig:x:0:0:::\na:x:0:0:::\n",
	"a:100000:65536\nb:1:0\n",
}

// Whatever a file holds, it comes back as it was.
func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, kind := range []Kind{Passwd, Group, Shadow, GShadow} {
			if got := Parse(kind, data).Bytes(); !bytes.Equal(got, data) {
				t.Errorf("%s %q comes back as %q", kind, data, got)
			}
		}
	})
}

// Whatever the files hold, a merge has every line of this system that it must
// keep, and doing it again changes nothing more.
func FuzzMerge(f *testing.F) {
	for i, s := range seeds {
		f.Add([]byte(s), []byte(seeds[len(seeds)-1-i]))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		backup := Files{a, b, a, b, a, b}
		m, err := Merge(backup, Files{b, a, b, a, b, a})
		if err != nil {
			return
		}
		expectNames(t, Passwd, m.Passwd, a, b)
		expectNames(t, Group, m.Group, a, b)
		again := merge(t, backup, m.Files)
		for _, c := range [][2][]byte{{again.Passwd, m.Passwd}, {again.Group, m.Group}, {again.Shadow, m.Shadow},
			{again.GShadow, m.GShadow}, {again.SubUID, m.SubUID}, {again.SubGID, m.SubGID}} {
			equal(t, "a file after another merge", c[0], c[1])
		}
		if !strings.HasSuffix(m.Plan.String(), "\n") && m.Plan.String() != "" {
			t.Errorf("the plan is %q", m.Plan)
		}
	})
}

func expectNames(t *testing.T, kind Kind, merged []byte, sides ...[]byte) {
	found := slices.Collect(maps.Values(allNames(kind, merged)))
	for _, side := range sides {
		for _, name := range allNames(kind, side) {
			if !slices.Contains(found, name) {
				t.Errorf("%s has no %q", kind, name)
			}
		}
	}
}

func allNames(kind Kind, data []byte) map[int]string {
	names := make(map[int]string)
	for i, l := range Parse(kind, data).lines {
		if l.entry != nil {
			names[i] = l.entry.name()
		}
	}
	return names
}

func TestNames(t *testing.T) {
	got := Parse(Passwd, users("root:0", "toor:0", "a:7")).Names()
	if want := map[int]string{0: "root", 7: "a"}; !maps.Equal(got, want) {
		t.Errorf("names are %v", got)
	}
	if got := Parse(Shadow, []byte("root:!:::::::\n")).Names(); len(got) > 0 {
		t.Errorf("names of a shadow file are %v", got)
	}
}

func TestFormatMaps(t *testing.T) {
	if got := FormatMaps(nil, IDMap{1: 2}); got != "\n1,2\n" {
		t.Errorf("maps are %q", got)
	}
	for line := range strings.Lines(string(read(t, "hash-order"))) {
		m, want := make(IDMap), []string(nil)
		for _, key := range strings.Fields(line) {
			id, err := strconv.Atoi(key)
			if err != nil {
				t.Fatal(err)
			}
			m[id] = 1
			want = append(want, key+",1")
		}
		if got := m.String(); got != strings.Join(want, ":") {
			t.Errorf("the order is %s\nand not %s", got, want)
		}
	}
}

// A backup can hold anything; what it costs grows with its size alone.
func BenchmarkMerge(b *testing.B) {
	var old, system []byte
	for i := range 30000 {
		old = fmt.Appendf(old, "old%d:x:%d:%d::/:/bin/sh\n", i, 1000+i, 1000+i)
		system = fmt.Appendf(system, "new%d:x:%d:%d::/:/bin/sh\n", i, 1000+i, 1000+i)
	}
	for b.Loop() {
		if _, err := Merge(Files{Passwd: old, Shadow: old}, Files{Passwd: system, Shadow: system}); err != nil {
			b.Fatal(err)
		}
	}
}
