package pgsqlfs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// The form of toc.dat is that of ReadHead and ReadToc in PostgreSQL's
// pg_backup_archiver.c. A number is a sign byte, 0 or 1, and as many bytes as
// the header says, the lowest first; a string is its length as a number and
// its bytes, and a length of -1 is no string. Fields came in with versions of
// the form, which are of the archive, not of the server.
const (
	magic       = "PGDMP"
	tarFormat   = 3
	oldestMinor = 10 // of version 1; by PostgreSQL 8.0 to 8.3
	minorSects  = 11
	minorAM     = 14
	minorAlgo   = 15
	minorKind   = 16
)

// maxField bounds a string in bytes, in place of its length in the file.
const maxField = 256 << 20

// A tocHeader is what toc.dat says of all.
type tocHeader struct {
	Database string
	Server   string // version of the server: "15.18 (Debian 15.18-0+deb12u1)"
	Entries  int
}

// A tocEntry is an object of a database, or the rows of a table.
type tocEntry struct {
	ID         int    // counts objects; others depend on it
	OID        string // of the object in its catalogue
	Tag        string // its name, or that of what it is about
	Kind       string // "TABLE", "TABLE DATA"
	Definition string // the statement that makes it
	Schema     string
	Tablespace string
	Owner      string
	After      []int // the entries it depends on
	Member     string
}

// rewriteTOC copies a toc.dat from r to w with a fixed date, with the entries
// for which edit returns true, and with the members that edit gives them. It
// writes count as the number of entries, or the one it reads if count is
// negative. Memory is that of one entry at a time.
//
// An archive of a newer version is read like the newest one that is known,
// and is an error unless that fits to its last byte.
func rewriteTOC(w io.Writer, r io.Reader, count int, edit func(*tocEntry) bool) (tocHeader, error) {
	t := &tocReader{r: bufio.NewReaderSize(r, 64<<10)}
	head, err := t.header(count)
	if err != nil {
		return head, fmt.Errorf("read the header of an archive: %w", err)
	}
	if err := t.flush(w); err != nil {
		return head, err
	}
	for i := range head.Entries {
		e, member, err := t.entry()
		if err != nil {
			return head, fmt.Errorf("read entry %d of an archive: %w", i+1, err)
		}
		was := e.Member
		if !edit(&e) {
			t.raw.Reset()
			continue
		}
		if e.Member != was {
			t.raw.Truncate(member)
			t.putString(e.Member)
		}
		if err := t.flush(w); err != nil {
			return head, err
		}
	}
	if _, err := t.r.ReadByte(); err != io.EOF {
		return head, errors.Join(err, errors.New("read an archive: there is more after its last entry"))
	}
	return head, nil
}

// A tocReader reads fields and keeps their bytes. Errors stick.
type tocReader struct {
	r     *bufio.Reader
	raw   bytes.Buffer // since the last flush
	minor byte
	width int // of numbers, in bytes
	err   error
}

func (t *tocReader) flush(w io.Writer) error {
	_, err := t.raw.WriteTo(w)
	return err
}

// take reads n bytes, in steps, so that memory follows what is there.
func (t *tocReader) take(n int) []byte {
	start := t.raw.Len()
	if t.err == nil {
		_, t.err = io.CopyN(&t.raw, t.r, int64(n))
		if t.err == io.EOF {
			t.err = io.ErrUnexpectedEOF
		}
	}
	if t.err != nil {
		return make([]byte, min(n, 8))
	}
	return t.raw.Bytes()[start:]
}

func (t *tocReader) number() int {
	b := t.take(1 + t.width)
	var low [8]byte
	copy(low[:], b[1:])
	n := binary.LittleEndian.Uint64(low[:])
	if n > 1<<31 {
		t.fail("a number is out of range")
		return 0
	}
	if b[0] != 0 {
		return -int(n)
	}
	return int(n)
}

