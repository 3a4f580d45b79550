package changes

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"tklbam/pkg/dirindex"
	"tklbam/pkg/limits"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pathsOf(t testing.TB, list ...string) *limits.Paths {
	t.Helper()
	l, err := limits.ParseAll(list)
	must(t, err)
	return l.Paths()
}

func scopeOf(t testing.TB, list ...string) *dirindex.Scope {
	t.Helper()
	l, err := limits.ParseAll(list)
	must(t, err)
	return dirindex.NewScope(l)
}

func TestChangeLine(t *testing.T) {
	for _, c := range []struct {
		line string
		want Change
	}{
		{"d\t/a", Change{Op: Delete, Path: "/a"}},
		{"d\t/a b \r", Change{Op: Delete, Path: "/a b \r"}},
		{"o\t/a\\t\xff\t999\t0", Change{Op: Overwrite, Path: "/a\\t\xff", UID: 999}},
		{"s\t/a\t4294967295\t1\t0100644", Change{Op: Stat, Path: "/a", UID: 1<<32 - 1, GID: 1, Mode: 0o100644}},
		{"s\t/\t0\t0\t040755", Change{Op: Stat, Path: "/", Mode: 0o40755}},
		{"s\t/a\t0\t0\t0", Change{Op: Stat, Path: "/a"}},
		{`d	/./a\tb\n\\`, Change{Op: Delete, Path: "/a\tb\n\\"}},
		{`o	/./a\tb	1	2`, Change{Op: Overwrite, Path: "/a\tb", UID: 1, GID: 2}},
	} {
		got, err := Parse(c.line)
		if err != nil || got != c.want {
			t.Errorf("Parse(%q) = %+v, %v", c.line, got, err)
		}
		if s := c.want.String(); s != c.line {
			t.Errorf("%+v is formatted as %q, want %q", c.want, s, c.line)
		}
	}
}

// Older writers left a tab in a path as it is.
func TestParseRawTab(t *testing.T) {
	for line, want := range map[string]string{"d\t/a\tb": "/a\tb", "o\t/a\t1\t2\t3": "/a\t1", "s\t/a\t\t1\t2\t755": "/a\t"} {
		if c, err := Parse(line); err != nil || c.Path != want {
			t.Errorf("Parse(%q) = %q, %v", line, c.Path, err)
		}
	}
}

func TestChangeLineErrors(t *testing.T) {
	for _, line := range []string{
		"", "d", "d\t", "d\ta", "d\t/../a", "d\t/a/", "d\t/a\x00", "x\t/a", "dd\t/a", "\t/a", "o\t/a", "o\t/a\t1", "o\t/a\t-1\t1",
		"o\t/a\t1\t", "o\t/a\t1\t4294967296", "s\t/a\t1\t1", "s\t/a\t1\t1\t0800", "s\t/a\t1\t1\t", `d	/./a\`,
	} {
		if got, err := Parse(line); err == nil {
			t.Errorf("Parse(%q) = %+v", line, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{"d\t/a", "o\t/a\t1\t2", "s\t/a\t1\t2\t040755", `d	/./\t`, "o\t/\t\t0\t0"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := Parse(line)
		if err != nil {
			return
		}
		if again, err := Parse(c.String()); err != nil || again != c {
			t.Errorf("%+v came back as %+v, %v", c, again, err)
		}
	})
}

func TestReader(t *testing.T) {
	const text = "o\t/b/x\t1\t2\n\nd\t/a\nnonsense\ns\t/b-\t1\t1\t0755\nd\t/b"
	r := NewReader(strings.NewReader(text), pathsOf(t, "/b"))
	var got []string
	for {
		c, err := r.Next()
		if err == io.EOF {
			break
		}
		var bad *LineError
		if errors.As(err, &bad) && bad.Line == 4 {
			got = append(got, "bad")
			continue
		}
		must(t, err)
		got = append(got, string(c.Op)+c.Path)
	}
	if strings.Join(got, " ") != "o/b/x bad d/b" {
		t.Errorf("read %q", got)
	}
}

func TestWriter(t *testing.T) {
	var delta, list bytes.Buffer
	w := NewWriter(&delta, &list)
	for _, c := range []Change{
		{Op: Overwrite, Path: "/a\\n", UID: 1, GID: 2, Reason: New, Size: 7},
		{Op: Stat, Path: "/b", Mode: 0o40700},
		{Op: Overwrite, Path: "/c\n"},
		{Op: Delete, Path: "/d"},
	} {
		must(t, w.Write(c))
	}
	must(t, w.Flush())
	if want := "o\t/a\\n\t1\t2\ns\t/b\t0\t0\t040700\no\t/./c\\n\t0\t0\nd\t/d\n"; delta.String() != want {
		t.Errorf("delta %q", &delta)
	}
	if want := "/a\\n\n/./c\\n\n"; list.String() != want {
		t.Errorf("list %q", &list)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriterErrors(t *testing.T) {
	for _, w := range []*Writer{NewWriter(brokenPipe{}, io.Discard), NewWriter(io.Discard, brokenPipe{})} {
		must(t, w.Write(Change{Op: Overwrite, Path: "/a"}))
		if err := w.Flush(); !errors.Is(err, io.ErrClosedPipe) {
			t.Error(err)
		}
		if err := w.Write(Change{Op: Overwrite, Path: "/b"}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the error does not stick: %v", err)
		}
	}
}
