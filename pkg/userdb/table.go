package userdb

import "slices"

// A table is what a merge sees of a file: its entries by name, and apart from
// them everything that has to be carried along.
type table struct {
	kind       Kind
	side       Side
	entries    []*entry // the first of each name, in the file's order
	byName     map[string]*entry
	owners     map[int]string // the first name of every id that is in use, also by a repeated line
	repeated   []*entry       // later lines of a name: the system uses the first
	head, tail []string       // lines that are no entries: before the first one, and the others
}

// newTable reads f and notes what is odd about it.
func newTable(f *File, side Side, p *Plan) *table {
	t := &table{kind: f.kind, side: side, byName: make(map[string]*entry), owners: make(map[int]string)}
	for _, l := range f.lines {
		if l.entry == nil {
			t.addOther(l, p)
		} else {
			t.add(l, p)
		}
	}
	return t
}

func (t *table) addOther(l line, p *Plan) {
	fate := t.fate()
	switch {
	case l.fault == faultBlank:
		fate = leftOut
	case len(t.entries) == 0:
		t.head = append(t.head, l.text)
	default:
		t.tail = append(t.tail, l.text)
	}
	p.note(t.kind.String(), t.side, l.number, "", l.fault+fate)
}

const leftOut = ": left out"

// fate says what a merge does with a line that is not among the entries.
func (t *table) fate() string {
	if t.side == Backup {
		return leftOut
	}
	return ": kept as it is"
}

func (t *table) add(l line, p *Plan) {
	name := l.entry.name()
	if l.fault != "" {
		p.note(t.kind.String(), t.side, l.number, name, l.fault)
	}
	if t.byName[name] == nil {
		t.addEntry(l.entry)
		return
	}
	t.repeated = append(t.repeated, l.entry)
	t.own(l.entry)
	p.note(t.kind.String(), t.side, l.number, name, "an earlier line has the name"+t.fate())
}

func (t *table) addEntry(e *entry) {
	t.entries = append(t.entries, e)
	t.byName[e.name()] = e
	t.own(e)
}

func (t *table) own(e *entry) {
	if _, ok := t.owners[e.id]; !ok {
		t.owners[e.id] = e.name()
	}
}

// repairRoot makes up the root entry that a backup or a system must have: from
// the first entry with id 0, or else from nothing but the name. The entry
// takes part in the merge of ids; it does not replace a real one. A file
// without any entry stays so.
func (t *table) repairRoot() {
	if t.byName["root"] != nil || len(t.entries) == 0 {
		return
	}
	root := &entry{fields: []string{"root", "x", "0", ""}}
	if t.kind == Passwd {
		root.fields = []string{"root", "x", "0", "0", "root", "/root", "/bin/sh"}
	}
	if i := slices.IndexFunc(t.entries, func(e *entry) bool { return e.id == 0 }); i >= 0 {
		root = t.entries[i].clone()
		root.fields[nameField] = "root"
	}
	root.madeUp, root.line = true, 0
	t.addEntry(root)
}

// classes returns the entries by id: those of one class are aliases.
func (t *table) classes() map[int][]*entry {
	classes := make(map[int][]*entry, len(t.entries))
	for _, e := range t.entries {
		classes[e.id] = append(classes[e.id], e)
	}
	return classes
}

// format returns a file of entries between the other lines of the table.
func (t *table) format(entries []*entry) []byte {
	var b []byte
	add := func(line string) { b = append(append(b, line...), '\n') }
	for _, line := range t.head {
		add(line)
	}
	for _, e := range entries {
		add(e.text())
	}
	for _, line := range t.tail {
		add(line)
	}
	for _, e := range t.repeated {
		add(e.text())
	}
	return b
}
