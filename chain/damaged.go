package chain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"tklbam/chain/collection"
	"tklbam/chain/manifest"
	"tklbam/chain/seal"
	"tklbam/chain/state"
)

// hopeless reports whether an error with one file of the chain ends the
// restore. A file that the secret does not open is only damaged if the secret
// opens another.
func (r *restorer) hopeless(ctx context.Context, err error) bool {
	if errors.Is(err, ErrWrongSecret) {
		return !r.secretFits(ctx)
	}
	return fatal(err) || errors.Is(err, seal.ErrNoMDC)
}

// secretFits tries the secret on a few files of the chain: not on all, for
// each can take a second.
func (r *restorer) secretFits(ctx context.Context) bool {
	if !r.fits {
		first, last := r.sets[0], r.sets[len(r.sets)-1]
		r.fits = slices.ContainsFunc([]*collection.File{first.Manifest, last.Manifest, first.Signatures}, func(f *collection.File) bool {
			return f != nil && r.opens(ctx, f.Name)
		})
	}
	return r.fits
}

// opens reports whether there is no word of a wrong secret when a file is
// opened. An envelope has none at all where it is damaged before that.
func (r *restorer) opens(ctx context.Context, name string) bool {
	plain, err := openStored(ctx, r.Store, r.opener, name)
	if err != nil {
		return false
	}
	_, err = io.CopyN(io.Discard, plain, 1)
	plain.Close()
	return err == nil
}

// volumes returns the volumes of a set that hold any of the files. Without a
// manifest that can be relied on they are all the volumes there are: then the
// envelopes and the digests of the files are what tells that they are right.
func (r *restorer) volumes(ctx context.Context, set *collection.Set, files state.Stream) ([]manifest.Volume, error) {
	m, err := readManifest(ctx, r.Store, r.opener, set)
	if err == nil {
		err = named(set.Manifest.Name, m.Check())
	}
	if err == nil {
		return volumesFor(m, files)
	}
	if r.hopeless(ctx, err) {
		return nil, err
	}
	r.report.Problem(Problem{Err: fmt.Errorf("%w: reading all volumes of the %s instead", err, set), Lost: true})
	var all []manifest.Volume
	for _, v := range set.Volumes {
		all = append(all, manifest.Volume{Number: v.Number})
	}
	return all, nil
}

// strays reports the sets between two times that would be in the state asked
// for if they were in a chain. Those that once were complete are lost; others
// are of sessions that did not finish.
func (r *restorer) strays(coll *collection.Collection, after, until time.Time) {
	list := slices.Concat(coll.Incomplete, coll.Orphans)
	slices.SortStableFunc(list, func(a, b collection.Stray) int { return cmp.Compare(a.Set.End.Unix(), b.Set.End.Unix()) })
	for _, s := range list {
		if s.Set.End.After(after) && !s.Set.End.After(until) {
			r.report.Problem(Problem{
				Err:  fmt.Errorf("the %s is not usable: %s", s.Set.String(), s.Reason),
				Lost: s.Set.Complete() || !s.Removable,
			})
		}
	}
}
