package changes

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"tklbam/pkg/dirindex"
)

func TestStatFixes(t *testing.T) {
	disk := map[string]dirindex.Record{
		"/file":   {Path: "/file", Mode: 0o100644, UID: 5, GID: 6},
		"/suid":   {Path: "/suid", Mode: 0o104755, UID: 5, GID: 6},
		"/dir":    {Path: "/dir", Mode: 0o40755},
		"/link":   {Path: "/link", Mode: 0o120777},
		"/a\nb":   {Path: "/a\nb", Mode: 0o100644},
		"/secret": {},
	}
	lstat := func(path string) (dirindex.Record, error) {
		r, ok := disk[path]
		switch {
		case !ok:
			return r, fmt.Errorf("stat: %w", fs.ErrNotExist)
		case r.Mode == 0:
			return r, fs.ErrPermission
		}
		return r, nil
	}
	names := Names{
		User:  func(id int) string { return map[int]string{0: "root", 7: "alice"}[id] },
		Group: func(id int) string { return map[int]string{0: "root"}[id] },
	}
	p := Planner{UIDs: map[int]int{5: 7, 9: 9}, GIDs: map[int]int{6: 8}, Lstat: lstat}
	for _, c := range []struct{ change, want string }{
		{"d\t/file", ""},
		{"d\t/none", ""},
		{"o\t/file\t1\t1", ""}, // not in the maps
		{"o\t/file\t9\t6", "chown -h 9:8 /file"},
		{"o\t/file\t5\t6", "chown -h alice:8 /file"},
		{"o\t/none\t5\t6", ""},
		{"s\t/file\t1\t2\t0100644", "chown -h 1:2 /file"},
		{"s\t/file\t5\t6\t0100600", "chown -h alice:8 /file, chmod 0600 /file"},
		{"s\t/file\t5\t6\t0644", "chown -h alice:8 /file"},
		{"s\t/dir\t0\t0\t040755", ""},
		{"s\t/dir\t0\t0\t041777", "chmod 01777 /dir"},
		{"s\t/dir\t0\t0\t0", "chmod 0 /dir"},
		{"s\t/dir\t0\t0\t0100644", ""}, // another type
		{"s\t/link\t0\t1\t0120777", "chown -h root:1 /link"},
		{"s\t/link\t0\t0\t0700", ""},
		{"s\t/link\t1\t1\t040755", ""},
		{"s\t/none/d\t5\t0\t040700", "mkdir -p /none/d, chown -h alice:root /none/d, chmod 0700 /none/d"},
		{"s\t/none\t0\t0\t0755", "mkdir -p /none, chown -h root:root /none, chmod 0755 /none"}, // as very old deltas have it
		{"s\t/none\t0\t0\t0100644", ""},
		{`s	/./a\nb	0	0	0100600`, `chmod 0600 /./a\nb`},
	} {
		if got := fixes(t, &p, c.change, names); got != c.want {
			t.Errorf("%q: got %q, want %q", c.change, got, c.want)
		}
	}
	if _, err := p.StatFixes(Change{Op: Stat, Path: "/secret"}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v", err)
	}
	p.Replace = func(disk dirindex.Record) bool { return disk.IsRegular() }
	for change, want := range map[string]string{
		"s\t/file\t0\t0\t040755": "rm /file, mkdir -p /file, chown -h root:root /file, chmod 0755 /file",
		"s\t/link\t0\t0\t040755": "",
		"s\t/dir\t0\t0\t0100644": "",
	} {
		if got := fixes(t, &p, change, names); got != want {
			t.Errorf("%q: got %q, want %q", change, got, want)
		}
	}
}

func fixes(t *testing.T, p *Planner, line string, names Names) string {
	t.Helper()
	c, err := Parse(line)
	must(t, err)
	actions, err := p.StatFixes(c)
	must(t, err)
	var got []string
	for _, a := range actions {
		got = append(got, a.Format(names))
	}
	return strings.Join(got, ", ")
}

// A change of owner says which mode the path then has.
func TestChownMode(t *testing.T) {
	p := Planner{UIDs: map[int]int{1: 2}, Lstat: func(path string) (dirindex.Record, error) {
		return dirindex.Record{Path: path, Mode: 0o104755, UID: 9}, nil
	}}
	for line, want := range map[string]uint32{"o\t/a\t1\t0": 0o4755, "s\t/a\t1\t0\t0102755": 0o2755, "s\t/a\t1\t0\t0755": 0o755} {
		c, err := Parse(line)
		must(t, err)
		actions, err := p.StatFixes(c)
		must(t, err)
		if len(actions) == 0 || actions[0].Verb != Chown || actions[0].Mode != want {
			t.Errorf("%q: %+v", line, actions)
		}
	}
}

func TestDeletion(t *testing.T) {
	modes := map[string]uint32{"/file": file, "/dir": dir, "/link": link}
	p := Planner{Lstat: func(path string) (dirindex.Record, error) {
		if path == "/secret" {
			return dirindex.Record{}, fs.ErrPermission
		}
		if modes[path] == 0 {
			return dirindex.Record{}, fs.ErrNotExist
		}
		return dirindex.Record{Path: path, Mode: modes[path]}, nil
	}}
	for line, want := range map[string]bool{"d\t/file": true, "d\t/link": true, "d\t/dir": false, "d\t/none": false, "o\t/file\t0\t0": false} {
		c, err := Parse(line)
		must(t, err)
		a, ok, err := p.Deletion(c)
		if err != nil || ok != want || ok && a.Format(Names{}) != "rm "+c.Path {
			t.Errorf("%q: %+v, %v, %v", line, a, ok, err)
		}
	}
	if _, _, err := p.Deletion(Change{Op: Delete, Path: "/secret"}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v", err)
	}
}

func TestTotals(t *testing.T) {
	var totals Totals
	for _, c := range []Change{
		{Op: Overwrite, Path: "/etc/a", Reason: Edited, Size: 10},
		{Op: Overwrite, Path: "/etc/x/b", Reason: New, Size: 5},
		{Op: Stat, Path: "/etc/x", Reason: Metadata, Mode: dir},
		{Op: Stat, Path: "/srv", Reason: New, Mode: dir},
		{Op: Overwrite, Path: "/srv/big", Reason: Override, Size: 100},
		{Op: Delete, Path: "/opt/x", Reason: Deleted},
		{Op: Delete, Path: "/home/x", Reason: Deleted},
		{Op: Overwrite, Path: "/vmlinuz", Reason: New},
		{Op: Stat, Path: "/", Reason: Metadata, Mode: dir},
	} {
		totals.Add(c)
	}
	got := ""
	for _, d := range append(totals.Dirs(), totals.All()) {
		got += fmt.Sprintf("%s %d/%d/%d", d.Dir, d.All.Bytes, d.All.Changes, d.Files)
		for r := New; r < numReasons; r++ {
			if n := d.Reason(r); n != (Count{}) {
				got += fmt.Sprintf(" %s %d/%d", r, n.Bytes, n.Changes)
			}
		}
		got += "\n"
	}
	const want = `/srv 100/2/1 new 0/1 override 100/1
/etc 15/3/2 new 5/1 edited 10/1 metadata 0/1
/ 0/2/1 new 0/1 metadata 0/1
/home 0/1/0 deleted 0/1
/opt 0/1/0 deleted 0/1
/ 115/9/4 new 5/3 edited 10/1 metadata 0/2 deleted 0/2 override 100/1
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
}
