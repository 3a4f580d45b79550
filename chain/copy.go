package chain

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync/atomic"

	"tklbam/chain/collection"
	"tklbam/chain/manifest"
	"tklbam/chain/seal"
)

// CopyOptions say which chains to copy, and where to.
type CopyOptions struct {
	From Reader
	To   Store

	// Secret, if given, opens the manifests: volumes are then compared with
	// the hashes in them on their way. Chains that are not encrypted need none.
	Secret []byte

	// Mirror says that To is only ever filled by sessions that write to From
	// and To, and by copies. The volumes of unfinished sessions are then
	// copied too, since the next session may go on with them, and a set whose
	// files are there by name and size is taken for the same.
	Mirror bool

	Parallel int  // volumes on their way at once; 0 for the default
	Simulate bool // plan only
	Report   Reporter
}

// Copied is what a copy did.
type Copied struct {
	Plan         *CopyPlan
	Sets         int // that the target now has and did not have whole
	Failed       int // that could not be copied
	Files, Bytes int64
}

// Copy stores the chains of one store in another, whose other chains it
// leaves alone; it deletes nothing. Sets go in the order of time, the
// signatures of each after its volumes and its manifest last: a copy that is
// cut off leaves an unfinished set, and the next one goes on with it.
//
// Under a manifest that the target has, files count as there by name and
// size. Without one they could be of a session that was started over, so that
// content decides; of an encrypted file the first bytes tell, since no two
// have the same salt and nonce.
//
// A set that can't be read, or in whose place the target holds another,
// is reported as a problem and counted in Failed, with those that build on
// it. What damage has left of a set is copied as it is. Errors of the target,
// a wrong secret and cancelling end the copy.
func Copy(ctx context.Context, o CopyOptions) (*Copied, error) {
	from, err := collect(ctx, o.From)
	if err != nil {
		return nil, fmt.Errorf("look for what to copy: %w", err)
	}
	to, err := collect(ctx, o.To)
	if err != nil {
		return nil, err
	}
	c := &copier{CopyOptions: o, failed: map[*CopySet]bool{},
		opener: seal.NewOpener(o.Secret, seal.OpenOptions{AllowNoMDC: true})}
	out := &Copied{Plan: PlanCopy(from, to, o.Mirror)}
	for _, text := range out.Plan.Notes {
		o.Report.Note(text)
	}
	if o.Simulate {
		return out, nil
	}
	err = c.run(ctx, out)
	out.Files, out.Bytes = c.files.Load(), c.bytes.Load()
	return out, err
}

type copier struct {
	CopyOptions
	opener       *seal.Opener
	failed       map[*CopySet]bool
	files, bytes atomic.Int64
}

// A targetError is one that every other file would meet as well.
type targetError struct{ error }

func (e targetError) Unwrap() error { return e.error }

func (c *copier) run(ctx context.Context, out *Copied) error {
	if err := c.begin(ctx, out.Plan); err != nil {
		return err
	}
	for _, s := range out.Plan.Sets {
		err := c.set(ctx, s)
		_, refused := errors.AsType[targetError](err)
		switch {
		case refused || errors.Is(err, ErrWrongSecret) || fatal(err):
			return err
		case err != nil:
			c.failed[s] = true
			out.Failed++
			c.Report.Problem(Problem{Err: fmt.Errorf("copy the %s: %w", s.Set, err), Lost: true})
		case len(s.Files) > 0:
			out.Sets++
		}
	}
	return nil
}

// begin announces the copy, unless the target has no room for it.
func (c *copier) begin(ctx context.Context, plan *CopyPlan) error {
	files, bytes := plan.Total()
	c.Report.Total(files, bytes)
	s, ok := c.To.(spacer)
	if !ok || files == 0 {
		return nil
	}
	free, err := s.Free(ctx)
	if err == nil && free < uint64(bytes) {
		err = &NoSpaceError{Where: "in the target", Need: bytes, Free: int64(free)}
	}
	return err
}

func (c *copier) set(ctx context.Context, s *CopySet) error {
	if s.Refused {
		return errors.New(s.Reason)
	}
	if s.Confirm {
		if same, err := c.same(ctx, *s.Set.Manifest); err != nil {
			return err
		} else if !same {
			return errors.New(anotherBackup)
		}
	}
	if len(s.Files) == 0 {
		return nil
	}
	if c.failed[s.base] {
		return errors.New("the backup it builds on was not copied")
	}
	volumes, err := c.listed(ctx, s.Set)
	if err != nil {
		return err
	}
	return c.store(ctx, s.Files, volumes)
}

