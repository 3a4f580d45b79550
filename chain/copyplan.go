package chain

import (
	"fmt"
	"slices"
	"time"

	"tklbam/chain/collection"
)

// A CopyPlan says what a copy does with every set of its source.
type CopyPlan struct {
	Sets  []*CopySet // in the order of time
	Notes []string   // what is passed over, as sentences
}

// A CopySet is what a copy does with one set.
type CopySet struct {
	Set     *collection.Set
	Reason  string     // why it is copied, or why not, as a sentence about "it"
	Files   []CopyFile // what the target may lack, in the order of storing
	Refused bool       // copying it would harm what the target holds

	// Confirm is set when the target has the set's manifest, by name and
	// size: that it is the same one is to be made sure of.
	Confirm bool

	base *CopySet // what it builds on; nil for a full set
}

// A CopyFile is a file that the target does not have, or has under this name
// and in this size without a manifest that would vouch for it.
type CopyFile struct {
	collection.File
	Volume int  // its number; 0 for signatures and manifest
	Held   bool // there is such a file: it is stored if it is not the same

	suffix string // of a volume
}

// Total returns what is to be stored, but for files that are held.
func (p *CopyPlan) Total() (files, bytes int64) {
	for _, s := range p.Sets {
		for _, f := range s.Files {
			if !f.Held {
				files++
				bytes += f.Size
			}
		}
	}
	return files, bytes
}

// A copyKey identifies a session: the files of two that agree in it have the
// same names.
type copyKey struct {
	full       bool
	start, end time.Time
}

func copyKeyOf(s *collection.Set) copyKey { return copyKey{s.Full, s.Start, s.End} }

type copyPlanner struct {
	plan   *CopyPlan
	mirror bool
	ours   map[copyKey]*collection.Set
	theirs map[copyKey]*collection.Set
	held   map[string]int64        // sizes of the target's files
	next   map[time.Time][]copyKey // the target's complete incremental sets, by what they build on
}

// PlanCopy decides what has to be stored in a target, which holds what to
// says, for the chains that from has. Of a mirror (see CopyOptions) unfinished
// sets are copied too, and what is there by name and size is not confirmed.
func PlanCopy(from, to *collection.Collection, mirror bool) *CopyPlan {
	p := copyPlanner{
		plan: &CopyPlan{Notes: passedOver(from, mirror)}, mirror: mirror,
		ours: map[copyKey]*collection.Set{}, theirs: map[copyKey]*collection.Set{},
		held: map[string]int64{}, next: map[time.Time][]copyKey{},
	}
	for _, s := range allSets(from) {
		p.ours[copyKeyOf(s)] = s
	}
	p.note(to)
	for i := range from.Chains {
		var base *CopySet
		for _, s := range pointers(from.Chains[i].Sets()) {
			base = p.add(s, base)
		}
	}
	for i := range from.Incomplete {
		if mirror {
			p.add(&from.Incomplete[i].Set, nil)
		}
	}
	slices.SortStableFunc(p.plan.Sets, func(a, b *CopySet) int { return a.Set.End.Compare(b.Set.End) })
	return p.plan
}

// allSets returns the sets of a collection in whatever state.
func allSets(c *collection.Collection) []*collection.Set {
	var all []*collection.Set
	for i := range c.Chains {
		all = append(all, pointers(c.Chains[i].Sets())...)
	}
	for _, list := range [][]collection.Stray{c.Incomplete, c.Orphans} {
		for i := range list {
			all = append(all, &list[i].Set)
		}
	}
	return all
}

// passedOver tells of what is in no chain.
func passedOver(c *collection.Collection, mirror bool) (notes []string) {
	strays := c.Orphans
	if !mirror {
		strays = slices.Concat(c.Incomplete, c.Orphans)
	}
	for i := range strays {
		notes = append(notes, fmt.Sprintf("the %s is not copied: %s", &strays[i].Set, strays[i].Reason))
	}
	for _, l := range c.Leftovers {
		notes = append(notes, fmt.Sprintf("%s is not copied: %s", l.File.Name, l.Reason))
	}
	if n := len(c.Foreign); n > 0 {
		notes = append(notes, fmt.Sprintf("%d files that are no backup chain's are not copied", n))
	}
	return notes
}

// note takes up what the target holds.
func (p *copyPlanner) note(to *collection.Collection) {
	for _, s := range allSets(to) {
		p.theirs[copyKeyOf(s)] = s
		for _, f := range s.Files() {
			p.held[f.Name] = f.Size
		}
		if s.Complete() && !s.Full {
			p.next[s.Start] = append(p.next[s.Start], copyKeyOf(s))
		}
	}
	for _, l := range to.Leftovers {
		p.held[l.File.Name] = l.File.Size
	}
}

// holds reports whether the target has a file of that name and size.
func (p *copyPlanner) holds(f collection.File) bool {
	size, ok := p.held[f.Name]
	return ok && size == f.Size
}

func (p *copyPlanner) add(set *collection.Set, base *CopySet) *CopySet {
	s := &CopySet{Set: set, base: base}
	p.plan.Sets = append(p.plan.Sets, s)
	theirs := p.theirs[copyKeyOf(set)]
	if set.Manifest == nil && theirs != nil && theirs.Complete() {
		s.Reason = "the target has it complete"
		return s
	}
	committed := set.Manifest != nil && p.holds(*set.Manifest)
	p.compare(s, committed)
	s.Confirm = committed && (!p.mirror || len(s.Files) > 0)
	switch why := p.refusal(s, theirs); {
	case why != "":
		s.Refused, s.Reason, s.Files = true, why, nil
	case len(s.Files) == 0:
		s.Reason = "the target has it"
	case committed:
		s.Reason = fmt.Sprintf("the target lost %d of its files", len(s.Files))
	case theirs != nil:
		s.Reason = "the target has a part of it"
	default:
		s.Reason = "the target does not have it"
	}
	return s
}

// compare lists the files that the target may lack. A set's manifest is
// stored when all else is there: under one, names and sizes are enough.
func (p *copyPlanner) compare(s *CopySet, committed bool) {
	for i, f := range s.Set.Files() {
		c := CopyFile{File: f, Held: p.holds(f)}
		if i < len(s.Set.Volumes) {
			c.Volume, c.suffix = s.Set.Volumes[i].Number, s.Set.Volumes[i].Suffix
		}
		if !c.Held || !committed {
			s.Files = append(s.Files, c)
		}
	}
}

const anotherBackup = "the target holds another backup of that time"

// refusal says what forbids copying a set, "" if nothing does. Readers link
// sets by time alone: one that is stored beside or on top of another's would
// make a chain of both.
func (p *copyPlanner) refusal(s *CopySet, theirs *collection.Set) string {
	there := theirs != nil && theirs.Complete()
	switch {
	case there && (theirs.Manifest.Name != s.Set.Manifest.Name || theirs.Manifest.Size != s.Set.Manifest.Size):
		return anotherBackup
	case s.base != nil && s.base.Refused && len(s.Files) > 0:
		return "the backup it builds on can't be copied"
	case !there && !p.mirror && s.Set.Manifest != nil && p.rivalled(s.Set):
		return "the target has another backup on top of the one it builds on"
	}
	return ""
}

// rivalled reports whether the target goes on from where an incremental set
// starts with one that the source does not have.
func (p *copyPlanner) rivalled(s *collection.Set) bool {
	return slices.ContainsFunc(p.next[s.Start], func(k copyKey) bool { return p.ours[k] == nil })
}
