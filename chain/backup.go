package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"tklbam/chain/collection"
	"tklbam/chain/filename"
	"tklbam/chain/rdiff"
	"tklbam/chain/seal"
	"tklbam/chain/state"
	"tklbam/chain/timeexpr"
)

// BackupOptions say what to back up, where to, and how.
type BackupOptions struct {
	Store      Store
	Scan       func() (Source, error) // begins a scan of the tree
	Secret     []byte
	WeakSecret bool          // chosen by a person: makes guessing it costly
	Encoding   seal.Encoding // of a chain that this session starts
	Frequency  timeexpr.Frequency
	VolumeSize int64  // bytes, as stored
	Cache      string // directory for this target's cache and the journal of an unfinished session
	Hostname   string
	Localdir   string
	NoResume   bool // give up an unfinished session instead of going on with it
	Simulate   bool // compare only: nothing is stored, locally or in the target
	Parallel   int  // volumes that may be on their way into the store at once, besides the one being made; 0 for the default

	// Sparse says which large files change little between sessions, in many
	// places: dumps of databases. May be nil.
	Sparse func(path string) bool
	Report Reporter
	Clock  func() time.Time
}

// A session is a backup under way.
type session struct {
	BackupOptions
	report *counted
	dir    string // of the journal and the spools
	cache  *cache
	fine   *fineSignatures
	coll   *collection.Collection
	chain  []*collection.Set // that it extends; none for a full backup
	enc    seal.Encoding
	sealer *seal.Sealer
	opener *seal.Opener
	name   filename.Name
	sum    Summary

	journal *journal
	layer   *spool
	sigs    *spool
	refresh string // file with the layer of local corrections

	corrected bool // there are any
	set       cachedSet
}

// Backup runs one session: it goes on with one that was interrupted, or
// extends the newest chain, or starts a new one. Nothing counts until the
// manifest is stored, last of all; what an interrupted session has stored by
// then is used by the next.
func Backup(ctx context.Context, o BackupOptions) (*Summary, error) {
	started := o.Clock()
	s := &session{BackupOptions: o, report: &counted{Reporter: o.Report}}
	s.Report = s.report
	err := s.run(ctx)
	s.sum.Warnings, s.sum.Lost = s.report.warnings.Load(), s.report.lost.Load()
	s.sum.Elapsed = o.Clock().Sub(started)
	return &s.sum, err
}

