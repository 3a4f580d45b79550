package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"tklbam/chain/archive"
	"tklbam/chain/rdiff"
	"tklbam/chain/state"
)

// A producer compares the tree with the chain's state, in one pass over both,
// and makes the records of the set: difftar records into blocks, the layer
// and its signatures into spools.
type producer struct {
	src     Source
	old     state.Stream
	set     int // ordinal of the set being made
	oldSigs func(*state.Item) (*rdiff.Signature, io.Closer, error)
	sparse  func(path string) bool // may be nil
	fine    *fineSignatures

	blocks  *blockWriter
	layer   *state.Writer
	sigs    *spool
	refresh *state.Writer // items whose local identity changed while the content did not

	resume mark
	counts counts
	sum    *Summary
	report Reporter

	// Used by one file after the other.
	signer *rdiff.Signer
	delta  *rdiff.DeltaWriter
	buf    []byte // what was read
	piece  []byte // what waits to be a piece

	files int64
}

// xattrLimit is how many bytes of extended attributes a header can carry: tar
// readers refuse records beyond 1 MiB.
const xattrLimit = 512 << 10

// run goes through the tree and the state in step.
func (p *producer) run(ctx context.Context) error {
	p.buf, p.piece = make([]byte, pieceSize), make([]byte, pieceSize)
	node, err := p.nextNode(ctx)
	if err != nil {
		return err
	}
	item, err := p.nextItem()
	if err != nil {
		return err
	}
	if p.resume.Piece > 0 && !p.resumable(node) {
		return errStale
	}
	for node != nil || item != nil {
		side := 0
		switch {
		case item == nil:
			side = -1
		case node == nil:
			side = 1
		default:
			side = archive.Compare(node.Entry.Path, item.Path)
		}
		switch {
		case side > 0:
			err = p.deleted(item)
		case node.Err != nil:
			if item, err = p.unreadable(node, item); err == nil {
				node, err = p.nextNode(ctx)
			}
			if err != nil {
				return err
			}
			continue
		case side < 0:
			err = p.entry(ctx, node.Entry, nil)
		default:
			err = p.entry(ctx, node.Entry, item)
		}
		if err == nil && side <= 0 {
			node, err = p.nextNode(ctx)
		}
		if err == nil && side >= 0 {
			item, err = p.nextItem()
		}
		if err != nil {
			return err
		}
	}
	p.report.Add(p.files, 0, 0)
	end := p.mark(nil, 0, 0)
	end.Started, end.Done = true, true
	return p.blocks.cut(end, true)
}

// resumable reports whether node is the file that the session was
// interrupted in, unchanged since.
func (p *producer) resumable(node *Node) bool {
	return node != nil && node.Err == nil && node.Entry.Path == string(p.resume.Path) &&
		identity(node.Entry) == p.resume.Identity
}

// nextNode is the next step of the scan that the session has not yet taken,
// nil at the end.
func (p *producer) nextNode(ctx context.Context) (*Node, error) {
	for {
		node, err := p.src.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		p.seen(node)
		if !p.done(node.Entry.Path) {
			return &node, nil
		}
		p.passed(node.Entry)
	}
}

func (p *producer) seen(node Node) {
	p.sum.Files++
	if node.Err == nil && node.Entry.Type == archive.Regular {
		p.sum.SourceBytes += node.Entry.Size
	}
	p.files++
	if p.files == 64 {
		p.report.Add(p.files, 0, 0)
		p.files = 0
	}
}

// passed counts a file that needs no reading as gone through.
func (p *producer) passed(e *archive.Entry) {
	if e.Type == archive.Regular {
		p.report.Add(0, e.Size, 0)
	}
}

func (p *producer) nextItem() (*state.Item, error) {
	for {
		item, err := p.old.Next()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil || !p.done(item.Path) {
			return item, err
		}
	}
}

// done reports whether an interrupted session had dealt with path.
func (p *producer) done(path string) bool {
	if !p.resume.Started || p.resume.Done {
		return p.resume.Done
	}
	c := archive.Compare(path, string(p.resume.Path))
	return c < 0 || c == 0 && p.resume.Piece == 0
}

// unreadable keeps what the chain has of a path that can't be read and of all
// below it: not to see a file is no reason to call it deleted.
func (p *producer) unreadable(node *Node, item *state.Item) (*state.Item, error) {
	path := node.Entry.Path
	p.report.Problem(Problem{Path: path, Err: node.Err, Lost: true})
	var err error
	for err == nil && item != nil && archive.Within(item.Path, path) {
		item, err = p.nextItem()
	}
	return item, err
}

func (p *producer) deleted(item *state.Item) error {
	if item.Path == "" {
		return nil
	}
	p.counts.Deleted++
	gone := state.Item{Entry: archive.Entry{Path: item.Path}, Deleted: true, Set: p.set}
	if err := p.blocks.add(archive.Record{Kind: archive.Deleted, Entry: &gone.Entry}, nil); err != nil {
		return err
	}
	return p.finish(&gone)
}