func (t *tocReader) string() (s string, ok bool) {
	n := t.number()
	if n < 0 || t.err != nil {
		return "", false
	}
	if n > maxField {
		t.fail("a string is too long")
		return "", false
	}
	s = string(t.take(n))
	return s, t.err == nil
}

func (t *tocReader) text() string {
	s, _ := t.string()
	return s
}

func (t *tocReader) fail(text string) {
	if t.err == nil {
		t.err = errors.New(text)
	}
}

func (t *tocReader) putNumber(n int) {
	var b [9]byte
	if n < 0 {
		b[0], n = 1, -n
	}
	binary.LittleEndian.PutUint64(b[1:], uint64(n))
	t.raw.Write(b[:1+t.width])
}

func (t *tocReader) putString(s string) {
	t.putNumber(len(s))
	t.raw.WriteString(s)
}

// date takes the place of the time an archive was made, in the order of its
// fields: second, minute, hour, day, month from 0, years since 1900, and
// whether it is in summer time. pg_restore shows it and does nothing else
// with it, and would warn of one that is no date.
var date = [...]int{0, 0, 0, 1, 0, 100, 0}

// header reads up to the first entry.
func (t *tocReader) header(count int) (tocHeader, error) {
	var h tocHeader
	if start := t.take(len(magic) + 6); t.err == nil {
		t.version(start)
	}
	if t.err == nil && t.minor >= minorAlgo {
		t.take(1) // of compression, which tar archives have none of
	} else if t.err == nil {
		t.number()
	}
	at := t.raw.Len()
	for range date {
		t.number()
	}
	if t.err != nil {
		return h, t.err
	}
	t.raw.Truncate(at)
	for _, n := range date {
		t.putNumber(n)
	}
	h.Database, h.Server = t.text(), t.text()
	t.text() // version of pg_dump
	at = t.raw.Len()
	if h.Entries = t.number(); h.Entries < 0 {
		t.fail("the number of entries is negative")
	}
	if t.err == nil && count >= 0 {
		t.raw.Truncate(at)
		t.putNumber(count)
	}
	return h, t.err
}

// version reads the fixed bytes: the magic, the version in three bytes, the
// widths of numbers and offsets, and the format.
func (t *tocReader) version(b []byte) {
	major, minor, width, format := b[5], b[6], b[8], b[10]
	switch {
	case !bytes.HasPrefix(b, []byte(magic)):
		t.fail("it does not start as one")
	case major != 1 || minor < oldestMinor:
		t.fail(fmt.Sprintf("its version %d.%d is not known", major, minor))
	case width < 4 || width > 8:
		t.fail(fmt.Sprintf("its numbers have %d bytes", width))
	case format != tarFormat:
		t.fail(fmt.Sprintf("its format %d is not that of tar", format))
	}
	t.minor, t.width = minor, int(width)
}

// entry reads an entry, and returns where its last field starts in raw.
func (t *tocReader) entry() (e tocEntry, member int, err error) {
	e.ID = t.number()
	t.number() // whether it has data
	t.text()   // OID of the catalogue
	e.OID, e.Tag, e.Kind = t.text(), t.text(), t.text()
	if t.minor >= minorSects {
		t.number()
	}
	e.Definition = t.text()
	t.text() // statement to drop it
	t.text() // statement to copy its rows
	e.Schema, e.Tablespace = t.text(), t.text()
	if t.minor >= minorAM {
		t.text()
	}
	if t.minor >= minorKind {
		t.number()
	}
	e.Owner = t.text()
	t.text() // whether its rows have OIDs
	for {
		s, ok := t.string()
		if !ok {
			break
		}
		id, err := strconv.Atoi(s)
		if err != nil {
			t.fail("a dependency is no number")
		}
		e.After = append(e.After, id)
	}
	member = t.raw.Len()
	e.Member = t.text()
	return e, member, t.err
}

// dependsOn says whether one of the entries is in a set.
func (e *tocEntry) dependsOn(ids map[int]bool) bool {
	return slices.ContainsFunc(e.After, func(id int) bool { return ids[id] })
}
