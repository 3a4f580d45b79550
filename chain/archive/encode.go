package archive

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"time"
)

// tarBlock is the unit of a tar: headers and padded bodies are multiples of it.
const tarBlock = 512

var (
	errTooMuch = errors.New("body is longer than its header says")
	errTooLess = errors.New("body is shorter than its header says")
)

// A Writer appends records to a difftar or sigtar. The bytes of records
// written by several writers may follow each other in one tar; Footer ends it.
//
// Headers are ustar with a PAX header before them for what that can't hold:
// https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html.
type Writer struct {
	w    io.Writer
	buf  []byte // the header being made
	left int64  // bytes of the body still to come
	pad  int    // bytes that fill its last block
}

// NewWriter returns a writer of records to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Footer is what ends a tar after the last record.
var Footer = make([]byte, 2*tarBlock)

// Begin writes the header of a record of a difftar, whose body of r.Size
// bytes Write must follow with.
func (w *Writer) Begin(r Record) error {
	if r.Kind == Deleted {
		return w.deleted(r.Entry.Path)
	}
	return w.begin(r.Entry, volumeName(r), r.Size)
}

// BeginSignature writes the header of a record of a sigtar. The root's name
// differs from a difftar's.
func (w *Writer) BeginSignature(r Record) error {
	if r.Kind == Deleted {
		return w.deleted(r.Entry.Path)
	}
	name := r.Kind.String() + "/" + r.Entry.Path
	if r.Entry.Type == Directory && r.Entry.Path != "" {
		name += "/"
	}
	return w.begin(r.Entry, name, r.Size)
}

// deleted writes a deletion the way stock does: a regular file of no mode,
// owner, time or size.
func (w *Writer) deleted(path string) error {
	return w.begin(&Entry{Type: Regular, Size: -1}, "deleted/"+path, 0)
}

func (w *Writer) begin(e *Entry, name string, size int64) error {
	if err := w.Flush(); err != nil {
		return err
	}
	w.buf = appendHeader(w.buf[:0], e, name, size)
	w.left, w.pad = size, padding(size)
	_, err := w.w.Write(w.buf)
	return err
}

// Write appends to the body of the record last begun.
func (w *Writer) Write(p []byte) (int, error) {
	if int64(len(p)) > w.left {
		return 0, errTooMuch
	}
	n, err := w.w.Write(p)
	w.left -= int64(n)
	return n, err
}

// Flush pads the record last begun; an error if its body is not whole.
func (w *Writer) Flush() error {
	if w.left > 0 {
		return errTooLess
	}
	if w.pad == 0 {
		return nil
	}
	_, err := w.w.Write(zeroBlock[:w.pad])
	w.pad = 0
	return err
}

// padding is how many bytes n lacks of whole blocks.
func padding(n int64) int { return int(-n & (tarBlock - 1)) }

// appendHeader appends the header of an entry under a full name. The body's
// size is the caller's: it is rarely the file's own.
func appendHeader(b []byte, e *Entry, name string, size int64) []byte {
	start := len(b)
	b = append(b, zeroBlock[:]...)
	b = appendStandard(b, e, name, size)
	b = appendOwn(b, e)
	if n := len(b) - start - tarBlock; n > 0 {
		pax := block(b[start:][:tarBlock])
		pax.string(0, 100, "PaxHeaders.0/"+name)
		pax.octal(100, 8, 0644)
		pax.octal(124, 12, int64(n))
		pax.finish('x')
		b = append(b, zeroBlock[:padding(int64(n))]...)
	} else {
		b = b[:start]
	}
	b = append(b, zeroBlock[:]...)
	block(b[len(b)-tarBlock:]).entry(e, name, size)
	return b
}

// A block is the header of one tar entry; fields are given by offset and
// length. What a field can't hold is in a PAX record, which counts.
type block []byte

func (h block) entry(e *Entry, name string, size int64) {
	h.string(0, 100, name)
	h.octal(100, 8, int64(e.Mode))
	h.octal(108, 8, int64(e.UID))
	h.octal(116, 8, int64(e.GID))
	h.octal(124, 12, size)
	if !e.ModTime.IsZero() {
		h.octal(136, 12, e.ModTime.Unix())
	}
	h.string(157, 100, e.Linkname)
	h.string(265, 32, e.User)
	h.string(297, 32, e.Group)
	h.octal(329, 8, int64(e.Major))
	h.octal(337, 8, int64(e.Minor))
	h.finish(typeflags[e.Type])
}

// string cuts what is too long, but not so that a directory's name remains:
// some readers go by the slash.
func (h block) string(at, length int, s string) {
	if len(s) > length {
		for s = s[:length]; s != "" && s[len(s)-1] == '/'; {
			s = s[:len(s)-1]
		}
	}
	copy(h[at:at+length], s)
}

