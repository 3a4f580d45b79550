package chain

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tklbam/chain/archive"
	"tklbam/chain/collection"
	"tklbam/chain/manifest"
	"tklbam/chain/rdiff"
	"tklbam/chain/seal"
	"tklbam/chain/state"
)

// contents restores the regular files: set by set, the newest first, so that
// what a newer set has is never read in an older one. A delta waits in a
// scratch file until an older set brings what it builds on; the deltas of one
// file are then read through at once.
func (r *restorer) contents(ctx context.Context) (err error) {
	r.copy = make([]byte, 256<<10)
	r.writers = newWriters(r)
	defer func() {
		if werr := r.writers.wait(); err == nil {
			err = werr
		}
	}()
	waiting := r.plan.want("waiting-0")
	defer func() { waiting.close() }()
	for i := len(r.sets) - 1; i >= 0; i-- {
		needs, later := r.plan.want("needs"), r.plan.want("later")
		err := r.needs(i, waiting, needs, later)
		fresh := r.plan.want("fresh")
		if err == nil {
			err = r.readSet(ctx, i, needs, fresh)
		}
		next := r.plan.want(fmt.Sprintf("waiting-%d", len(r.sets)-i))
		if err == nil {
			err = joined(next, later, fresh)
		}
		waiting.close()
		needs.close()
		later.close()
		fresh.close()
		r.plan.wants[i].close()
		waiting = next
		if err != nil {
			return err
		}
	}
	rest, err := waiting.open()
	return each(rest, err, func(item *state.Item) error {
		return lost(r.report, item.Path, errors.New("what its deltas build on is not in the chain"))
	})
}

// needs sorts out what set i is read for: the files it changed last, and of
// those it may hold the base of, the ones that wait for one. Of the waiting
// files, those it knows nothing of go on to later.
func (r *restorer) needs(i int, waiting, needs, later *want) error {
	wants, err := r.plan.wants[i].open()
	if err != nil {
		return err
	}
	waits, err := waiting.open()
	if err != nil {
		return err
	}
	var wait *state.Item
	next := func() (err error) {
		if wait, err = waits.Next(); errors.Is(err, io.EOF) {
			wait, err = nil, nil
		}
		return err
	}
	if err := next(); err != nil {
		return err
	}
	err = each(wants, nil, func(item *state.Item) error {
		for wait != nil && archive.Compare(wait.Path, item.Path) < 0 {
			if err := errors.Join(later.add(wait), next()); err != nil {
				return err
			}
		}
		if wait != nil && wait.Path == item.Path {
			return errors.Join(needs.add(wait), next())
		}
		if item.Set == i {
			return needs.add(item)
		}
		return nil
	})
	for err == nil && wait != nil {
		err = errors.Join(later.add(wait), next())
	}
	return err
}

// joined writes two lists without common paths as one.
func joined(out, a, b *want) error {
	as, err := a.open()
	if err != nil {
		return err
	}
	bs, err := b.open()
	if err != nil {
		return err
	}
	return each(state.Merge([]state.Stream{as, bs}, nil), nil, out.add)
}

// readSet reads the volumes of set i that hold what it is needed for.
func (r *restorer) readSet(ctx context.Context, i int, needs, fresh *want) error {
	set := r.sets[i]
	probe, err := needs.open()
	if err != nil {
		return err
	}
	if probe == state.Empty {
		return nil
	}
	vols, err := r.volumes(ctx, set, probe)
	if err != nil {
		return err
	}
	list, err := needs.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	x := &extraction{restorer: r, ctx: ctx, set: set, ordinal: i, needs: list, fresh: fresh}
	ahead := r.prefetch(ctx, vols, set)
	defer func() {
		cancel()
		for f := range ahead {
			f.close()
		}
	}()
	if err := x.advance(); err != nil {
		return err
	}
	for f := range ahead {
		err := x.volume(&f)
		f.close()
		if err != nil {
			return err
		}
	}
	return errors.Join(ctx.Err(), x.end())
}

// volumesFor picks the volumes whose range of paths holds any of the files,
// or all if files is nil.
func volumesFor(m *manifest.Manifest, files state.Stream) ([]manifest.Volume, error) {
	if files == nil {
		return m.Volumes, nil
	}
	var picked []manifest.Volume
	i := 0
	err := each(files, nil, func(item *state.Item) error {
		for i < len(m.Volumes) && archive.Compare(m.Volumes[i].End.Path, item.Path) < 0 {
			i++
		}
		for j := i; j < len(m.Volumes) && archive.Compare(m.Volumes[j].Start.Path, item.Path) <= 0; j++ {
			if n := len(picked); n == 0 || picked[n-1].Number < m.Volumes[j].Number {
				picked = append(picked, m.Volumes[j])
			}
		}
		return nil
	})
	return picked, err
}

