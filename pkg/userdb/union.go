package userdb

import (
	"cmp"
	"slices"
)

// A union is the users or the groups of both sides under their new ids.
type union struct {
	old, system *table
	shadowed    bool // this system keeps passwords in a shadow file
	targets     map[int]target
	ids         IDMap
	members     []*member // sorted by id
}

// A member is an entry of a union, with the entries it was made from. Those
// that are made up don't count.
type member struct {
	*entry
	old, system *entry
	joined      []string // members that a group of this system gains
}

// renamed reports whether m is an entry of this system that had to give its
// name away.
func (m *member) renamed() bool {
	return m.system != nil && m.system.name() != m.name()
}

// unite merges what the tables say about ids, names and fields. Entries of the
// tables are not changed.
func unite(old, system *table, shadowed bool) (*union, error) {
	targets, err := resolve(old, system)
	if err != nil {
		return nil, err
	}
	u := &union{old: old, system: system, shadowed: shadowed, targets: targets, ids: idMap(old, targets)}
	taken := make(map[string]bool)
	for _, e := range system.entries {
		u.addHere(e, taken)
	}
	for _, e := range old.entries {
		if system.byName[e.name()] == nil {
			u.add(e, u.targets[e.id].id, e, nil)
		}
	}
	slices.SortStableFunc(u.members, func(a, b *member) int { return cmp.Compare(a.id, b.id) })
	return u, nil
}

// add adds a copy of e under an id. The sources of it may be made up, or nil.
func (u *union) add(e *entry, id int, old, system *entry) *member {
	m := &member{entry: e.clone()}
	m.setID(id)
	if old != nil && !old.madeUp {
		m.old = old
	}
	if system != nil && !system.madeUp {
		m.system = system
	}
	u.members = append(u.members, m)
	return m
}

// addHere adds an entry of this system, in the backup's words if it is there
// too, and once more under another name if it can't keep its id. taken has
// the names given out that way.
func (u *union) addHere(e *entry, taken map[string]bool) {
	old := u.old.byName[e.name()]
	if old == nil {
		u.add(e, e.id, nil, e)
		return
	}
	id, source := u.targets[old.id].id, old
	if old.madeUp {
		source = e
	}
	m := u.add(source, id, old, e)
	if u.shadowed && m.system != nil {
		m.fields[passwordField] = e.fields[passwordField]
	}
	if id != e.id && !e.madeUp {
		kept := u.add(e, e.id, nil, e)
		kept.fields[nameField] = u.spareName(e.name(), taken)
	}
}

// spareName returns the name with as many _orig behind it as nobody else has.
func (u *union) spareName(name string, taken map[string]bool) string {
	for {
		name += "_orig"
		if u.old.byName[name] == nil && u.system.byName[name] == nil && !taken[name] {
			taken[name] = true
			return name
		}
	}
}

// bytes returns the merged file.
func (u *union) bytes() []byte {
	entries := make([]*entry, len(u.members))
	for i, m := range u.members {
		entries[i] = m.entry
	}
	return u.system.format(entries)
}

// steps returns what the merge does, in the order of the file.
func (u *union) steps() []Step {
	var steps []Step
	for _, m := range u.members {
		steps = append(steps, u.step(m)...)
	}
	return steps
}