// listed returns what a set's manifest says of its volumes, and reports what
// the set lacks. A manifest that can't be opened without a secret, or is not
// there yet, says nothing.
func (c *copier) listed(ctx context.Context, s *collection.Set) (map[int]manifest.Volume, error) {
	if s.Manifest == nil {
		return nil, nil
	}
	damage, volumes := s.Damage, map[int]manifest.Volume{}
	enc, err := encodingOf(s.Manifest.Name)
	if err != nil {
		return nil, err
	}
	if !enc.Encrypted() || len(c.Secret) > 0 {
		m, err := readManifest(ctx, c.From, c.opener, s)
		if err != nil {
			return nil, err
		}
		for _, v := range m.Volumes {
			volumes[v.Number] = v
		}
		damage = slices.Concat(damage, missing(s, m, nil))
	}
	for _, text := range damage {
		c.Report.Problem(Problem{Err: fmt.Errorf("the %s is copied as it is: %s", s, text)})
	}
	return volumes, nil
}

// store brings a set's files into the target: some volumes at once, the
// signatures after them, and then the manifest. The first failure lets those
// under way end and begins no other.
func (c *copier) store(ctx context.Context, files []CopyFile, volumes map[int]manifest.Volume) error {
	parallel := c.Parallel
	if parallel < 1 {
		parallel = 1 + inFlight
	}
	var first error
	running, done := 0, make(chan error, parallel)
	await := func(most int) {
		for ; running > most; running-- {
			if err := <-done; first == nil {
				first = err
			}
		}
	}
	for _, f := range files {
		if await(parallel - 1); f.Volume == 0 {
			await(0)
		}
		if first != nil {
			break
		}
		running++
		go func() { done <- c.file(ctx, f, volumes[f.Volume]) }()
	}
	await(0)
	return first
}

// file stores a file, unless the target turns out to have it.
func (c *copier) file(ctx context.Context, f CopyFile, v manifest.Volume) error {
	c.Report.Path(f.Name)
	if f.Held {
		if same, err := c.same(ctx, f.File); same || err != nil {
			return err
		}
	}
	var source error
	err := c.To.Put(ctx, f.Name, func(w io.Writer) error {
		out := &copyWriter{w: w, report: c.Report}
		err := c.stream(ctx, f, v, out)
		if out.err == nil {
			source = err
		}
		return err
	})
	switch {
	case source != nil:
		return fmt.Errorf("read %q: %w", f.Name, source)
	case err != nil:
		return targetError{err}
	}
	c.files.Add(1)
	c.bytes.Add(f.Size)
	c.Report.Add(1, 0, 0)
	return nil
}

// stream passes a file on. It fails, and the file with it, when that is not
// what was listed or not what the manifest says.
func (c *copier) stream(ctx context.Context, f CopyFile, v manifest.Volume, out *copyWriter) (err error) {
	r, err := c.From.Open(ctx, f.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := checkHash(io.TeeReader(r, out), v, f.suffix); err != nil {
		return err
	}
	if _, err := io.Copy(out, r); err != nil { // what had no hash to be read for
		return err
	}
	if out.n != f.Size {
		return fmt.Errorf("it has %d bytes, and was listed with %d", out.n, f.Size)
	}
	return nil
}

// A copyWriter counts and reports what the target takes, and keeps its error.
type copyWriter struct {
	w      io.Writer
	report Reporter
	n      int64
	err    error
}

func (w *copyWriter) Write(p []byte) (n int, err error) {
	n, w.err = w.w.Write(p)
	w.n += int64(n)
	w.report.Add(0, int64(n), int64(n))
	return n, w.err
}

// headSize is how much of an encrypted file is compared: far more than the
// header and what is random in it.
const headSize = 4 << 10

// same reports whether the target's file of that size is the source's.
func (c *copier) same(ctx context.Context, f collection.File) (bool, error) {
	size := f.Size
	if enc, err := encodingOf(f.Name); err == nil && enc.Encrypted() {
		size = min(size, headSize)
	}
	theirs, err := digest(ctx, c.To, f.Name, size)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // it was listed a moment ago
	}
	if err != nil {
		return false, targetError{err}
	}
	ours, err := digest(ctx, c.From, f.Name, size)
	return ours == theirs, err
}

// digest hashes the first bytes of a file.
func digest(ctx context.Context, store Reader, name string, size int64) (sum [sha256.Size]byte, err error) {
	r, err := store.Open(ctx, name)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = io.Copy(h, io.LimitReader(r, size))
	if err = errors.Join(err, r.Close()); err != nil {
		return sum, fmt.Errorf("read %q: %w", name, err)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
