package state

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"tklbam/chain/archive"
)

// magic starts every stored state; the digit is the version of the form.
const magic = "tklbam state 1\n"

// maxString bounds any one string of an item: paths, link targets and
// extended attributes all stay far below it.
const maxString = 1 << 20

// maxXattrs bounds the extended attributes of one item.
const maxXattrs = 1 << 12

// ErrCorrupt is wrapped by every error that says a stored state is not one.
var ErrCorrupt = errors.New("damaged state file")

// Flags of an item. Owner and device mostly repeat the item before.
const (
	flagDeleted = 1 << iota
	flagSparse
	flagOwner
	flagCtime
	flagInode
	flagXattrs
	flagDigest
	flagEnd
)

// A Writer stores items. The bytes of an item depend on the items before it
// only through its path and owner.
type Writer struct {
	w      io.Writer
	buf    []byte
	prev   archive.Entry
	offset int64
	count  uint64
	err    error
}

// NewWriter starts a stored state.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, buf: []byte(magic), prev: archive.Entry{UID: -1}}
}

// Continue goes on after the items in stored, which is a state cut off
// between two items: the writer appends to w what follows them.
func Continue(w io.Writer, stored io.Reader) (*Writer, error) {
	r, err := NewReader(stored)
	if err != nil {
		return nil, err
	}
	cw := &Writer{w: w, prev: archive.Entry{UID: -1}, offset: int64(len(magic))}
	for {
		if _, err := r.r.Peek(1); errors.Is(err, io.EOF) {
			return cw, nil
		}
		item, err := r.Next()
		if err != nil {
			return nil, err
		}
		if err := cw.add(item); err != nil {
			return nil, err
		}
		cw.offset, cw.buf = cw.Offset(), cw.buf[:0]
	}
}

// Add appends an item; paths must ascend.
func (w *Writer) Add(it *Item) error {
	if w.err != nil {
		return w.err
	}
	if err := w.add(it); err != nil {
		return err
	}
	return w.flush()
}

func (w *Writer) add(it *Item) error {
	if w.count > 0 && archive.Compare(it.Path, w.prev.Path) <= 0 {
		return fmt.Errorf("store state: path %q out of order after %q", it.Path, w.prev.Path)
	}
	w.count++
	w.encode(it)
	w.prev.Path = it.Path
	return nil
}

// Offset is how many bytes the items so far take.
func (w *Writer) Offset() int64 { return w.offset + int64(len(w.buf)) }

// Count is how many items were added.
func (w *Writer) Count() uint64 { return w.count }

// Close writes the end mark, without which a reader reports damage.
func (w *Writer) Close() error {
	w.buf = binary.AppendUvarint(w.buf, flagEnd)
	w.buf = binary.AppendUvarint(w.buf, w.count)
	return w.flush()
}

func (w *Writer) flush() error {
	if w.err == nil {
		_, w.err = w.w.Write(w.buf)
		w.offset += int64(len(w.buf))
		w.buf = w.buf[:0]
	}
	return w.err
}

func (w *Writer) flags(it *Item) (f uint64) {
	set := func(on bool, flag uint64) {
		if on {
			f |= flag
		}
	}
	p := &w.prev
	set(it.Deleted, flagDeleted)
	set(it.Sparse, flagSparse)
	set(it.UID != p.UID || it.GID != p.GID || it.User != p.User || it.Group != p.Group, flagOwner)
	set(!it.ChangeTime.IsZero(), flagCtime)
	set(it.Inode != 0, flagInode)
	set(len(it.Xattrs) > 0, flagXattrs)
	set(it.Digest.Known(), flagDigest)
	return f
}

func (w *Writer) encode(it *Item) {
	flags := w.flags(it)
	w.uint(flags)
	shared := 0
	for shared < min(len(it.Path), len(w.prev.Path)) && it.Path[shared] == w.prev.Path[shared] {
		shared++
	}
	w.uint(uint64(shared))
	w.string(it.Path[shared:])
	w.uint(uint64(it.Set))
	if it.Deleted {
		return
	}
	w.uint(uint64(it.Type))
	w.uint(uint64(it.Mode))
	if flags&flagOwner != 0 {
		w.int(int64(it.UID))
		w.int(int64(it.GID))
		w.string(it.User)
		w.string(it.Group)
		w.prev.UID, w.prev.GID, w.prev.User, w.prev.Group = it.UID, it.GID, it.User, it.Group
	}
	w.time(it.ModTime)
	w.typed(it)
	w.extras(it, flags)
}

func (w *Writer) typed(it *Item) {
	switch it.Type {
	case archive.Regular:
		w.int(it.Size)
		w.int(it.Signature.Offset)
		w.int(it.Signature.Length)
	case archive.Symlink:
		w.string(it.Linkname)
	case archive.CharDevice, archive.BlockDevice:
		w.uint(uint64(it.Major))
		w.uint(uint64(it.Minor))
	}
}

func (w *Writer) extras(it *Item, flags uint64) {
	if flags&flagCtime != 0 {
		w.time(it.ChangeTime)
	}
	if flags&flagInode != 0 {
		w.uint(it.Device ^ w.prev.Device)
		w.prev.Device = it.Device
		w.uint(it.Inode)
		w.uint(uint64(it.Links))
		w.string(it.HardLink)
	}
	if flags&flagXattrs != 0 {
		w.uint(uint64(len(it.Xattrs)))
		for _, x := range it.Xattrs {
			w.string(x.Name)
			w.string(x.Value)
		}
	}
	if flags&flagDigest != 0 {
		w.uint(uint64(it.Digest.BlockLen))
		w.buf = append(w.buf, it.Digest.Sum[:]...)
	}
}

