package dirindex

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRecordLine(t *testing.T) {
	for _, c := range []struct {
		line string
		want Record
	}{
		{"/a\t81a4\t3e7\t0\tc\t386ca8d0", Record{"/a", 0o100644, 999, 0, 12, 0x386ca8d0, ""}},
		{"/\t41ed\t0\t0\t1000\t0", Record{"/", 0o40755, 0, 0, 4096, 0, ""}},
		{"/l\ta1ff\tffffffff\t0\t4\t-5\tfile", Record{"/l", 0o120777, 1<<32 - 1, 0, 4, -5, "file"}},
		{"/ x \r\t81a4\t0\t0\t0\t0", Record{"/ x \r", 0o100644, 0, 0, 0, 0, ""}},
		{"/\xff\\x2d\ta1ff\t0\t0\t1\t0\t\\t \r", Record{"/\xff\\x2d", 0o120777, 0, 0, 1, 0, "\\t \r"}},
		{"/./\ta1ff\t0\t0\t1\t0\t\\n", Record{"/", 0o120777, 0, 0, 1, 0, "\n"}},
		{`/./a\tb\\t` + "\t81a4\t0\t0\t0\t0", Record{"/a\tb\\t", 0o100644, 0, 0, 0, 0, ""}},
		{"/./a\ta1ff\t0\t0\t1\t0\t" + `\t\\n`, Record{"/a", 0o120777, 0, 0, 1, 0, "\t\\n"}},
		{`/./a\n` + "\ta1ff\t0\t0\t1\t0\t" + `x\\`, Record{"/a\n", 0o120777, 0, 0, 1, 0, `x\`}},
		{"/.a\t81a4\t0\t0\t0\t0", Record{"/.a", 0o100644, 0, 0, 0, 0, ""}},
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

func TestRecordLineErrors(t *testing.T) {
	const rest = "\t81a4\t0\t0\t0\t0"
	for _, line := range []string{
		"", "/a", "/a\t81a4\t0\t0\t0", "/a" + rest + "\tx\ty", "/a" + rest + "\tx\x00",
		"/a\t\t0\t0\t0\t0", "/a\t81a4\t-1\t0\t0\t0", "/a\t81a4\t0\t100000000\t0\t0", "/a\t81a4\t0\t0\tg\t0", "/a\t81a4\t0\t0\t0\t 0",
		"a" + rest, rest, "/a/" + rest, "/a//b" + rest, "//a" + rest, "/../a" + rest, "/a/./b" + rest, "/a\x00" + rest,
		"/./a\\" + rest, `/./a\x` + rest, "/.//../a" + rest, "/./a" + rest + "\t\\", "/" + strings.Repeat("a", MaxPath) + rest,
	} {
		if got, err := Parse(line); err == nil {
			t.Errorf("Parse(%.80q) = %+v", line, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("/a\t81a4\t3e7\t0\tc\t386ca8d0")
	f.Add("/l\ta1ff\t0\t0\t4\t-5\tfile")
	f.Add(`/./a\tb\\` + "\ta1ff\t0\t0\t0\t0\t" + `\n`)
	f.Add("/.//\tA1FF\t00\t0\t0\t0\tx")
	f.Fuzz(func(t *testing.T, line string) {
		r, err := Parse(line)
		if err != nil {
			return
		}
		again, err := Parse(r.String())
		if err != nil || again != r {
			t.Errorf("%+v came back as %+v, %v", r, again, err)
		}
		if strings.ContainsAny(r.String(), "\n") && !strings.Contains(line, "\n") {
			t.Errorf("%q gained a newline: %q", line, r.String())
		}
	})
}

// What the old program wrote comes back byte for byte.
func TestIndexRoundTrip(t *testing.T) {
	for _, name := range []string{"testdata/index", "testdata/index-limited"} {
		want, err := os.ReadFile(name)
		must(t, err)
		var got bytes.Buffer
		w, r := NewWriter(&got), NewReader(bytes.NewReader(want))
		for {
			rec, err := r.Next()
			if err == io.EOF {
				break
			}
			must(t, err)
			must(t, w.Write(rec))
		}
		must(t, w.Flush())
		if got.String() != string(want) {
			t.Errorf("%s came back as\n%s", name, &got)
		}
	}
}

const tail = "\t81a4\t0\t0\t0\t0"

func TestReader(t *testing.T) {
	r := NewReader(strings.NewReader("\n/a" + tail + "\n \t\n/a-b" + tail + "\n/a/x" + tail))
	var got []string
	rec, err := r.Next()
	for ; err == nil; rec, err = r.Next() {
		got = append(got, rec.Path)
	}
	if err != io.EOF || strings.Join(got, " ") != "/a /a-b /a/x" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestReaderErrors(t *testing.T) {
	for text, want := range map[string]string{
		"/b" + tail + "\n\n/a" + tail:   "line 3: ",
		"/a" + tail + "\n/a" + tail:     "line 2: ",
		"/a/x" + tail + "\n/a-b" + tail: "line 2: ",
		"/a" + tail + "\nx":             "line 2: ",
		"/a" + tail + "\n/" + strings.Repeat("x", maxLine) + "\n/b" + tail: "line 2: ",
	} {
		r := NewReader(strings.NewReader(text))
		_, err := r.Next()
		must(t, err)
		_, err = r.Next()
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.40q: error %v, want one with %q", text, err, want)
		}
		if _, again := r.Next(); again != err {
			t.Errorf("%.40q: the error does not stick: %v", text, again)
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriterErrors(t *testing.T) {
	for _, recs := range [][]Record{
		{{Path: "/b"}, {Path: "/a"}},
		{{Path: "/a"}, {Path: "/a"}},
		{{Path: "a"}},
		{{Path: "/a/"}},
		{{Path: "/" + strings.Repeat("x", MaxPath)}},
		{{Path: "/a", Target: "\x00"}},
		{{Path: "/a", Target: strings.Repeat("x", MaxPath+1)}},
	} {
		w := NewWriter(io.Discard)
		var err error
		for _, r := range recs {
			err = w.Write(r)
		}
		if err == nil || w.Flush() != err {
			t.Errorf("%.100q: error %v", recs, err)
		}
	}
	w := NewWriter(brokenPipe{})
	must(t, w.Write(Record{Path: "/a"}))
	if err := w.Flush(); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}