// entry deals with one path of the tree; old is what the chain has for it.
func (p *producer) entry(ctx context.Context, e *archive.Entry, old *state.Item) error {
	if old != nil {
		switch compare(e, old) {
		case same:
			p.sum.Unchanged++
			p.passed(e)
			return nil
		case suspect:
			if ok, err := p.unchanged(ctx, e, old); err != nil || ok {
				return err
			}
		}
	}
	if e.Type == archive.Regular {
		return p.file(ctx, e, old)
	}
	p.xattrs(e, p.src.Xattrs)
	p.count(old)
	if err := p.blocks.add(archive.Record{Kind: archive.Snapshot, Entry: e}, nil); err != nil {
		return err
	}
	return p.finish(&state.Item{Entry: *e, Set: p.set})
}

func (p *producer) count(old *state.Item) {
	if old == nil {
		p.counts.New++
	} else {
		p.counts.Changed++
	}
}

// finish adds an item to the layer once all its records are in blocks.
func (p *producer) finish(item *state.Item) error {
	if err := p.layer.Add(item); err != nil {
		return err
	}
	return p.blocks.cut(p.mark([]byte(item.Path), 0, 0), false)
}

func (p *producer) mark(path []byte, piece int, sigStart int64) mark {
	return mark{
		Path: path, Piece: piece, Started: path != nil,
		Index: p.layer.Offset(), Signatures: p.sigs.Size(), SigStart: sigStart,
		Counts: p.counts,
	}
}

// unchanged looks at the content of a suspect; if that and the extended
// attributes are what the chain has, only the cache is told.
func (p *producer) unchanged(ctx context.Context, e *archive.Entry, old *state.Item) (bool, error) {
	p.xattrs(e, p.src.Xattrs)
	if !sameXattrs(e.Xattrs, old.Xattrs) {
		return false, nil
	}
	item := state.Item{Entry: *e, Set: old.Set, Signature: old.Signature}
	item.Digest = old.Digest
	if e.Type == archive.Regular {
		if !old.Digest.Known() {
			return false, nil
		}
		digest, settled, err := p.digest(ctx, e, old.Digest.BlockLen)
		if err != nil || digest != old.Digest {
			return false, err
		}
		if !settled {
			item.ChangeTime = time.Time{}
		}
	}
	p.sum.Unchanged++
	return true, p.refresh.Add(&item)
}

// digest reads a file for its digest alone. A file that can't be read has
// none; storing it will say why.
func (p *producer) digest(ctx context.Context, e *archive.Entry, blockLen int) (archive.Digest, bool, error) {
	content, err := p.src.Open(e)
	if err != nil {
		return archive.Digest{}, false, nil
	}
	defer content.Close()
	d, err := rdiff.NewDigester(blockLen)
	if err != nil {
		return archive.Digest{}, false, nil
	}
	if _, err := p.copy(ctx, d, io.LimitReader(content, e.Size)); err != nil {
		return archive.Digest{}, false, ctx.Err()
	}
	modified, racy, err := content.Changed()
	return makeDigest(blockLen, d.Sum()), err == nil && !modified && !racy, nil
}

func makeDigest(blockLen int, sum []byte) archive.Digest {
	d := archive.Digest{BlockLen: blockLen}
	copy(d.Sum[:], sum)
	return d
}

// copy copies src to dst, reporting what passes.
func (p *producer) copy(ctx context.Context, dst io.Writer, src io.Reader) (total int64, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		n, rerr := io.ReadFull(src, p.buf)
		total += int64(n)
		p.counts.Read += int64(n)
		if _, err := dst.Write(p.buf[:n]); err != nil {
			return total, err
		}
		p.report.Add(0, int64(n), 0)
		if rerr == io.EOF || rerr == io.ErrUnexpectedEOF {
			return total, nil
		}
		if rerr != nil {
			return total, &readError{rerr}
		}
	}
}

// A readError is the source's, not the store's.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// xattrs gives an entry its extended attributes. What can't be read of them,
// or not be stored, is lost.
func (p *producer) xattrs(e *archive.Entry, read func(*archive.Entry) ([]archive.Xattr, error)) {
	list, err := read(e)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			p.report.Problem(Problem{Path: e.Path, Err: fmt.Errorf("read extended attributes: %w", err), Lost: true})
		}
		return
	}
	size := 0
	for _, x := range list {
		size += len(x.Name) + len(x.Value)
	}
	if size > xattrLimit {
		p.report.Problem(Problem{Path: e.Path, Err: fmt.Errorf("extended attributes of %d bytes: no room for them in a tar header", size), Lost: true})
		return
	}
	e.Xattrs = list
}
