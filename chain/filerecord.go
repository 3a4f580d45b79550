package chain

import (
	"bytes"
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

// smallFile is the size up to which a changed file is stored whole: a delta
// of it would save next to nothing, and a whole file ends the chain of deltas
// that a restore has to read.
const smallFile = 2048

// errStale says that the entry a session was interrupted in is not what it
// was: what is stored of it is useless.
var errStale = errors.New("the file in which the session was interrupted has changed")

// file stores a regular file: whole, or as a delta if the chain has its
// signature.
func (p *producer) file(ctx context.Context, e *archive.Entry, old *state.Item) (err error) {
	p.report.Path(e.Path)
	content, err := p.src.Open(e)
	if err != nil && p.resume.Piece > 0 {
		return errStale
	}
	if errors.Is(err, fs.ErrNotExist) {
		p.report.Problem(Problem{Path: e.Path, Err: errors.New("vanished before it was read")})
		if old != nil {
			return p.deleted(old)
		}
		return nil
	}
	if err != nil {
		p.report.Problem(Problem{Path: e.Path, Err: err, Lost: true})
		return nil
	}
	defer content.Close()
	if p.resume.Piece > 0 && identity(e) != p.resume.Identity {
		return errStale // it changed since the scan saw it
	}
	p.xattrs(e, func(*archive.Entry) ([]archive.Xattr, error) { return content.Xattrs() })
	f := &fileRecord{p: p, entry: *e, params: rdiff.ParamsFor(e.Size), sigStart: p.sigs.Size()}
	if f.sparse = e.Size > sparseFile && p.sparse != nil && p.sparse(e.Path); f.sparse {
		f.params = rdiff.SparseParamsFor(e.Size)
	}
	if err := f.begin(old); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	n, err := p.copy(ctx, f, io.LimitReader(content, e.Size))
	if err := f.settle(content, n, err); err != nil {
		return err
	}
	if f.dropped {
		return nil
	}
	p.count(old)
	item := &state.Item{Entry: f.entry, Set: p.set,
		Signature: state.Ref{Offset: f.sigStart, Length: p.sigs.Size() - f.sigStart}}
	if f.fine {
		if err := p.fine.end(item, old); err != nil {
			return err
		}
	}
	return p.finish(item)
}

// sparseFile is the size from which the signature of a sparse file is worth
// keeping twice.
const sparseFile = 4 << 20

// A fileRecord is one regular file on its way into the chain: what is written
// to it goes into the file's signature and into pieces of its content or of
// its delta.
type fileRecord struct {
	p        *producer
	entry    archive.Entry
	params   rdiff.Params
	sigStart int64
	out      pieces
	delta    bool
	sparse   bool
	fine     bool // a finer signature is being made too
	oldSig   io.Closer
	dropped  bool
}

func (f *fileRecord) begin(old *state.Item) (err error) {
	p := f.p
	var sigs io.Writer = p.sigs
	f.out = pieces{rec: archive.Record{Kind: archive.Snapshot, Entry: &f.entry}, write: f.record, buf: p.piece[:0]}
	if p.resume.Piece > 0 {
		sigs = f.resume()
	}
	if p.signer == nil {
		p.signer, err = rdiff.NewSigner(sigs, f.params)
	} else {
		err = p.signer.Reset(sigs, f.params)
	}
	if err != nil {
		return err
	}
	if f.sparse && p.resume.Piece == 0 {
		if err := p.fine.begin(rdiff.ParamsFor(f.entry.Size)); err != nil {
			return err
		}
		f.fine = true
	}
	if old == nil || old.Type != archive.Regular || old.Signature.Length == 0 || f.entry.Size <= smallFile {
		return nil
	}
	sig, closer, err := p.oldSigs(old)
	if err != nil {
		return fmt.Errorf("signature of %q: %w", old.Path, err)
	}
	f.oldSig, f.delta = closer, true
	f.out.rec.Kind = archive.Diff
	if p.delta == nil {
		p.delta = rdiff.NewDeltaWriter(&f.out, sig)
	} else {
		p.delta.Reset(&f.out, sig)
	}
	return nil
}

func (f *fileRecord) Write(b []byte) (int, error) {
	if f.delta {
		return f.both(b)
	}
	if err := f.sign(b); err != nil {
		return 0, err
	}
	return f.out.Write(b)
}

func (f *fileRecord) sign(b []byte) error {
	_, err := f.p.signer.Write(b)
	if err == nil && f.fine {
		_, err = f.p.fine.signer.Write(b)
	}
	return err
}

// both signs and compares at the same time: each takes a strong sum of every
// block.
func (f *fileRecord) both(b []byte) (int, error) {
	signed := make(chan error, 1)
	go func() {
		signed <- f.sign(b)
	}()
	n, err := f.p.delta.Write(b)
	return n, errors.Join(err, <-signed)
}

// record puts one piece into the blocks.
func (f *fileRecord) record(r archive.Record, body []byte) error {
	if err := f.p.blocks.add(r, body); err != nil {
		return err
	}
	if r.Piece == 0 {
		return nil
	}
	return f.p.blocks.cut(f.mark(r.Piece), false)
}

func (f *fileRecord) mark(piece int) mark {
	m := f.p.mark([]byte(f.entry.Path), piece, f.sigStart)
	m.Identity = identity(&f.entry)
	return m
}

// settle ends the file, of which n bytes could be read: checks that it is
// what the scan saw, and records what was stored.
func (f *fileRecord) settle(content Content, n int64, rerr error) error {
	p := f.p
	var bad *readError
	if rerr != nil && !errors.As(rerr, &bad) {
		return rerr
	}
	if bad != nil && p.resume.Piece > 0 {
		return errStale
	}
	if bad != nil && f.out.n == 0 {
		f.dropped = true
		p.report.Problem(Problem{Path: f.entry.Path, Err: bad, Lost: true})
		return p.sigs.truncate(f.sigStart)
	}
	modified, racy, err := content.Changed()
	switch {
	case bad != nil:
		p.report.Problem(Problem{Path: f.entry.Path, Err: fmt.Errorf("%w: only the first %d bytes are stored", bad, n), Lost: true})
	case err != nil:
		p.report.Problem(Problem{Path: f.entry.Path, Err: err})
	case modified || n < f.entry.Size:
		p.report.Problem(Problem{Path: f.entry.Path, Err: fmt.Errorf("changed while it was read: stored with %d bytes", n)})
	}
	if modified || racy || err != nil || n < f.entry.Size {
		f.entry.ChangeTime = time.Time{}
	}
	f.entry.Size = n
	return f.end()
}

func (f *fileRecord) end() error {
	if err := f.p.signer.Close(); err != nil {
		return err
	}
	if f.delta {
		if err := f.p.delta.Close(); err != nil {
			return err
		}
	}
	f.p.resume.Piece = 0
	f.entry.Digest = makeDigest(f.params.BlockLen, f.p.signer.Digest())
	return f.out.Close()
}

func (f *fileRecord) close() error {
	if f.oldSig != nil {
		f.oldSig.Close() // only read from
	}
	if f.fine {
		return f.p.fine.abort()
	}
	return nil
}

// resume goes on with the file that the session was interrupted in: its
// pieces in the chain are skipped, and its signature must first repeat what
// is spooled.
func (f *fileRecord) resume() io.Writer {
	m := f.p.resume
	f.sigStart, f.out.skip = m.SigStart, m.Piece
	return &repeat{spool: f.p.sigs, at: m.SigStart, end: m.Signatures}
}

// identity tells one state of a file from another as far as metadata can.
func identity(e *archive.Entry) string {
	return fmt.Sprintf("%d %d %d %d", e.Size, e.ModTime.UnixNano(), e.ChangeTime.UnixNano(), e.Inode)
}

// repeat is a writer into a spool that already holds the start of what comes:
// that is compared, the rest appended.
type repeat struct {
	spool   *spool
	at, end int64
}

func (r *repeat) Write(p []byte) (int, error) {
	n := int(min(int64(len(p)), r.end-r.at))
	if n > 0 {
		have := make([]byte, n)
		if _, err := r.spool.file.ReadAt(have, r.at); err != nil {
			return 0, err
		}
		if !bytes.Equal(have, p[:n]) {
			return 0, errStale
		}
		r.at += int64(n)
	}
	m, err := r.spool.Write(p[n:])
	return n + m, err
}
