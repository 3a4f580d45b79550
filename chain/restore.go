package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"tklbam/chain/archive"
	"tklbam/chain/collection"
	"tklbam/chain/filename"
	"tklbam/chain/seal"
	"tklbam/chain/state"
)

// A Target takes a restored tree. Paths reach it checked, but it must not
// rely on that: nothing may be written outside its root.
type Target interface {
	// Mkdir makes a directory that files can be made in; its metadata comes
	// with SetDirMeta when all of them are.
	Mkdir(e *archive.Entry) error
	SetDirMeta(e *archive.Entry) error
	// Make makes a symlink, fifo or device with its metadata.
	Make(e *archive.Entry) error
	// Create begins a regular file.
	Create(e *archive.Entry) (Output, error)
	// Link makes e a hard link to the file at path.
	Link(e *archive.Entry, path string) error
	// Temp makes a scratch file without a name where the tree goes, for the
	// content that deltas build on.
	Temp() (*os.File, error)
	// Free is how many bytes the tree can take.
	Free() (uint64, error)
}

// An Output is a regular file being restored: Commit puts it in place with
// its metadata, Abort leaves nothing of it.
type Output interface {
	io.Writer
	Commit() error
	Abort() error
}

// RestoreOptions say what to restore.
type RestoreOptions struct {
	Store      Reader
	Secret     []byte
	AllowNoMDC bool      // accept OpenPGP messages without integrity protection
	Time       time.Time // the state to restore; zero for the latest
	Target     Target
	Scratch    string                 // directory for scratch files
	Selected   func(path string) bool // nil restores everything
	Parallel   int                    // volumes fetched at once; 0 is one
	Report     Reporter
	Clock      func() time.Time
}

// Restored is what a restore did.
type Restored struct {
	Time     time.Time // of the state restored
	Sets     int
	Files    int64
	Bytes    int64 // of content written
	Fetched  int64 // stored bytes of the volumes read
	Volumes  int
	Elapsed  time.Duration
	Warnings int64
	Lost     int64 // files that could not be restored
}

// A restorer is one restore under way.
type restorer struct {
	fetcher
	RestoreOptions
	report *counted
	opener *seal.Opener
	sets   []*collection.Set
	plan   *restorePlan
	dir    string
	fits   bool // the secret: it has opened something
	out    Restored
	deltas *os.File // deltas of files whose base is still to come: see pending.go
	copy   []byte

	writers      *writers
	files, bytes atomic.Int64 // written so far
}

// Restore makes the tree as it was at a set of the newest chain that reaches
// to the time. Damage costs the files it is in: they are reported, the rest
// is restored, and Restored.Lost says how many.
func Restore(ctx context.Context, o RestoreOptions) (*Restored, error) {
	started := o.Clock()
	r := &restorer{RestoreOptions: o, report: &counted{Reporter: o.Report}, opener: seal.NewOpener(o.Secret, seal.OpenOptions{AllowNoMDC: o.AllowNoMDC})}
	if r.Selected == nil {
		r.Selected = func(string) bool { return true }
	}
	if err := r.choose(ctx); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Scratch, "tklbam-restore-")
	if err != nil {
		return nil, fmt.Errorf("make scratch directory: %w", err)
	}
	defer os.RemoveAll(dir)
	r.dir, r.fetcher = dir, fetcher{o.Store, dir, o.Parallel}
	err = r.run(ctx)
	r.out.Files, r.out.Bytes = r.files.Load(), r.bytes.Load()
	r.out.Warnings, r.out.Lost = r.report.warnings.Load(), r.report.lost.Load()
	r.out.Elapsed = o.Clock().Sub(started)
	return &r.out, err
}

// choose finds the sets that make up the state asked for.
func (r *restorer) choose(ctx context.Context) error {
	coll, err := collect(ctx, r.Store)
	if err != nil {
		return err
	}
	at := r.Time
	if at.IsZero() {
		at = time.Unix(filename.LastSecond, 0)
	}
	point, err := coll.At(at)
	if err != nil {
		r.strays(coll, time.Time{}, at)
		return err
	}
	r.strays(coll, point.Time(), at)
	for _, text := range point.Damage() {
		r.report.Problem(Problem{Err: errors.New(text)})
	}
	r.sets = pointers(point.Sets())
	r.out.Time, r.out.Sets = r.sets[len(r.sets)-1].End, len(r.sets)
	return nil
}

func (r *restorer) run(ctx context.Context) error {
	r.report.Phase("reading signatures")
	if err := r.makePlan(ctx); err != nil {
		return err
	}
	defer r.plan.close()
	if err := r.room(); err != nil {
		return err
	}
	r.report.Phase("restoring")
	r.report.Total(r.plan.files, r.plan.bytes)
	if err := r.contents(ctx); err != nil {
		return err
	}
	if err := r.hardLinks(); err != nil {
		return err
	}
	return r.directories()
}

