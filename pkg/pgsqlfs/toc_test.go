package pgsqlfs

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"

	"tklbam/pkg/limits"
)

// A testTOC writes a toc.dat of any version of the form.
type testTOC struct {
	bytes.Buffer
	minor, width int
}

func (w *testTOC) number(n int) {
	var b [9]byte
	if n < 0 {
		b[0], n = 1, -n
	}
	binary.LittleEndian.PutUint64(b[1:], uint64(n))
	w.Write(b[:1+w.width])
}

func (w *testTOC) text(texts ...string) {
	for _, s := range texts {
		w.number(len(s))
		w.WriteString(s)
	}
}

func (w *testTOC) head(database, server string, entries int) {
	w.WriteString(magic)
	w.Write([]byte{1, byte(w.minor), 0, byte(w.width), 8, tarFormat})
	if w.minor >= 15 {
		w.WriteByte(0)
	} else {
		w.number(0)
	}
	for _, n := range []int{59, 58, 23, 31, 11, 126, -1} {
		w.number(n)
	}
	w.text(database, server, server)
	w.number(entries)
}

func (w *testTOC) entry(e tocEntry, after ...string) {
	hasRows, section, rows := 0, 2, ""
	if e.Member != "" {
		hasRows, section, rows = 1, 3, "COPY "+e.Schema+"."+e.Tag+" FROM stdin;\n"
	}
	w.number(e.ID)
	w.number(hasRows)
	w.text("0", e.OID, e.Tag, e.Kind)
	if w.minor >= 11 {
		w.number(section)
	}
	w.text(e.Definition, "DROP", rows)
	w.text(e.Schema)
	w.number(-1) // no tablespace
	if w.minor >= 14 {
		w.text("heap")
	}
	if w.minor >= 16 {
		w.number('r')
	}
	w.text(e.Owner, "false")
	w.text(after...)
	w.number(-1)
	w.text(e.Member)
}

func sampleTOC(minor, width int) []byte {
	w := &testTOC{minor: minor, width: width}
	w.head("app", "9.1.24", 4)
	w.entry(tocEntry{ID: 5, OID: "2200", Tag: "public", Kind: "SCHEMA", Definition: "CREATE SCHEMA public;\n", Owner: "postgres"})
	w.entry(tocEntry{ID: 7, OID: "16385", Tag: "t", Kind: "TABLE", Schema: "public", Owner: "o"})
	w.entry(tocEntry{ID: 9, OID: "16385", Tag: "t", Kind: "TABLE DATA", Schema: "public", Owner: "o", Member: "9.dat"}, "7")
	w.entry(tocEntry{ID: 8, OID: "16390", Tag: "t t_fkey", Kind: "FK CONSTRAINT", Schema: "public", Definition: "ALTER TABLE t ADD FOREIGN KEY"}, "7", "9")
	return w.Bytes()
}

func keepAll(*tocEntry) bool { return true }

// Every version of the form is read alike, and copied but for the date.
func TestTOCVersions(t *testing.T) {
	for minor := oldestMinor; minor <= minorKind; minor++ {
		for _, width := range []int{4, 8} {
			in := sampleTOC(minor, width)
			var out bytes.Buffer
			c, err := readContents(&out, bytes.NewReader(in), givenName)
			if err != nil {
				t.Errorf("version 1.%d with numbers of %d bytes: %v", minor, width, err)
				continue
			}
			if c.Database != "app" || c.serverMajor() != 9 || c.Entries != 4 || c.rows[table{"public", "t"}] != "9.dat" || len(c.keys) != 1 {
				t.Errorf("version 1.%d: read %+v", minor, c)
			}
			var again bytes.Buffer
			if _, err := rewriteTOC(&again, bytes.NewReader(out.Bytes()), -1, keepAll); err != nil || !bytes.Equal(again.Bytes(), out.Bytes()) {
				t.Errorf("version 1.%d: a copy of the copy differs, %v", minor, err)
			}
			diff := 0
			for i := range in {
				if in[i] != out.Bytes()[i] {
					diff++
				}
			}
			if len(in) != out.Len() || diff == 0 || diff > 8 {
				t.Errorf("version 1.%d: %d of %d bytes differ", minor, diff, len(in))
			}
		}
	}
}

