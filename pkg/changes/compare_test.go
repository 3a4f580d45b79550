package changes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tklbam/pkg/dirindex"
)

// states are records as a baseline or a disk.
type states struct {
	records []dirindex.Record
	unknown string
	asked   []string // by Verify
	same    string
}

func (s *states) Next() (dirindex.Record, error) {
	if len(s.records) == 0 {
		return dirindex.Record{}, io.EOF
	}
	r := s.records[0]
	s.records = s.records[1:]
	return r, nil
}

func (s *states) Unknown(path string) bool {
	return s.unknown != "" && strings.HasPrefix(path, s.unknown)
}

// A verifier is a baseline that knows checksums.
type verifier struct{ *states }

var errChecksum = errors.New("cannot read the file")

func (v verifier) Verify(_ context.Context, disk dirindex.Record) (Verdict, error) {
	v.asked = append(v.asked, disk.Path)
	switch v.same {
	case "error":
		return Same, errChecksum
	case disk.Path:
		return Same, nil
	case "metadata":
		return OtherMetadata, nil
	}
	return OtherContent, nil
}

const (
	file = 0o100644
	dir  = 0o40755
	link = 0o120777
	sock = 0o140755
	fifo = 0o10644
)

func TestCompareRules(t *testing.T) {
	rec := func(mode uint32, size, mtime int64, target string) *dirindex.Record {
		return &dirindex.Record{Path: "/x", Mode: mode, UID: 1, GID: 2, Size: size, MTime: mtime, Target: target}
	}
	owned := func(r *dirindex.Record, uid, gid int) *dirindex.Record {
		r.UID, r.GID = uid, gid
		return r
	}
	for _, c := range []struct {
		name       string
		base, disk *dirindex.Record
		want       string
	}{
		{"same", rec(file, 1, 1, ""), rec(file, 1, 1, ""), ""},
		{"size", rec(file, 1, 1, ""), rec(file, 2, 1, ""), "o\t/x\t1\t2 edited 2"},
		{"time", rec(file, 1, 1, ""), rec(file, 1, 0, ""), "o\t/x\t1\t2 edited 1"},
		{"time and mode", rec(file, 1, 1, ""), rec(0o100600, 1, 2, ""), "o\t/x\t1\t2 edited 1"},
		{"mode", rec(file, 1, 1, ""), rec(0o104755, 1, 1, ""), "s\t/x\t1\t2\t0104755 metadata 0"},
		{"user", rec(file, 1, 1, ""), owned(rec(file, 1, 1, ""), 3, 2), "s\t/x\t3\t2\t0100644 metadata 0"},
		{"group", rec(file, 1, 1, ""), owned(rec(file, 1, 1, ""), 1, 3), "s\t/x\t1\t3\t0100644 metadata 0"},
		{"directory time", rec(dir, 1, 1, ""), rec(dir, 2, 2, ""), ""},
		{"directory mode", rec(dir, 1, 1, ""), rec(0o40700, 2, 2, ""), "s\t/x\t1\t2\t040700 metadata 0"},
		{"socket time", rec(sock, 0, 1, ""), rec(sock, 0, 2, ""), ""},
		{"socket mode", rec(sock, 0, 1, ""), rec(0o140700, 0, 2, ""), "s\t/x\t1\t2\t0140700 metadata 0"},
		{"link time", rec(link, 1, 1, "a"), rec(link, 1, 2, "a"), ""},
		{"link owner", rec(link, 1, 1, "a"), owned(rec(link, 1, 2, "a"), 3, 3), "s\t/x\t3\t3\t0120777 metadata 0"},
		{"link target", rec(link, 1, 1, "a"), rec(link, 1, 1, "b"), "o\t/x\t1\t2 edited 0"},
		{"link without target", rec(link, 1, 1, ""), rec(link, 1, 1, "b"), ""},
		{"link without target, time", rec(link, 1, 1, ""), rec(link, 1, 2, "b"), "o\t/x\t1\t2 edited 0"},
		{"fifo time", rec(fifo, 0, 1, ""), rec(fifo, 0, 2, ""), "o\t/x\t1\t2 edited 0"},
		{"file to link", rec(file, 1, 1, ""), rec(link, 1, 1, "a"), "o\t/x\t1\t2 edited 0"},
		{"link to file", rec(link, 1, 1, "a"), rec(file, 1, 1, ""), "o\t/x\t1\t2 edited 1"},
		{"file to directory", rec(file, 1, 1, ""), rec(dir, 2, 2, ""), "s\t/x\t1\t2\t040755 metadata 0"},
		{"directory to file", rec(dir, 1, 1, ""), rec(file, 1, 1, ""), "o\t/x\t1\t2 edited 1"},
		{"file to socket", rec(file, 1, 1, ""), rec(sock, 0, 2, ""), "s\t/x\t1\t2\t0140755 metadata 0"},
		{"new file", nil, rec(file, 7, 1, ""), "o\t/x\t1\t2 new 7"},
		{"new directory", nil, rec(dir, 7, 1, ""), "s\t/x\t1\t2\t040755 new 0"},
		{"new link", nil, rec(link, 1, 1, "a"), "o\t/x\t1\t2 new 0"},
		{"new fifo", nil, rec(fifo, 0, 1, ""), "o\t/x\t1\t2 new 0"},
		{"new socket", nil, rec(sock, 0, 1, ""), ""},
		{"deleted", rec(file, 1, 1, ""), nil, "d\t/x deleted 0"},
		{"deleted socket", rec(sock, 1, 1, ""), nil, "d\t/x deleted 0"},
		{"in the baseline somehow", &dirindex.Record{Path: "/x"}, rec(file, 1, 1, ""), ""},
		{"in the baseline somehow, deleted", &dirindex.Record{Path: "/x"}, nil, "d\t/x deleted 0"},
	} {
		var base, disk states
		if c.base != nil {
			base.records = []dirindex.Record{*c.base}
		}
		if c.disk != nil {
			disk.records = []dirindex.Record{*c.disk}
		}
		var got []string
		for _, change := range collect(t, Compare(&base, &disk, Options{Scope: scopeOf(t, "/")})) {
			got = append(got, fmt.Sprintf("%s %s %d", change, change.Reason, change.Size))
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCompareVerifier(t *testing.T) {
	base := func(same string) verifier {
		return verifier{&states{same: same, records: []dirindex.Record{
			{Path: "/a", Mode: file, Size: 1, MTime: 1}, {Path: "/b", Mode: file, Size: 1, MTime: 1}, {Path: "/c", Mode: file, Size: 1, MTime: 1},
			{Path: "/d"}, {Path: "/e"}, {Path: "/f"}, {Path: "/g"},
		}}}
	}
	disk := []dirindex.Record{
		{Path: "/a", Mode: file, Size: 1, MTime: 2}, {Path: "/b", Mode: file, Size: 2, MTime: 2}, {Path: "/c", Mode: file, Size: 1, MTime: 1},
		{Path: "/d", Mode: link, Target: "x"}, {Path: "/e", Mode: dir}, {Path: "/f", Mode: sock}, {Path: "/g", Mode: file, UID: 5}, {Path: "/h", Mode: file},
	}
	for same, want := range map[string]string{
		"":         "[/a /d /e /g] oa ob od se og oh",
		"/a":       "[/a /d /e /g] ob od se og oh",
		"/e":       "[/a /d /e /g] oa ob od og oh",
		"/g":       "[/a /d /e /g] oa ob od se oh",
		"metadata": "[/a /d /e /g] ob sd se sg oh",
	} {
		v := base(same)
		got := ""
		for _, c := range collect(t, Compare(v, &states{records: disk}, Options{Scope: scopeOf(t, "/")})) {
			got += " " + string(c.Op) + c.Path[1:]
		}
		if got = fmt.Sprint(v.asked) + got; got != want {
			t.Errorf("same %q: got %q, want %q", same, got, want)
		}
	}
	if _, err := Compare(base("error"), &states{records: disk}, Options{Scope: scopeOf(t, "/")}).Next(t.Context()); !errors.Is(err, errChecksum) {
		t.Errorf("error %v", err)
	}
}

// What was not looked at is not deleted.
func TestCompareNotDeleted(t *testing.T) {
	var base []dirindex.Record
	for _, p := range []string{"/etc", "/etc/a", "/etc/hidden", "/etc/hidden/x", "/srv/x", "/srv/y"} {
		base = append(base, dirindex.Record{Path: p, Mode: file})
	}
	disk := []dirindex.Record{{Path: "/etc", Mode: file}, {Path: "/etc/hidden", Mode: file}}
	for limits, want := range map[string]string{
		"/etc":              "/etc/a",
		"/etc /srv -/srv/x": "/etc/a /srv/y",
		"-/srv":             "", // an empty list covers nothing
		"":                  "",
	} {
		var got []string
		for _, c := range collect(t, Compare(&states{records: base}, &states{records: disk, unknown: "/etc/hidden/"}, Options{Scope: scopeOf(t, strings.Fields(limits)...)})) {
			got = append(got, c.Path)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("limits %q: got %q, want %q", limits, got, want)
		}
	}
}

func TestCompareOverride(t *testing.T) {
	base := []dirindex.Record{{Path: "/etc/a", Mode: file}, {Path: "/etc/gone", Mode: file}, {Path: "/srv/gone", Mode: file}}
	disk := []dirindex.Record{{Path: "/etc/a", Mode: file, Size: 1}, {Path: "/etc/b", Mode: file}, {Path: "/srv", Mode: dir}, {Path: "/srv/b", Mode: file}}
	for profile, want := range map[string]string{
		"/etc": "/etc/a edited, /etc/b new, /etc/gone deleted, /srv override, /srv/b override, /srv/gone deleted",
		"":     "/etc/a override, /etc/b override, /etc/gone deleted, /srv override, /srv/b override, /srv/gone deleted",
	} {
		var got []string
		opts := Options{Scope: scopeOf(t, "/etc", "/srv"), Profile: scopeOf(t, strings.Fields(profile)...)}
		for _, c := range collect(t, Compare(&states{records: base}, &states{records: disk}, opts)) {
			got = append(got, c.Path+" "+c.Reason.String())
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("profile %q: got %q, want %q", profile, got, want)
		}
	}
}

func TestCompareErrors(t *testing.T) {
	records := func(paths ...string) *states {
		var s states
		for _, p := range paths {
			s.records = append(s.records, dirindex.Record{Path: p, Mode: dir})
		}
		return &s
	}
	for want, c := range map[string]*Comparison{
		"read baseline: ": Compare(records("/a", "/c", "/b"), records("/a", "/b", "/c"), Options{Scope: scopeOf(t, "/")}),
		"read disk: ":     Compare(records("/a"), records("/a", "/a"), Options{Scope: scopeOf(t, "/")}),
	} {
		var err error
		for err == nil {
			_, err = c.Next(t.Context())
		}
		if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if _, again := c.Next(t.Context()); again != err {
			t.Errorf("the error does not stick: %v", again)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Compare(records("/a"), records("/b"), Options{Scope: scopeOf(t, "/")}).Next(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// The changes between two random states are those that a look at each path
// alone finds.
func TestCompareRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		base, disk := randomState(rnd), randomState(rnd)
		var want []string
		paths := make(map[string][2][]dirindex.Record)
		for i, state := range [][]dirindex.Record{base, disk} {
			for _, r := range state {
				pair := paths[r.Path]
				pair[i] = []dirindex.Record{r}
				paths[r.Path] = pair
			}
		}
		opts := Options{Scope: scopeOf(t, "/")}
		for _, pair := range paths {
			for _, c := range collect(t, Compare(&states{records: pair[0]}, &states{records: pair[1]}, opts)) {
				want = append(want, c.Path+" "+c.String())
			}
		}
		slices.Sort(want)
		var got []string
		for _, c := range collect(t, Compare(&states{records: base}, &states{records: disk}, opts)) {
			got = append(got, c.Path+" "+c.String())
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q\nwant %q", got, want)
		}
	}
}

func randomState(rnd *rand.Rand) (state []dirindex.Record) {
	names := []string{"/a", "/a-", "/a-b", "/a.d", "/a/x", "/a/x/y", "/a0", "/b"}
	modes := []uint32{file, dir, link, sock, fifo, 0o100600}
	for _, name := range names {
		if rnd.IntN(3) > 0 {
			state = append(state, dirindex.Record{
				Path: name, Mode: modes[rnd.IntN(len(modes))], UID: rnd.IntN(2), Size: rnd.Int64N(2), MTime: rnd.Int64N(2),
			})
		}
	}
	return state
}
