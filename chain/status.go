package chain

import (
	"context"
	"errors"
	"fmt"

	"tklbam/chain/collection"
	"tklbam/chain/manifest"
	"tklbam/chain/seal"
)

// List tells what a target holds, by the names of its files alone.
func List(ctx context.Context, store Reader) (*collection.Collection, error) {
	return collect(ctx, store)
}

// Check adds to the damage of every set of a chain what its manifest tells:
// volumes it lists that the target does not have, and that the manifest
// itself can't be read. A wrong secret is an error.
func Check(ctx context.Context, store Reader, coll *collection.Collection, secret []byte) error {
	opener := seal.NewOpener(secret, seal.OpenOptions{AllowNoMDC: true})
	for i := range coll.Chains {
		c := &coll.Chains[i]
		sets := []*collection.Set{&c.Full}
		for j := range c.Incs {
			sets = append(sets, &c.Incs[j])
		}
		for _, s := range sets {
			m, err := readManifest(ctx, store, opener, s)
			if err != nil && (fatal(err) || errors.Is(err, ErrWrongSecret)) {
				return err
			}
			s.Damage = append(s.Damage, missing(s, m, err)...)
		}
	}
	return nil
}

func missing(s *collection.Set, m *manifest.Manifest, err error) (damage []string) {
	if err == nil {
		err = m.Check()
	}
	if err != nil {
		return []string{"its manifest can't be relied on: " + err.Error()}
	}
	for _, n := range s.MissingVolumes(m.Numbers()) {
		damage = append(damage, fmt.Sprintf("volume %d is missing", n))
	}
	return damage
}

// Cleanup deletes what the plan says, and reports each deletion as a note. A
// failure ends it: what remains is still unused, and the next cleanup goes on.
func Cleanup(ctx context.Context, store Store, plan []collection.Deletion, rep Reporter) error {
	for _, d := range plan {
		if err := store.Delete(ctx, d.File.Name); err != nil {
			return err
		}
		rep.Note(fmt.Sprintf("deleted %s: %s", d.File.Name, d.Reason))
	}
	return nil
}