func (w *Writer) uint(v uint64) { w.buf = binary.AppendUvarint(w.buf, v) }
func (w *Writer) int(v int64)   { w.buf = binary.AppendVarint(w.buf, v) }
func (w *Writer) string(s string) {
	w.uint(uint64(len(s)))
	w.buf = append(w.buf, s...)
}
func (w *Writer) time(t time.Time) {
	w.int(t.Unix())
	w.uint(uint64(t.Nanosecond()))
}

// A Reader reads stored items back; it is a Stream.
type Reader struct {
	r     *bufio.Reader
	item  Item
	prev  archive.Entry // owner and device, which items share with those before them
	path  []byte
	count uint64
	err   error
}

// NewReader reads the start of a stored state.
func NewReader(r io.Reader) (*Reader, error) {
	// 16 KiB: a restore of a long chain holds one of these per set.
	b := bufio.NewReaderSize(r, 16<<10)
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(b, head); err != nil || string(head) != magic {
		return nil, fmt.Errorf("%w: not a state of this version", ErrCorrupt)
	}
	return &Reader{r: b}, nil
}

// Next returns the next item, io.EOF after the end mark; a state without one
// is damaged.
func (r *Reader) Next() (*Item, error) {
	if r.err != nil {
		return nil, r.err
	}
	flags := r.uint()
	if r.err == nil && flags&flagEnd != 0 {
		if n := r.uint(); r.err == nil {
			r.err = io.EOF
			if n != r.count {
				r.err = fmt.Errorf("%w: %d items where %d were stored", ErrCorrupt, r.count, n)
			}
		}
		return nil, r.err
	}
	r.decode(flags)
	if r.err != nil {
		return nil, r.err
	}
	r.count++
	return &r.item, nil
}

func (r *Reader) decode(flags uint64) {
	r.item = Item{Deleted: flags&flagDeleted != 0}
	it, p := &r.item, &r.prev
	r.decodePath()
	it.Set = int(r.uint())
	if it.Deleted {
		return
	}
	it.Sparse = flags&flagSparse != 0
	it.Type = archive.Type(r.uint())
	it.Mode = uint32(r.uint())
	if flags&flagOwner != 0 {
		p.UID, p.GID = int(r.int()), int(r.int())
		p.User, p.Group = r.string(), r.string()
	}
	it.UID, it.GID, it.User, it.Group = p.UID, p.GID, p.User, p.Group
	it.ModTime = r.time()
	r.typed(it)
	r.extras(it, flags)
}

func (r *Reader) decodePath() {
	shared := r.uint()
	if r.err == nil && shared > uint64(len(r.path)) {
		r.fail("shared path prefix")
	}
	if r.err != nil {
		return
	}
	suffix := r.string()
	r.path = append(r.path[:shared], suffix...)
	r.item.Path = string(r.path)
}

func (r *Reader) typed(it *Item) {
	switch it.Type {
	case archive.Regular:
		it.Size = r.int()
		it.Signature = Ref{r.int(), r.int()}
	case archive.Symlink:
		it.Linkname = r.string()
	case archive.CharDevice, archive.BlockDevice:
		it.Major, it.Minor = uint32(r.uint()), uint32(r.uint())
	case archive.Directory, archive.Fifo:
	default:
		r.fail("type of file")
	}
}

func (r *Reader) extras(it *Item, flags uint64) {
	if flags&flagCtime != 0 {
		it.ChangeTime = r.time()
	}
	if flags&flagInode != 0 {
		r.prev.Device ^= r.uint()
		it.Device = r.prev.Device
		it.Inode, it.Links = r.uint(), uint32(r.uint())
		it.HardLink = r.string()
	}
	if flags&flagXattrs != 0 {
		n := r.uint()
		if n > maxXattrs {
			r.fail("number of extended attributes")
		}
		for ; n > 0 && r.err == nil; n-- {
			it.Xattrs = append(it.Xattrs, archive.Xattr{Name: r.string(), Value: r.string()})
		}
	}
	if flags&flagDigest != 0 {
		it.Digest.BlockLen = int(r.uint())
		if _, err := io.ReadFull(r.r, it.Digest.Sum[:]); err != nil {
			r.fail("digest")
		}
	}
}

func (r *Reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: bad %s in item %d", ErrCorrupt, what, r.count)
	}
}

func (r *Reader) uint() uint64 {
	if r.err != nil {
		return 0
	}
	v, err := binary.ReadUvarint(r.r)
	if err != nil {
		r.fail("number")
	}
	return v
}

func (r *Reader) int() int64 {
	v := r.uint()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *Reader) time() time.Time {
	sec, nsec := r.int(), r.uint()
	if nsec >= 1e9 {
		r.fail("time")
	}
	return time.Unix(sec, int64(nsec)).UTC()
}

func (r *Reader) string() string {
	n := r.uint()
	if n > maxString {
		r.fail("length of a string")
	}
	if r.err != nil || n == 0 {
		return ""
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r.r, b); err != nil {
		r.fail("string")
	}
	return string(b)
}