// octal writes all digits of the field, the last byte being NUL.
func (h block) octal(at, length int, x int64) {
	if !fitsOctal(x, length) {
		x = 0
	}
	for i := at + length - 2; i >= at; i-- {
		h[i] = '0' + byte(x&7)
		x >>= 3
	}
}

func fitsOctal(x int64, length int) bool { return x >= 0 && x>>(3*(length-1)) == 0 }

func (h block) finish(typeflag byte) {
	h[156] = typeflag
	copy(h[257:], "ustar\x0000")
	copy(h[148:], "        ") // the sum counts its own field as spaces
	h.octal(148, 7, h.sum())
}

// sum adds up all bytes, four lanes of 16 bits at a time.
func (h block) sum() int64 {
	const lanes = 0x00ff00ff00ff00ff
	var sum uint64
	for i := 0; i < tarBlock; i += 8 {
		v := binary.LittleEndian.Uint64(h[i:])
		sum += v&lanes + v>>8&lanes
	}
	return int64(sum&0xffff + sum>>16&0xffff + sum>>32&0xffff + sum>>48)
}

// appendStandard appends the records for what the ustar header can't hold.
func appendStandard(b []byte, e *Entry, name string, size int64) []byte {
	b = appendString(b, "path", name, 100)
	b = appendString(b, "linkpath", e.Linkname, 100)
	b = appendString(b, "uname", e.User, 31)
	b = appendString(b, "gname", e.Group, 31)
	b = appendNumber(b, "size", size, 12)
	b = appendNumber(b, "uid", int64(e.UID), 8)
	b = appendNumber(b, "gid", int64(e.GID), 8)
	if t := e.ModTime; !t.IsZero() && (t.Nanosecond() != 0 || !fitsOctal(t.Unix(), 12)) {
		var scratch [32]byte
		b = appendRecord(b, "mtime", appendTime(scratch[:0], t))
	}
	return b
}

func appendString(b []byte, key, s string, limit int) []byte {
	if len(s) <= limit && ascii(s) {
		return b
	}
	return appendRecord(b, key, s)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func appendNumber(b []byte, key string, x int64, length int) []byte {
	if fitsOctal(x, length) {
		return b
	}
	return appendRecord(b, key, strconv.FormatInt(x, 10))
}

// appendOwn appends the records for what the stock format loses.
func appendOwn(b []byte, e *Entry) []byte {
	var scratch [64]byte
	v := scratch[:0]
	if e.Type == Regular && e.Size >= 0 {
		b = appendRecord(b, paxSize, strconv.AppendInt(v, e.Size, 10))
	}
	if t := e.ChangeTime; !t.IsZero() {
		b = appendRecord(b, paxCtime, appendNanos(strconv.AppendInt(v, t.Unix(), 10), t.Nanosecond()))
	}
	if e.Inode != 0 {
		b = appendRecord(b, paxInode, appendInode(v, e))
	}
	if e.HardLink != "" {
		b = appendRecord(b, paxHardLink, e.HardLink)
	}
	if e.Sparse {
		b = appendRecord(b, paxSparse, "1")
	}
	if e.Digest.Known() {
		v := append(strconv.AppendInt(v, int64(e.Digest.BlockLen), 10), ':')
		b = appendRecord(b, paxDigest, base64.RawStdEncoding.AppendEncode(v, e.Digest.Sum[:]))
	}
	for _, x := range e.Xattrs {
		b = appendRecord(b, paxXattr+escapeKey.Replace(x.Name), x.Value)
	}
	return b
}

func appendInode(v []byte, e *Entry) []byte {
	v = append(strconv.AppendUint(v, e.Device, 10), ':')
	v = append(strconv.AppendUint(v, e.Inode, 10), ':')
	return strconv.AppendUint(v, uint64(e.Links), 10)
}

// appendTime writes seconds as a decimal fraction, which before 1970 counts
// down from zero.
func appendTime(v []byte, t time.Time) []byte {
	sec, nsec := t.Unix(), t.Nanosecond()
	if sec < 0 && nsec > 0 {
		v = append(v, '-')
		sec, nsec = -(sec + 1), 1e9-nsec
	}
	v = strconv.AppendInt(v, sec, 10)
	if nsec == 0 {
		return v
	}
	return appendNanos(v, nsec)
}

// appendNanos appends the point and nine digits after it.
func appendNanos(v []byte, nsec int) []byte {
	at := len(v)
	v = append(v, ".000000000"...)
	for i := len(v) - 1; i > at; i-- {
		v[i] += byte(nsec % 10)
		nsec /= 10
	}
	return v
}

// appendRecord appends "<length> key=value\n", where the length counts itself.
func appendRecord[T string | []byte](b []byte, key string, value T) []byte {
	n := len(key) + len(value) + len(" =\n")
	total := n + digits(n)
	total = n + digits(total)
	b = strconv.AppendInt(b, int64(total), 10)
	b = append(b, ' ')
	b = append(b, key...)
	b = append(b, '=')
	b = append(b, value...)
	return append(b, '\n')
}

func digits(n int) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}
