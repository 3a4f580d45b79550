package userdb

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// read returns a fixture; testdata/README says where they come from.
func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func merge(t *testing.T, backup, system Files) *Merged {
	t.Helper()
	m, err := Merge(backup, system)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func equal(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s\nwant\n%s", what, got, want)
	}
}

// The reference results of the predecessor, byte for byte. Its command wrote
// one newline more than it did on a system.
func TestReference(t *testing.T) {
	m := merge(t,
		Files{Passwd: read(t, "old-passwd"), Group: read(t, "old-group")},
		Files{Passwd: read(t, "new-passwd"), Group: read(t, "new-group")})
	equal(t, "passwd", append(m.Passwd, '\n'), read(t, "merged-passwd"))
	equal(t, "group", append(m.Group, '\n'), read(t, "merged-group"))
	equal(t, "output", []byte(FormatMaps(m.UIDs, m.GIDs)), read(t, "merge-maps"))
	if m.Shadow != nil || m.GShadow != nil || m.SubUID != nil || m.SubGID != nil {
		t.Error("files that the system does not have appeared")
	}
}

// Results of the predecessor for random input, except what depended on the
// order of its hash tables: the lines and the maps are in sorted order.
func TestRecorded(t *testing.T) {
	cases := strings.Split(string(read(t, "recorded")), "==\n")
	for i, c := range cases[:len(cases)-1] {
		f := sections(c)
		m := merge(t,
			Files{Passwd: f["old-passwd"], Group: f["old-group"]},
			Files{Passwd: f["new-passwd"], Group: f["new-group"]})
		equal(t, "passwd", sortedLines(m.Passwd), f["merged-passwd"])
		equal(t, "group", sortedLines(m.Group), f["merged-group"])
		equal(t, "output", []byte(sortedMap(m.UIDs)+sortedMap(m.GIDs)), f["maps"])
		if t.Failed() {
			t.Fatalf("in case %d, where the input and result are\n%s", i, c)
		}
	}
}

// sections takes apart "-- name --" lines and what follows them.
func sections(s string) map[string][]byte {
	found := make(map[string][]byte)
	name := ""
	for line := range strings.Lines(s) {
		if header, ok := strings.CutPrefix(line, "-- "); ok {
			name = strings.TrimSuffix(header, " --\n")
			continue
		}
		found[name] = append(found[name], line...)
	}
	return found
}

func sortedLines(data []byte) []byte {
	return []byte(strings.Join(slices.Sorted(strings.Lines(string(data))), ""))
}

func sortedMap(m IDMap) string {
	var pairs []string
	for _, id := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, strconv.Itoa(id)+","+strconv.Itoa(m[id]))
	}
	return strings.Join(pairs, ":") + "\n"
}
