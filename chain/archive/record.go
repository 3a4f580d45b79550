package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// A Kind says what a record tells about its path.
type Kind uint8

// The kinds of records: difftars hold snapshots, diffs and deletions, sigtars
// signatures, snapshots (of what is not a regular file) and deletions.
const (
	Snapshot Kind = iota + 1
	Diff
	Signature
	Deleted
)

var kindNames = map[Kind]string{Snapshot: "snapshot", Diff: "diff", Signature: "signature", Deleted: "deleted"}

func (k Kind) String() string { return kindNames[k] }

// A Record is one tar entry of a difftar or sigtar: an entry, what the record
// says of it, and, where a file's data is cut in pieces, which piece this is.
type Record struct {
	Kind  Kind
	Piece int // from 1 for multivol records; 0 for a record that is whole
	Entry *Entry
	Size  int64 // of the record's body: contents, delta, signature or piece, in bytes
}

func volumeName(r Record) string {
	path := r.Entry.Path
	if path == "" {
		path = "."
	}
	if r.Entry.Type == Directory {
		path += "/"
	}
	if r.Piece > 0 {
		return "multivol_" + r.Kind.String() + "/" + path + "/" + strconv.Itoa(r.Piece)
	}
	return r.Kind.String() + "/" + path
}

// A Reader reads the records of one tar: a volume or a sigtar.
type Reader struct {
	tr     *tar.Reader
	blocks *blockReader
	last   string
	any    bool
}

// NewReader returns a reader of the records of r.
func NewReader(r io.Reader) *Reader {
	blocks := &blockReader{r: r}
	return &Reader{tr: tar.NewReader(blocks), blocks: blocks}
}

// Next goes on to the next record, io.EOF after the last. Records out of path
// order are an error: every merge relies on it.
func (r *Reader) Next() (Record, error) {
	h, err := r.nextHeader()
	if err != nil {
		return Record{}, err
	}
	rec, err := parse(h)
	if err != nil {
		return Record{}, err
	}
	c := 1
	if r.any {
		c = Compare(rec.Entry.Path, r.last)
	}
	if c < 0 || c == 0 && rec.Piece < 2 {
		return Record{}, fmt.Errorf("entry %q: out of order after %q", rec.Entry.Path, r.last)
	}
	r.last, r.any = rec.Entry.Path, true
	return rec, nil
}

// nextHeader takes one block of zeros for the end, as Python's tarfile does.
// Stock pads a tar to 10 KiB, which can leave it with a single such block, and
// when it encrypts follows that with noise to bring the volume to its size.
func (r *Reader) nextHeader() (*tar.Header, error) {
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{r.tr}); err != nil {
		return nil, err
	}
	r.blocks.zero, r.blocks.ended = false, false
	h, err := r.tr.Next()
	if r.blocks.ended && (errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return nil, io.EOF
	}
	return h, err
}

// A blockReader notices when more is read after a block of zeros: package tar
// reads headers by single blocks.
type blockReader struct {
	r           io.Reader
	zero, ended bool
}

var zeroBlock [512]byte

func (b *blockReader) Read(p []byte) (int, error) {
	if len(p) != len(zeroBlock) {
		b.zero = false
		return b.r.Read(p)
	}
	n, err := io.ReadFull(b.r, p)
	b.ended = b.zero
	b.zero = n == len(p) && bytes.Equal(p, zeroBlock[:])
	return n, err
}

// Read reads the body of the record Next returned.
func (r *Reader) Read(p []byte) (int, error) { return r.tr.Read(p) }

// WriteTo copies what is left of the body to w.
func (r *Reader) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{r.tr}) }

func parse(h *tar.Header) (Record, error) {
	kind, name, ok := strings.Cut(h.Name, "/")
	if !ok {
		return Record{}, fmt.Errorf("entry %q: no kind of record", h.Name)
	}
	rec := Record{Size: h.Size}
	var err error
	if pieces, multi := strings.CutPrefix(kind, "multivol_"); multi {
		kind = pieces
		if name, rec.Piece, err = cutPiece(name); err != nil {
			return Record{}, fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
	if rec.Kind = parseKind(kind); rec.Kind == 0 {
		return Record{}, fmt.Errorf("entry %q: unknown kind of record", h.Name)
	}
	path, err := CleanPath(strings.TrimSuffix(name, "/"))
	if err != nil {
		return Record{}, err
	}
	if rec.Kind == Deleted {
		rec.Entry, rec.Size = &Entry{Path: path}, 0
		return rec, nil
	}
	if rec.Entry, err = entry(h, path); err != nil {
		return Record{}, err
	}
	if whole := rec.Kind == Snapshot && rec.Piece == 0; whole && rec.Entry.Type == Regular && rec.Entry.Size < 0 {
		rec.Entry.Size = h.Size
	}
	return rec, check(rec)
}

func parseKind(s string) Kind {
	for k, name := range kindNames {
		if name == s {
			return k
		}
	}
	return 0
}

func cutPiece(name string) (string, int, error) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return "", 0, fmt.Errorf("no piece number")
	}
	n, err := strconv.Atoi(name[i+1:])
	if err != nil || n < 1 {
		return "", 0, fmt.Errorf("bad piece number %q", name[i+1:])
	}
	return name[:i], n, nil
}

// check refuses records that no writer makes and no reader has a meaning for.
func check(r Record) error {
	if r.Entry.Type == Regular {
		return nil
	}
	if r.Kind != Snapshot || r.Piece > 0 || r.Size > 0 {
		return fmt.Errorf("entry %q: a %s with the data of a file", r.Entry.Path, r.Entry.Type)
	}
	return nil
}

func sortXattrs(x []Xattr) {
	slices.SortFunc(x, func(a, b Xattr) int { return strings.Compare(a.Name, b.Name) })
}