func (s *session) run(ctx context.Context) (err error) {
	if s.coll, err = collect(ctx, s.Store); err != nil {
		return err
	}
	if s.cache, err = openCache(s.Cache); err != nil {
		return fmt.Errorf("open cache: %w", err)
	}
	if s.fine, err = openFine(s.Cache, s.Clock()); err != nil {
		return fmt.Errorf("open cache: %w", err)
	}
	s.opener = seal.NewOpener(s.Secret, seal.OpenOptions{})
	if err := s.choose(ctx); err != nil {
		return err
	}
	s.dir = sessionDir(s.Cache)
	if s.Simulate {
		s.Sparse = nil // their finer signatures are those of real sessions
		if s.dir, err = os.MkdirTemp(s.Cache, "simulate-"); err != nil {
			return err
		}
		defer os.RemoveAll(s.dir)
		s.Store = nowhere{s.Store}
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	defer s.close()
	err = s.produce(ctx)
	if errors.Is(err, errStale) {
		if err = s.rollBack(ctx); err == nil {
			err = s.produce(ctx)
		}
	}
	if err != nil {
		return err
	}
	return s.commit(ctx)
}

// choose decides between full and incremental, and for an incremental brings
// the cache up to the chain and checks the secret against it.
func (s *session) choose(ctx context.Context) error {
	now := s.Clock().UTC()
	d := s.coll.Decide(now, s.Frequency)
	for _, w := range d.Warnings {
		s.report.Problem(Problem{Err: errors.New(w)})
	}
	at, err := s.time(now)
	if err != nil {
		return err
	}
	s.startChain(at, d.Reason)
	if d.Full {
		err = s.checkNewest(ctx)
	} else {
		s.sum.Full, s.name.Full = false, false
		err = s.extend(ctx, pointers(d.Chain.Sets()))
	}
	if errors.Is(err, seal.ErrDamaged) {
		s.report.Problem(Problem{Err: fmt.Errorf("%w: a new chain is started, for nothing can build on this one", err)})
		s.startChain(at, "the newest chain is damaged")
	} else if err != nil {
		return err
	}
	s.name.Suffix = s.enc.Suffix()
	s.sealer, err = seal.NewSealer(seal.Options{Encoding: s.enc, Secret: s.Secret, WeakSecret: s.WeakSecret})
	return err
}

// startChain makes the session a full backup.
func (s *session) startChain(at time.Time, reason string) {
	s.chain, s.enc = nil, s.Encoding
	s.name = filename.Name{Kind: filename.Volume, Full: true, End: at}
	s.sum.Full, s.sum.Reason = true, reason
}

// time is the session's: later than any there is, whatever the clock says.
func (s *session) time(now time.Time) (time.Time, error) {
	last := s.coll.Newest()
	at, _, err := collection.NextTime(now, last)
	if behind := at.Sub(now); behind > time.Minute {
		s.report.Problem(Problem{Err: fmt.Errorf("the clock says %s, but the newest backup is of %s: this one is recorded as of %s",
			now.Format(time.RFC3339), last.Format(time.RFC3339), at.Format(time.RFC3339))})
	}
	return at, err
}

// checkNewest keeps a full backup that is merely due from starting a chain
// under another secret than the one before: whoever wants that asks for a
// full backup.
func (s *session) checkNewest(ctx context.Context) error {
	if len(s.coll.Chains) == 0 || s.Frequency.Now() {
		return nil
	}
	sets := pointers(s.coll.Chains[len(s.coll.Chains)-1].Sets())
	_, err := readManifest(ctx, s.Store, s.opener, sets[len(sets)-1])
	if errors.Is(err, ErrWrongSecret) {
		return err
	}
	return ctx.Err()
}

func (s *session) extend(ctx context.Context, sets []*collection.Set) error {
	last := sets[len(sets)-1]
	enc, err := seal.ParseSuffix(sets[0].Suffix)
	if err != nil {
		return err
	}
	s.chain, s.enc, s.name.Start = sets, enc, last.End
	if s.Encoding.Encrypted() && !enc.Encrypted() {
		s.report.Problem(Problem{Err: errors.New("the chain in the target is not encrypted, so this backup is not either: " +
			"to start one that is, make a full backup")})
	}
	if s.cache.known(sets) != len(sets) || !s.cache.usable() {
		// Before anything of the chain is read, its manifest tells whether
		// the secret is the right one.
		if _, err := readManifest(ctx, s.Store, s.opener, last); err != nil {
			return err
		}
	} else if err := s.cache.checkSecret(s.opener); err != nil {
		return err
	}
	return s.cache.sync(ctx, s.Store, s.opener, sets, s.report)
}

func (s *session) close() {
	for _, c := range []io.Closer{s.layer, s.sigs, s.journal} {
		c.Close()
	}
}

// produce compares the tree with the state and stores the volumes.
func (s *session) produce(ctx context.Context) error {
	s.report.Phase("backing up")
	src, err := s.Scan()
	if err != nil {
		return err
	}
	defer src.Close()
	old, err := s.oldState()
	if err != nil {
		return err
	}
	defer old.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return writeFile(s.refresh, func(w io.Writer) error {
		return s.pipeline(ctx, src, old.Stream, state.NewWriter(w))
	})
}

func (s *session) pipeline(ctx context.Context, src Source, old state.Stream, refresh *state.Writer) error {
	m := s.journal.mark()
	layer, err := s.layerWriter(m)
	if err != nil {
		return err
	}
	u := &uploader{
		ctx: ctx, store: s.Store, sealer: s.sealer, pool: s.buffers(), name: s.name, volSize: s.VolumeSize, parallel: s.Parallel,
		next: len(s.journal.volumes) + 1, journal: s.journal, report: s.report, durable: s.durable,
	}
	u.start()
	s.sum.Files, s.sum.SourceBytes, s.sum.Unchanged = 0, 0, 0
	p := &producer{
		src: src, old: old, set: len(s.chain), oldSigs: s.signature, sparse: s.Sparse, fine: s.fine,
		blocks: newBlockWriter(s.blockSize(), u.pool, u.add), layer: layer, sigs: s.sigs, refresh: refresh,
		resume: m, counts: m.Counts, sum: &s.sum, report: s.report,
	}
	if err := p.run(ctx); err != nil {
		u.abort(err)
		if cause := u.err; cause != nil && !errors.Is(err, errStale) {
			return cause
		}
		return err
	}
	s.sum.New, s.sum.Changed, s.sum.Deleted, s.sum.ReadBytes = p.counts.New, p.counts.Changed, p.counts.Deleted, p.counts.Read
	s.corrected = refresh.Count() > 0
	err = errors.Join(layer.Close(), s.layer.flush(), s.sigs.flush(), refresh.Close())
	if err != nil {
		u.abort(err)
		return err
	}
	return s.storeSignatures(ctx, u)
}

// layerWriter writes the session's layer on from m.
func (s *session) layerWriter(m mark) (*state.Writer, error) {
	if !m.Started {
		return state.NewWriter(s.layer), nil
	}
	return state.Continue(s.layer, s.layer.reader())
}

// durable makes the local side of a mark survive a crash.
func (s *session) durable(mark) error {
	return errors.Join(s.layer.Sync(), s.sigs.Sync())
}

// buffers is a pool for blocks and segments on their way: each takes up to a
// piece more than its size.
func (s *session) buffers() *bufferPool {
	return newBufferPool(8*runtime.GOMAXPROCS(0), s.blockSize()+pieceSize+64<<10)
}

// blockSize suits volumes: at least eight blocks make one.
func (s *session) blockSize() int {
	return int(min(blockSize, max(s.VolumeSize/8, 64<<10)))
}

// An oldState is what an incremental session compares with.
type oldState struct {
	state.Stream
	io.Closer
}

func (s *session) oldState() (oldState, error) {
	if len(s.chain) == 0 {
		return oldState{state.Empty, io.NopCloser(nil)}, nil
	}
	st, err := s.cache.state()
	if err != nil {
		return oldState{}, err
	}
	return oldState{st, st}, nil
}

// signature opens the signature the chain has of an item.
func (s *session) signature(item *state.Item) (*rdiff.Signature, io.Closer, error) {
	if sig, file := s.fine.find(item); sig != nil {
		return sig, file, nil
	}
	f, err := os.Open(s.cache.path(s.cache.head.Sets[item.Set].Local))
	if err != nil {
		return nil, nil, err
	}
	sig, err := rdiff.OpenSignature(section{f, item.Signature.Offset, item.Signature.Length}, item.Signature.Length)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return sig, f, nil
}

// nowhere is the store of a simulation: it has what another has, and keeps
// nothing.
type nowhere struct{ Reader }

func (nowhere) Put(_ context.Context, _ string, write func(io.Writer) error) error {
	return write(io.Discard)
}

func (nowhere) Delete(context.Context, string) error { return nil }