// An extraction reads one set for the files it is needed for.
type extraction struct {
	*restorer
	ctx     context.Context
	set     *collection.Set
	ordinal int
	needs   state.Stream
	need    *state.Item // the next file needed, nil after the last
	fresh   *want       // files whose delta was found here, waiting for a base

	cur   sink  // the file whose pieces are coming, nil for none
	piece int   // of it, the last one read
	why   error // why files are missing, when a volume could not be read
}

// A sink takes the content of one file's records and does with it what they
// are for.
type sink interface {
	io.Writer
	path() string
	done() error // the content is complete
	drop()       // it will never be
}

func (x *extraction) advance() error {
	item, err := x.needs.Next()
	if errors.Is(err, io.EOF) {
		x.need = nil
		return nil
	}
	x.need = item
	return err
}

// volume extracts what is needed from one volume. Damage ends the volume, not
// the restore.
func (x *extraction) volume(f *fetched) error {
	x.out.Volumes++
	if f.err != nil {
		return x.broken(f, f.err)
	}
	if f.damaged != nil {
		x.report.Problem(Problem{Err: fmt.Errorf("%s is damaged: %w", f.title, f.damaged), Lost: true})
		x.why = fmt.Errorf("%s is damaged", f.title)
	}
	plain, err := f.unsealed(x.opener)
	if err != nil {
		if f.damaged == nil && x.hopeless(x.ctx, err) || errors.Is(err, seal.ErrNoMDC) {
			return err
		}
		return x.broken(f, err)
	}
	defer plain.Close()
	ahead := newReadAhead(plain)
	defer ahead.Close()
	err = x.records(archive.NewReader(ahead), f)
	if err == nil {
		err = drain(ahead)
	}
	var own *ownError
	switch {
	case errors.As(err, &own):
		return own.err
	case err != nil:
		return x.broken(f, named(f.name, err))
	}
	return nil
}

// broken goes on after a volume that can't be read, or not to its end.
func (x *extraction) broken(f *fetched, err error) error {
	if cerr := x.ctx.Err(); cerr != nil {
		return cerr
	}
	x.abandon(err)
	x.report.Problem(Problem{Err: err, Lost: true})
	x.why = fmt.Errorf("%s can't be read", f.title)
	return nil
}

// An ownError is not the volume's fault and ends the restore.
type ownError struct{ err error }

func (e *ownError) Error() string { return e.err.Error() }

func own(err error) error {
	if err == nil {
		return nil
	}
	return &ownError{err}
}

func (x *extraction) records(tr *archive.Reader, f *fetched) error {
	for {
		rec, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := x.ctx.Err(); err != nil {
			return own(err)
		}
		if rec.Kind == archive.Signature {
			return fmt.Errorf("entry %q: a signature in a volume", rec.Entry.Path)
		}
		if err := x.record(tr, rec, f); err != nil {
			return err
		}
	}
}

// record extracts one record, if it is needed.
func (x *extraction) record(tr *archive.Reader, rec archive.Record, f *fetched) error {
	if rec.Piece > 1 {
		return x.further(tr, rec)
	}
	if err := x.complete(); err != nil {
		return err
	}
	for x.need != nil && archive.Compare(x.need.Path, rec.Entry.Path) < 0 {
		if err := x.missing(); err != nil {
			return err
		}
	}
	if x.need == nil || x.need.Path != rec.Entry.Path || rec.Kind == archive.Deleted || rec.Entry.Type != archive.Regular {
		return nil
	}
	s, err := x.begin(rec, f)
	if err != nil {
		return own(err)
	}
	x.cur, x.piece = s, rec.Piece
	if err := own(x.advance()); err != nil {
		return err
	}
	return x.body(tr)
}

// further takes a piece after a file's first.
func (x *extraction) further(tr *archive.Reader, rec archive.Record) error {
	if x.cur == nil || x.piece == 0 {
		return nil
	}
	if rec.Piece != x.piece+1 {
		x.abandon(fmt.Errorf("piece %d follows piece %d", rec.Piece, x.piece))
		return nil
	}
	x.piece = rec.Piece
	return x.body(tr)
}

