package changes

import (
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"tklbam/pkg/dirindex"
)

// The tests here are about the results of the old program: see testdata/README.

func fixture(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	must(t, err)
	return string(text)
}

// sorted brings lines in the order that the results are in.
func sorted(lines []string) string {
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// An indexed disk is what an index says, with nothing unknown.
type indexed struct{ *dirindex.Reader }

func (indexed) Unknown(string) bool { return false }

func readIndex(text string) indexed { return indexed{dirindex.NewReader(strings.NewReader(text))} }

// within leaves of an index what a scan of the scope would find.
func within(t *testing.T, index string, scope *dirindex.Scope) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(index) {
		rec, err := dirindex.Parse(strings.TrimSuffix(line, "\n"))
		must(t, err)
		if scope.Match(rec.Path) {
			b.WriteString(line)
		}
	}
	return b.String()
}

func collect(t *testing.T, c *Comparison) (list []Change) {
	t.Helper()
	for {
		change, err := c.Next(t.Context())
		if err == io.EOF {
			return list
		}
		must(t, err)
		list = append(list, change)
	}
}

func TestRegtestCompare(t *testing.T) {
	for _, c := range []struct{ disk, limits, want string }{
		{"3-disk", "/testdir", "3-delta"},
		{"8-disk", "/testdir/subdir -/testdir/subdir/subsubdir", "9-delta-limited"},
		{"8-disk", "/testdir -/testdir/subdir /testdir/subdir/subsubdir", "10-delta-inverted"},
	} {
		scope := scopeOf(t, strings.Fields(c.limits)...)
		disk := readIndex(within(t, fixture(t, c.disk), scope))
		var got []string
		last := ""
		for _, change := range collect(t, Compare(readIndex(fixture(t, "0-before")), disk, Options{Scope: scope})) {
			if change.Path <= last {
				t.Errorf("%s: %s after %s", c.want, change.Path, last)
			}
			last = change.Path
			got = append(got, change.String()+"\n")
		}
		if sorted(got) != fixture(t, c.want) {
			t.Errorf("%s: got\n%s", c.want, sorted(got))
		}
	}
}

// lstatIn looks paths up in an index.
func lstatIn(t *testing.T, index string) func(string) (dirindex.Record, error) {
	t.Helper()
	records := make(map[string]dirindex.Record)
	for line := range strings.Lines(index) {
		rec, err := dirindex.Parse(strings.TrimSuffix(line, "\n"))
		must(t, err)
		records[rec.Path] = rec
	}
	return func(path string) (dirindex.Record, error) {
		rec, ok := records[path]
		if !ok {
			return rec, fs.ErrNotExist
		}
		return rec, nil
	}
}

func readDelta(t *testing.T, text string, limits ...string) (list []Change) {
	t.Helper()
	r := NewReader(strings.NewReader(text), pathsOf(t, limits...))
	for {
		c, err := r.Next()
		if err == io.EOF {
			return list
		}
		must(t, err)
		list = append(list, c)
	}
}

var docker = Names{Group: func(id int) string {
	if id == 999 {
		return "docker"
	}
	return ""
}}

func TestRegtestStatFixes(t *testing.T) {
	ids := map[int]int{666: 777, 111: 222}
	for _, c := range []struct {
		disk, limits string
		ids          map[int]int
		want         string
	}{
		{"4-disk", "", nil, fixture(t, "4-fixstat")},
		{"4-disk", "/testdir/subdir", nil, fixture(t, "5-fixstat-limited")},
		{"4-disk", "/testdir -/testdir/subdir", nil, fixture(t, "6-fixstat-excluded")},
		{"4-disk", "", ids, fixture(t, "7-fixstat-mapped")},
		{"8-disk", "", ids, ""},
	} {
		p := Planner{UIDs: c.ids, GIDs: c.ids, Lstat: lstatIn(t, fixture(t, c.disk))}
		var got []string
		for _, change := range readDelta(t, fixture(t, "3-delta"), strings.Fields(c.limits)...) {
			actions, err := p.StatFixes(change)
			must(t, err)
			for _, a := range actions {
				got = append(got, a.Format(docker)+"\n")
			}
		}
		if sorted(got) != c.want {
			t.Errorf("limits %q, ids %v: got\n%s", c.limits, c.ids, sorted(got))
		}
	}
}

func TestRegtestDelete(t *testing.T) {
	for _, c := range []struct{ disk, limits, want string }{
		{"11-disk", "", fixture(t, "11-delete")},
		{"11-disk", "/testdir/subdir", fixture(t, "12-delete-limited")},
		{"14-disk", "", ""},
	} {
		p := Planner{Lstat: lstatIn(t, fixture(t, c.disk))}
		var got []string
		for _, change := range readDelta(t, fixture(t, "3-delta"), strings.Fields(c.limits)...) {
			a, ok, err := p.Deletion(change)
			must(t, err)
			if ok {
				got = append(got, a.Format(Names{})+"\n")
			}
		}
		if sorted(got) != c.want {
			t.Errorf("%s, limits %q: got\n%s", c.disk, c.limits, sorted(got))
		}
	}
}