// Entries leave, members change, and what stays is as it was.
func TestTOCEdit(t *testing.T) {
	var out bytes.Buffer
	_, err := rewriteTOC(&out, bytes.NewReader(sampleTOC(14, 4)), 2, func(e *tocEntry) bool {
		if e.Member != "" {
			e.Member = "table_16385.dat"
		}
		return strings.HasPrefix(e.Kind, "TABLE")
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &testTOC{minor: 14, width: 4}
	w.head("app", "9.1.24", 2)
	w.entry(tocEntry{ID: 7, OID: "16385", Tag: "t", Kind: "TABLE", Schema: "public", Owner: "o"})
	w.entry(tocEntry{ID: 9, OID: "16385", Tag: "t", Kind: "TABLE DATA", Schema: "public", Owner: "o", Member: "table_16385.dat"}, "7")
	var want bytes.Buffer
	if _, err := rewriteTOC(&want, bytes.NewReader(w.Bytes()), -1, keepAll); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want.Bytes()) {
		t.Errorf("got\n%q, want\n%q", out.Bytes(), want.Bytes())
	}
}

func TestTOCErrors(t *testing.T) {
	good := sampleTOC(14, 4)
	change := func(at int, b byte) []byte {
		bad := bytes.Clone(good)
		bad[at] = b
		return bad
	}
	for name, bad := range map[string][]byte{
		"does not start":  change(0, 'X'),
		"version 2.14":    change(5, 2),
		"version 1.9":     change(6, 9),
		"have 3 bytes":    change(8, 3),
		"have 200 bytes":  change(8, 200),
		"not that of tar": change(10, 1),
		"more after":      append(bytes.Clone(good), 0),
		"unexpected EOF":  good[:len(good)-1],
	} {
		_, err := rewriteTOC(io.Discard, bytes.NewReader(bad), -1, keepAll)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
	for i := range good {
		if _, err := rewriteTOC(io.Discard, bytes.NewReader(good[:i]), -1, keepAll); err == nil {
			t.Errorf("%d of %d bytes are read as a whole", i, len(good))
		}
	}
}

// What is read can be copied, and the copy is read the same.
func FuzzTOC(f *testing.F) {
	for _, minor := range []int{oldestMinor, minorAM, minorKind} {
		f.Add(sampleTOC(minor, 4))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var once, twice bytes.Buffer
		c, err := readContents(&once, bytes.NewReader(in), givenName)
		if err != nil {
			return
		}
		again, err := readContents(&twice, bytes.NewReader(once.Bytes()), givenName)
		if err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Fatalf("a copy is not read like the original: %v", err)
		}
		if c.tocHeader != again.tocHeader {
			t.Errorf("got %+v, want %+v", again.tocHeader, c.tocHeader)
		}
		with, without := c.count(newScope(nil).tables(c.Database))
		if with+without > 2*c.Entries {
			t.Errorf("%d and %d tables in %d entries", with, without, c.Entries)
		}
		if _, err := c.createAs(`new "name"`, false); err != nil && c.create == "" {
			t.Error(err)
		}
	})
}

func TestCreateAs(t *testing.T) {
	for _, test := range []struct{ create, space, with, without string }{
		{"", "", `CREATE DATABASE "n" TEMPLATE template0;` + "\n", ""},
		{"CREATE DATABASE app WITH TEMPLATE = template0 ENCODING = 'UTF8';\n", "", `CREATE DATABASE "n" WITH TEMPLATE = template0 ENCODING = 'UTF8';` + "\n", ""},
		{`CREATE DATABASE "a "" TABLESPACE = x" WITH TABLESPACE = "s ""p";`, `s "p`, `CREATE DATABASE "n" WITH TABLESPACE = "s ""p";`, `CREATE DATABASE "n" WITH;`},
		{"CREATE DATABASE app WITH TABLESPACE = s;", "s", `CREATE DATABASE "n" WITH TABLESPACE = s;`, `CREATE DATABASE "n" WITH;`},
	} {
		c := &contents{create: test.create}
		if got := tablespaceOf(test.create); got != test.space {
			t.Errorf("the tablespace of %s is %q, want %q", test.create, got, test.space)
		}
		for spaces, want := range map[bool]string{true: test.with, false: test.without} {
			if want == "" {
				want = test.with
			}
			if got, err := c.createAs("n", spaces); err != nil || got != want {
				t.Errorf("%s becomes %s, %v, want %s", test.create, got, err, want)
			}
		}
	}
	if _, err := (&contents{create: "DROP DATABASE app;"}).createAs("n", true); err == nil {
		t.Error("another statement is taken")
	}
}

// Limits on tables of one schema and of every one, and on partitions.
func TestSelection(t *testing.T) {
	public, s, part := table{"public", "t"}, table{"s", "t"}, table{"public", "part"}
	for _, test := range []struct {
		limits string
		want   []bool // public.t, s.t, public.part of public.t
	}{
		{"", []bool{true, true, true}},
		{"-pgsql:app/t", []bool{false, false, false}},
		{"-pgsql:app/s.t", []bool{true, false, true}},
		{"-pgsql:app/t pgsql:app/s.t", []bool{false, true, false}},
		{"-pgsql:app/t pgsql:app/part", []bool{false, false, true}},
		{"pgsql:app/part", []bool{false, false, true}},
		{"-pgsql:app/part", []bool{true, true, false}},
		{"pgsql:app/t", []bool{true, true, true}},
		{"pgsql:app -pgsql:app/s.t", []bool{true, false, true}},
		{"-pgsql:other/t", []bool{true, true, true}},
	} {
		list, err := limits.ParseAll(strings.Fields(test.limits))
		if err != nil {
			t.Fatal(err)
		}
		sel := newScope(list).tables("app")
		sel.parents = map[table]table{part: public}
		if got := []bool{sel.has(public), sel.has(s), sel.has(part)}; !slices.Equal(got, test.want) {
			t.Errorf("%q: %v, want %v", test.limits, got, test.want)
		}
		sel.parents[public] = part // a circle
		sel.has(part)
	}
}
