package rollback

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"tklbam/pkg/rollback/livefs"
)

// A kind is what a line of the journal says.
type kind string

const (
	kindBegin    kind = "begin"    // first line: format, time, mark in the names of temporary files
	kindWindow   kind = "window"   // all before this line was synced
	kindNew      kind = "new"      // nothing is at the path
	kindSaved    kind = "saved"    // what is at the path goes to a place in the record
	kindTemp     kind = "temp"     // a path recorded before is replaced again
	kindMeta     kind = "meta"     // owner, mode and capability of what is at the path
	kindTimes    kind = "times"    // modification time of a directory
	kindDir      kind = "dir"      // a directory with its owner and mode, which may vanish
	kindVoid     kind = "void"     // an earlier line does not count
	kindNote     kind = "note"     // something named, for others to undo
	kindComplete kind = "complete" // the restore came to its end
)

// format is the version of the journal, in its first line.
const format = 1

// An entry is a line of the journal: a checksum, the number of the line, its
// kind and its fields, tab separated. Fields are quoted as Go strings, so that
// any name is text without tabs or newlines.
type entry struct {
	seq   int
	kind  kind
	path  string        // new, saved, temp, meta, times, dir; the mark of begin; the name of a note
	label string        // the kind of a note
	place string        // saved: where to, below the record's directory
	was   inode         // saved
	meta  livefs.Meta   // meta, dir
	time  unix.Timespec // times, begin
	void  int           // the line that does not count
}

// An inode tells whether a file is still the one that was recorded.
type inode struct {
	dev, ino, links uint64
	ctime           unix.Timespec
}

// matches reports whether st is of that file, unchanged in every respect.
func (i inode) matches(st *unix.Stat_t) bool {
	return st != nil && i.dev == st.Dev && i.ino == st.Ino && i.ctime == st.Ctim
}

var checksum = crc32.MakeTable(crc32.Castagnoli)

var errLine = errors.New("damaged line")

// append adds the line to buf.
func (e *entry) append(buf []byte) []byte {
	text := strconv.AppendInt(nil, int64(e.seq), 10)
	text = append(append(text, '\t'), e.kind...)
	for _, f := range e.fields() {
		text = strconv.AppendQuote(append(text, '\t'), f)
	}
	return fmt.Appendf(buf, "%08x\t%s\n", crc32.Checksum(text, checksum), text)
}

func (e *entry) fields() []string {
	num := func(v uint64) string { return strconv.FormatUint(v, 10) }
	switch e.kind {
	case kindBegin:
		return append([]string{strconv.Itoa(format), e.path}, timeFields(e.time)...)
	case kindNew, kindTemp:
		return []string{e.path}
	case kindSaved:
		fields := []string{e.path, e.place, num(e.was.dev), num(e.was.ino), num(e.was.links)}
		return append(fields, timeFields(e.was.ctime)...)
	case kindMeta, kindDir:
		return []string{e.path, num(uint64(e.meta.Mode)), strconv.Itoa(e.meta.UID), strconv.Itoa(e.meta.GID), e.meta.Caps}
	case kindTimes:
		return append([]string{e.path}, timeFields(e.time)...)
	case kindVoid:
		return []string{strconv.Itoa(e.void)}
	case kindNote:
		return []string{e.label, e.path}
	}
	return nil
}

func timeFields(t unix.Timespec) []string {
	sec, nsec := t.Unix()
	return []string{strconv.FormatInt(sec, 10), strconv.FormatInt(nsec, 10)}
}

// parseLine reads a line, without its newline.
func parseLine(line string) (*entry, error) {
	sum, text, _ := strings.Cut(line, "\t")
	want, err := strconv.ParseUint(sum, 16, 32)
	if err != nil || len(sum) != 8 || crc32.Checksum([]byte(text), checksum) != uint32(want) {
		return nil, errLine
	}
	parts := strings.Split(text, "\t")
	if len(parts) < 2 {
		return nil, errLine
	}
	f := fieldReader{fields: parts[2:]}
	e := &entry{seq: int(number(&f, parts[0])), kind: kind(parts[1])}
	f.read(e)
	if f.bad || len(f.fields) > 0 {
		return nil, errLine
	}
	return e, nil
}

// A fieldReader takes the fields of a line one by one.
type fieldReader struct {
	fields []string
	bad    bool
}

func (f *fieldReader) read(e *entry) {
	switch e.kind {
	case kindBegin:
		f.bad = f.bad || f.int() != format
		e.path, e.time = f.text(), f.time()
	case kindNew, kindTemp:
		e.path = f.text()
	case kindSaved:
		e.path, e.place = f.text(), f.text()
		e.was.dev, e.was.ino, e.was.links = f.uint(), f.uint(), f.uint()
		e.was.ctime = f.time()
	case kindMeta, kindDir:
		e.path = f.text()
		e.meta.Mode, e.meta.UID, e.meta.GID = uint32(f.uint()), int(f.int()), int(f.int())
		e.meta.Caps = f.text()
	case kindTimes:
		e.path, e.time = f.text(), f.time()
	case kindVoid:
		e.void = int(f.int())
	case kindNote:
		e.label, e.path = f.text(), f.text()
	case kindWindow, kindComplete:
	default:
		f.bad = true
	}
}

func (f *fieldReader) text() string {
	if len(f.fields) == 0 {
		f.bad = true
		return ""
	}
	s, err := strconv.Unquote(f.fields[0])
	f.bad = f.bad || err != nil
	f.fields = f.fields[1:]
	return s
}

func (f *fieldReader) int() int64 { return number(f, f.text()) }

func (f *fieldReader) uint() uint64 {
	v, err := strconv.ParseUint(f.text(), 10, 64)
	f.bad = f.bad || err != nil
	return v
}

func (f *fieldReader) time() unix.Timespec {
	return unix.Timespec{Sec: f.int(), Nsec: f.int()}
}

func number(f *fieldReader, s string) int64 {
	v, err := strconv.ParseInt(s, 10, 64)
	f.bad = f.bad || err != nil
	return v
}
