package userdb

import (
	"fmt"
	"maps"
	"slices"
)

// An IDMap maps ids of the backup to ids of the merged files. It holds those
// that change; an id that it does not hold stays as it is.
type IDMap map[int]int

// Map returns what id becomes.
func (m IDMap) Map(id int) int {
	if to, ok := m[id]; ok {
		return to
	}
	return id
}

// A span is a range of ids, both ends included, within which an entry whose
// id is taken gets another.
type span struct{ first, last int }

func (s span) String() string { return fmt.Sprintf("%d-%d", s.first, s.last) }

// spanOf returns the range for an entry that had id. Ids over 65533 have no
// range of their own: 65534 is nobody, and what is above belongs to
// directories (LDAP) and containers, so an entry that has to leave such an id
// becomes an ordinary one.
func spanOf(id int) span {
	switch {
	case id < 100:
		return span{1, 99}
	case id < 1000:
		return span{100, 999}
	}
	return span{1000, 65533}
}

// An allocator hands out free ids, lowest first.
type allocator struct {
	taken map[int]bool
	next  map[span]int // no id of the range below it is free
}

func (a *allocator) take(t *table) {
	for id := range t.owners {
		a.taken[id] = true
	}
}

func (a *allocator) id(s span) (int, error) {
	id := max(a.next[s], s.first)
	for a.taken[id] {
		id++
	}
	a.next[s] = id
	if id > s.last {
		return 0, fmt.Errorf("no id from %s is free", s)
	}
	a.taken[id] = true
	return id, nil
}

// A target is what becomes of an id of the backup, and of all names that
// share it there.
type target struct {
	id     int
	reason string
}

// resolve finds a target for every id of the backup's entries. Targets are ids
// that are taken on the system only where a name on both sides brings that
// about.
func resolve(old, system *table) (map[int]target, error) {
	classes := old.classes()
	spare := allocator{taken: make(map[int]bool), next: make(map[span]int)}
	spare.take(old)
	spare.take(system)
	targets := make(map[int]target, len(classes))
	for _, id := range order(classes) {
		class := classes[id]
		if e := common(class, system); e != nil {
			targets[id] = target{e.id, fmt.Sprintf("the id of %q on this system", e.name())}
			continue
		}
		owner, taken := system.owners[id]
		if !taken {
			targets[id] = target{id, "only in the backup, its id is free"}
			continue
		}
		free, err := spare.id(spanOf(id))
		if err != nil {
			return nil, fmt.Errorf("find another id for %q, whose id %d is taken on this system: %w", class[0].name(), id, err)
		}
		targets[id] = target{free, fmt.Sprintf("id %d belongs to %q on this system", id, owner)}
	}
	return targets, nil
}

// order returns the ids in the order in which they get others where they must:
// single names before aliases, then the highest first.
func order(classes map[int][]*entry) []int {
	ids := slices.Sorted(maps.Keys(classes))
	slices.Reverse(ids)
	slices.SortStableFunc(ids, func(a, b int) int {
		return min(len(classes[a]), 2) - min(len(classes[b]), 2)
	})
	return ids
}

// common returns the system's entry that decides for a class of the backup:
// one that has the same id there, else the first name that is there at all.
func common(class []*entry, system *table) *entry {
	var found *entry
	for _, e := range class {
		switch there := system.byName[e.name()]; {
		case there == nil:
		case there.id == e.id:
			return there
		case found == nil:
			found = there
		}
	}
	return found
}

// idMap returns what changes. A name that the backup has several times keeps
// one entry; the ids of the others lead there too.
func idMap(old *table, targets map[int]target) IDMap {
	m := make(IDMap)
	for id, t := range targets {
		if id != t.id {
			m[id] = t.id
		}
	}
	for _, e := range old.repeated {
		_, first := targets[e.id]
		_, second := m[e.id]
		to := targets[old.byName[e.name()].id].id
		if !first && !second && to != e.id {
			m[e.id] = to
		}
	}
	return m
}
