package collection

import (
	"fmt"
	"slices"
)

// A Deletion is one step of a plan that deletes.
type Deletion struct {
	File   File
	Reason string // as a sentence
}

// Cleanup returns what can be deleted without losing anything that could be
// restored: single leftovers, then sets that are not in a chain, always the
// newest first, so that nothing is ever left without what it builds on. Of a
// set the manifest goes before the signatures and the volumes: whenever the
// deletions stop, what remains of it is an unfinished set, and the next
// cleanup continues.
func (c *Collection) Cleanup() []Deletion {
	var plan []Deletion
	for _, l := range newestFirst(c.Leftovers, func(a, b Leftover) int { return a.Time.Compare(b.Time) }) {
		if l.Removable {
			plan = append(plan, Deletion{l.File, l.Reason})
		}
	}
	strays := slices.Concat(c.Incomplete, c.Orphans)
	for _, s := range newestFirst(strays, func(a, b Stray) int { return a.Set.End.Compare(b.Set.End) }) {
		if !s.Removable {
			continue
		}
		reason := fmt.Sprintf("of the %s: %s", s.Set.String(), s.Reason)
		for _, f := range s.Set.DeletionOrder() {
			plan = append(plan, Deletion{f, reason})
		}
	}
	return plan
}

func newestFirst[T any](list []T, compare func(a, b T) int) []T {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b T) int { return compare(b, a) })
	return list
}

// DeletionOrder returns the set's files in the order in which they have to be
// deleted, the manifest first and the volumes from the last to the first.
func (s *Set) DeletionOrder() []File {
	files := s.Files()
	slices.Reverse(files)
	return files
}