// body copies a record's body to the sink, telling errors of the volume from
// those of the sink.
func (x *extraction) body(tr *archive.Reader) error {
	for x.cur != nil {
		n, err := tr.Read(x.copy)
		if n > 0 {
			if _, werr := x.cur.Write(x.copy[:n]); werr != nil {
				if fatal(werr) {
					return own(werr)
				}
				x.abandon(werr)
			}
			x.report.Add(0, int64(n), 0)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// complete ends the file whose pieces were coming.
func (x *extraction) complete() error {
	if x.cur == nil {
		return nil
	}
	s := x.cur
	x.cur = nil
	return own(s.done())
}

// abandon gives up the file whose pieces were coming.
func (x *extraction) abandon(err error) {
	if x.cur == nil {
		return
	}
	s := x.cur
	x.cur = nil
	s.drop()
	x.report.Problem(Problem{Path: s.path(), Err: err, Lost: true})
}

// missing reports the next file as lost.
func (x *extraction) missing() error {
	why := x.why
	if why == nil {
		why = fmt.Errorf("not in the volumes of the set of %s", x.set.End.Format("2006-01-02 15:04:05"))
	}
	if err := lost(x.report, x.need.Path, why); err != nil {
		return own(err)
	}
	return own(x.advance())
}

// end completes the set: what has not come by now is not there.
func (x *extraction) end() error {
	err := x.complete()
	for err == nil && x.need != nil {
		err = x.missing()
	}
	var own *ownError
	if errors.As(err, &own) {
		return own.err
	}
	return err
}

// begin chooses what to do with a record of the needed file.
func (x *extraction) begin(rec archive.Record, f *fetched) (sink, error) {
	item := *x.need
	x.report.Path(item.Path)
	waiting := item.Signature.Length > 0 && item.Set != x.ordinal
	switch {
	case rec.Kind == archive.Diff:
		return newDeltaSink(x, item, waiting)
	case waiting:
		return newBaseSink(x, item, x.doubt(f))
	case rec.Piece == 0 && rec.Size <= pieceSize:
		return newSmallSink(x.writers, &item.Entry, x.doubt(f)), nil
	}
	return newFileSink(x.restorer, &item.Entry, x.doubt(f)), nil
}

// doubt is why a file that carries no digest can't be trusted.
func (x *extraction) doubt(f *fetched) error {
	if f.damaged == nil {
		return nil
	}
	return fmt.Errorf("it comes from %s, which is damaged, and the chain has no digest to check it by", f.title)
}

// A fileSink writes a restored file and checks it on the way.
type fileSink struct {
	r      *restorer
	entry  archive.Entry
	out    Output
	digest *rdiff.Digester
	size   int64
	doubt  error
	failed error
}

func newFileSink(r *restorer, e *archive.Entry, doubt error) *fileSink {
	s := &fileSink{r: r, entry: *e, doubt: doubt}
	if e.Digest.Known() {
		s.digest, s.failed = rdiff.NewDigester(e.Digest.BlockLen)
	}
	if s.failed == nil {
		s.out, s.failed = r.Target.Create(&s.entry)
	}
	return s
}

func (s *fileSink) path() string { return s.entry.Path }

func (s *fileSink) Write(p []byte) (int, error) {
	if s.failed != nil {
		return 0, s.failed
	}
	if s.digest != nil {
		if _, err := s.digest.Write(p); err != nil {
			return 0, err
		}
	}
	s.size += int64(len(p))
	return s.out.Write(p)
}

// done puts the file in place if it is what was backed up.
func (s *fileSink) done() error {
	err := s.failed
	if err == nil {
		err = s.check()
	}
	if err != nil {
		s.drop()
		return lost(s.r.report, s.entry.Path, err)
	}
	if err := s.out.Commit(); err != nil {
		return lost(s.r.report, s.entry.Path, err)
	}
	s.r.files.Add(1)
	s.r.bytes.Add(s.size)
	s.r.report.Add(1, 0, 0)
	if s.digest == nil && s.doubt != nil {
		s.r.report.Problem(Problem{Path: s.entry.Path, Err: fmt.Errorf("may be damaged: %w", s.doubt), Lost: true})
	}
	return nil
}

func (s *fileSink) check() error {
	if s.entry.Size >= 0 && s.size != s.entry.Size {
		return fmt.Errorf("its content is damaged: %d bytes where %d were backed up", s.size, s.entry.Size)
	}
	if s.digest != nil && makeDigest(s.entry.Digest.BlockLen, s.digest.Sum()) != s.entry.Digest {
		return errors.New("its content is damaged: the digest differs from the one taken when it was backed up")
	}
	return nil
}

func (s *fileSink) drop() {
	if s.out == nil {
		return
	}
	if err := s.out.Abort(); err != nil {
		s.r.report.Problem(Problem{Path: s.entry.Path, Err: err})
	}
}