// room checks that what the plan knows to come fits.
func (r *restorer) room() error {
	free, err := r.Target.Free()
	if err != nil {
		return err
	}
	if uint64(r.plan.bytes) > free {
		return &NoSpaceError{Where: "where the tree goes", Need: r.plan.bytes, Free: int64(free)}
	}
	return nil
}

// makePlan reads the signature files of all sets and merges them.
func (r *restorer) makePlan(ctx context.Context) error {
	r.plan = newPlan(r.dir, len(r.sets))
	var layers []state.Stream
	for i, set := range r.sets {
		f, err := r.layer(ctx, set, i)
		if err != nil {
			return err
		}
		defer f.Close()
		s, err := state.NewReader(f)
		if err != nil {
			return err
		}
		layers = append(layers, s)
	}
	p := &planner{plan: r.plan, selected: r.Selected, target: r.Target, report: r.report}
	return p.run(layers)
}

// layer writes a set's items to a scratch file and opens it. A set whose
// signature file is missing or damaged still tells them by its volumes.
func (r *restorer) layer(ctx context.Context, set *collection.Set, ordinal int) (*os.File, error) {
	path := filepath.Join(r.dir, fmt.Sprintf("layer-%d", ordinal))
	err := errors.New("the signature file is missing")
	if set.Signatures != nil {
		err = writeScratch(path, func(w *state.Writer) error {
			plain, err := openStored(ctx, r.Store, r.opener, set.Signatures.Name)
			if err != nil {
				return err
			}
			return errors.Join(named(set.Signatures.Name, readSigtar(plain, ordinal, w, nil)), plain.Close())
		})
	}
	if err != nil {
		if r.hopeless(ctx, err) {
			return nil, err
		}
		r.report.Problem(Problem{Err: fmt.Errorf("set of %s: %w: reading all its volumes instead", set.End.Format(time.RFC3339), err)})
		err = writeScratch(path, func(w *state.Writer) error { return r.layerOfVolumes(ctx, set, ordinal, w) })
	}
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// layerOfVolumes reads what a set tells by its volumes alone. Volumes that
// can't be read are passed over here; reading them for content reports them.
func (r *restorer) layerOfVolumes(ctx context.Context, set *collection.Set, ordinal int, w *state.Writer) error {
	vols, err := r.volumes(ctx, set, nil)
	if err != nil {
		return err
	}
	last := ""
	for f := range r.prefetch(ctx, vols, set) {
		if err = nil; f.err == nil {
			var plain io.ReadCloser
			if plain, err = f.unsealed(r.opener); err == nil {
				last, err = readVolume(plain, ordinal, last, w)
				plain.Close()
			}
		}
		f.close()
		if err := errors.Join(f.err, named(f.name, err)); err != nil {
			r.report.Problem(Problem{Err: fmt.Errorf("%w: the files in it are not known", err), Lost: true})
		}
	}
	return ctx.Err()
}

func writeScratch(path string, fill func(*state.Writer) error) error {
	return writeFile(path, func(f io.Writer) error {
		w := state.NewWriter(f)
		return errors.Join(fill(w), w.Close())
	})
}

// hardLinks makes the links once the files they name are there.
func (r *restorer) hardLinks() error {
	links, err := r.plan.links.open()
	return each(links, err, func(item *state.Item) error {
		if err := r.Target.Link(&item.Entry, item.HardLink); err != nil {
			return lost(r.report, item.Path, fmt.Errorf("link to %q: %w", item.HardLink, err))
		}
		r.files.Add(1)
		r.report.Add(1, 0, 0)
		return nil
	})
}

// directories gives directories their metadata, each after all below it, for
// a mode may shut the way there.
func (r *restorer) directories() error {
	var open []archive.Entry
	leave := func(path string, all bool) error {
		for len(open) > 0 && (all || !archive.Within(path, open[len(open)-1].Path)) {
			e := open[len(open)-1]
			open = open[:len(open)-1]
			if err := r.Target.SetDirMeta(&e); err != nil {
				if err := lost(r.report, e.Path, err); err != nil {
					return err
				}
			}
		}
		return nil
	}
	dirs, err := r.plan.dirs.open()
	err = each(dirs, err, func(item *state.Item) error {
		err := leave(item.Path, false)
		open = append(open, item.Entry)
		return err
	})
	if err != nil {
		return err
	}
	return leave("", true)
}

// each calls fn for every item of a stream.
func each(s state.Stream, err error, fn func(*state.Item) error) error {
	for err == nil {
		var item *state.Item
		if item, err = s.Next(); err == nil {
			err = fn(item)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
