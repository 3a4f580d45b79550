// Package collection makes sets and chains out of the names in a storage
// location, and decides from them: full or incremental backup, what a restore
// needs, what cleanup deletes. It sees names and sizes only; whether a
// manifest's volumes are all there is answered with the manifest at hand.
//
// The rules follow Duplicity's dup_collections module; where they depart from
// it, to delete less or to trust less, the comment says so.
package collection

import (
	"cmp"
	"slices"
	"time"

	"tklbam/chain/filename"
)

// A File is one entry of a listing.
type File struct {
	Name string
	Size int64 // bytes
}

// Prefixes are what the names of the collection's files begin with, by kind:
// Duplicity's --file-prefix options. The zero value is what Duplicity uses
// without them. Names with other prefixes are foreign, since several
// collections can share a location that way.
type Prefixes struct {
	Volume, Manifest, Signatures string
}

func (p Prefixes) of(kind filename.Kind) string {
	switch kind {
	case filename.Volume:
		return p.Volume
	case filename.Manifest:
		return p.Manifest
	}
	return p.Signatures
}

// A Collection is a listing sorted out. Every name of the listing is in one
// place: in a set of Chains, Incomplete or Orphans, in Leftovers or in
// Foreign. The order of the listing has no influence.
type Collection struct {
	Chains     []Chain    // by end time, the newest last
	Incomplete []Stray    // sets without a manifest, by end time
	Orphans    []Stray    // complete incremental sets that are in no chain, by end time
	Leftovers  []Leftover // by time
	Foreign    []string   // names of no concern here; never touched

	// OtherPrefixes lists the prefixes, sorted, of the foreign names that are
	// some collection's: what Prefixes might have to say.
	OtherPrefixes []string
}

// A Stray is a set that no restore uses.
type Stray struct {
	Set    Set
	Reason string // what is wrong with it, as a sentence about "it"

	// Removable is set when nothing can be lost with the set: its session did
	// not finish, or what it builds on is gone. Cleanup leaves others alone.
	Removable bool
}

// A Leftover is a single file that belongs to no set or that its set does not
// use.
type Leftover struct {
	File      File
	Time      time.Time // of its session
	Reason    string    // as in Stray
	Removable bool      // as in Stray
}

// New sorts out a listing. A name that is listed twice counts once, with the
// larger size.
func New(files []File, prefixes Prefixes) *Collection {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(b.Size, a.Size))
	})
	files = slices.CompactFunc(files, func(a, b File) bool { return a.Name == b.Name })

	c := &Collection{}
	var l linker
	var incomplete []Set
	for _, s := range c.sessions(files, prefixes) {
		switch set := s.set(); {
		case set.Complete():
			l.add(set)
		case len(set.Volumes) > 0:
			incomplete = append(incomplete, set)
		default:
			c.addSignatures(s)
		}
	}
	c.addChains(l.chains)
	c.addStrays(l.orphans, incomplete)
	slices.SortFunc(c.Leftovers, func(a, b Leftover) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.File.Name, b.File.Name))
	})
	return c
}

// sessions gathers the files of each session, in the order of linking, and
// sets aside the files that a name alone disqualifies.
func (c *Collection) sessions(files []File, prefixes Prefixes) []*session {
	byKey := make(map[sessionKey]*session)
	for _, f := range files {
		n, err := filename.Parse(f.Name)
		switch {
		case err != nil:
			c.Foreign = append(c.Foreign, f.Name)
		case n.Prefix != prefixes.of(n.Kind):
			c.Foreign = append(c.Foreign, f.Name)
			c.OtherPrefixes = append(c.OtherPrefixes, n.Prefix)
		case n.Partial:
			c.leave(f, n.End, "it was not written to its end", true)
		default:
			key := keyOf(n)
			if byKey[key] == nil {
				byKey[key] = newSession(n)
			}
			byKey[key].add(candidate{f, n})
		}
	}
	slices.Sort(c.OtherPrefixes)
	c.OtherPrefixes = slices.Compact(c.OtherPrefixes)
	return inOrder(byKey)
}

func (c *Collection) leave(f File, t time.Time, reason string, removable bool) {
	c.Leftovers = append(c.Leftovers, Leftover{f, t, reason, removable})
}

// leaveSpares moves the second copies of a set's files to the leftovers. They
// go when the set goes.
func (c *Collection) leaveSpares(s *Set, removable bool) {
	for _, f := range s.spares {
		c.leave(f, s.End, "the "+s.String()+" has the same file under another name, which is used", removable)
	}
	s.spares = nil
}

func (c *Collection) addSignatures(s *session) {
	for _, f := range s.signatures {
		c.leave(f.File, s.end, "the backup whose signatures it holds is not here", true)
	}
}

func (c *Collection) addChains(chains []*Chain) {
	for _, ch := range chains {
		c.leaveSpares(&ch.Full, false)
		for i := range ch.Incs {
			c.leaveSpares(&ch.Incs[i], false)
		}
		c.Chains = append(c.Chains, *ch)
	}
	slices.SortFunc(c.Chains, func(a, b Chain) int {
		return cmp.Or(a.End().Compare(b.End()), a.Start().Compare(b.Start()))
	})
}

// Newest returns the latest session time that any file of the collection
// carries, whatever its state; zero when there is none. A new session has to
// be later (see NextTime).
func (c *Collection) Newest() time.Time {
	var newest time.Time
	later := func(t time.Time) {
		if t.After(newest) {
			newest = t
		}
	}
	for i := range c.Chains {
		later(c.Chains[i].End())
	}
	for _, s := range slices.Concat(c.Incomplete, c.Orphans) {
		later(s.Set.End)
	}
	for _, f := range c.Leftovers {
		later(f.Time)
	}
	return newest
}
