package chain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tklbam/chain/collection"
	"tklbam/chain/filename"
	"tklbam/chain/manifest"
	"tklbam/chain/seal"
)

// collect lists the target and sorts it out.
func collect(ctx context.Context, store Reader) (*collection.Collection, error) {
	var files []collection.File
	err := store.List(ctx, func(name string, size int64) error {
		files = append(files, collection.File{Name: name, Size: size})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the target: %w", err)
	}
	return collection.New(files, collection.Prefixes{}), nil
}

// encodingOf tells from a file's name how it is stored.
func encodingOf(name string) (seal.Encoding, error) {
	n, err := filename.Parse(name)
	if err != nil {
		return 0, err
	}
	return seal.ParseSuffix(n.Suffix)
}

// pointers makes sets comparable by identity and cheap to pass.
func pointers(sets []collection.Set) []*collection.Set {
	out := make([]*collection.Set, len(sets))
	for i := range sets {
		out[i] = &sets[i]
	}
	return out
}

func readManifest(ctx context.Context, store Reader, opener *seal.Opener, set *collection.Set) (*manifest.Manifest, error) {
	plain, err := openStored(ctx, store, opener, set.Manifest.Name)
	if err != nil {
		return nil, err
	}
	m, err := manifest.Read(plain)
	if err = errors.Join(err, plain.Close()); err != nil {
		return nil, fmt.Errorf("read manifest %q: %w", set.Manifest.Name, err)
	}
	return m, nil
}

// unfinished returns the set of an interrupted session as the target has it.
func unfinished(c *collection.Collection, at time.Time) *collection.Set {
	for i := range c.Incomplete {
		if c.Incomplete[i].Set.End.Equal(at) {
			return &c.Incomplete[i].Set
		}
	}
	return &collection.Set{}
}

// finished reports whether the target has a complete set of that time.
func finished(c *collection.Collection, at time.Time) bool {
	for i := range c.Chains {
		for _, s := range c.Chains[i].Sets() {
			if s.End.Equal(at) {
				return true
			}
		}
	}
	for i := range c.Orphans {
		if c.Orphans[i].Set.End.Equal(at) {
			return true
		}
	}
	return false
}
