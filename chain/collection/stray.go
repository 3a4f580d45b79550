package collection

import (
	"cmp"
	"slices"
)

// bases tells what there is for a set to build on, by end time in Unix
// seconds.
type bases struct {
	inChain    map[int64]bool
	incomplete map[int64]bool
	orphans    map[int64]bool // true: removable
}

func newBases(chains []Chain, incomplete []Set) bases {
	b := bases{make(map[int64]bool), make(map[int64]bool), make(map[int64]bool)}
	for i := range chains {
		for _, s := range chains[i].Sets() {
			b.inChain[s.End.Unix()] = true
		}
	}
	for _, s := range incomplete {
		b.incomplete[s.End.Unix()] = true
	}
	return b
}

// addOrphan makes o known. Of two with the same end the one that stays counts.
func (b *bases) addOrphan(o orphan, removable bool) {
	end := o.set.End.Unix()
	if known, ok := b.orphans[end]; !ok || known {
		b.orphans[end] = removable
	}
}

// addStrays explains the sets that are in no chain and decides which of them
// can go. Duplicity's cleanup deletes them all. Here two kinds stay, because
// somebody may still want their content: sets that lost a fork, and a set that
// was complete once, as is known from the sets that build on it, and whose
// manifest was lost or merely missing from the listing.
func (c *Collection) addStrays(orphans []orphan, incomplete []Set) {
	b := newBases(c.Chains, incomplete)
	// Forks are noticed late: back into order, for what builds on them.
	slices.SortStableFunc(orphans, func(a, b orphan) int {
		return cmp.Or(a.set.End.Compare(b.set.End), a.set.Start.Compare(b.set.Start))
	})
	builtOn := make(map[int64]bool)
	for _, o := range orphans {
		reason, removable := b.explain(o)
		b.addOrphan(o, removable)
		if o.reason == "" {
			builtOn[o.set.Start.Unix()] = true
		}
		c.leaveSpares(&o.set, removable)
		c.Orphans = append(c.Orphans, Stray{o.set, reason, removable})
	}
	for _, s := range incomplete {
		reason, removable := "its manifest is missing: the session did not finish", true
		if builtOn[s.End.Unix()] {
			reason, removable = "its manifest was lost: later backups build on it", false
		}
		c.leaveSpares(&s, removable)
		c.Incomplete = append(c.Incomplete, Stray{s, reason, removable})
	}
}

// explain says why a set is in no chain, and whether it can go.
func (b *bases) explain(o orphan) (reason string, removable bool) {
	start := o.set.Start.Unix()
	base := "the backup of " + stamp(o.set.Start) + ", on which it builds, "
	switch removableBase, isOrphan := b.orphans[start]; {
	case o.reason != "":
		return o.reason, true
	case o.rival != nil:
		return base + "is continued by the newer " + o.rival.String() + " instead", false
	case b.inChain[start]:
		return base + "is continued by another one instead", false
	case b.incomplete[start]:
		return base + "has no manifest", false
	case isOrphan:
		return base + "is in no chain itself", removableBase
	}
	return base + "is not here", true
}
