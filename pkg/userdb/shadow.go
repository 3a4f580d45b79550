package userdb

import "strings"

const (
	shadowed = "x" // in the public file: the password is in the shadow file
	locked   = "!" // in the shadow file: no password is right
)

// shadow merges the shadow file that belongs to u, in its order. Lines of this
// system without an entry in the public file follow at the end; such lines of
// the backup are left out.
func (m *merger) shadow(kind Kind, u *union, backup, system []byte) []byte {
	if system == nil {
		return nil
	}
	old, here := m.table(kind, Backup, backup), m.table(kind, System, system)
	var lines []*entry
	done := make(map[string]bool)
	for _, e := range u.members {
		done[e.name()] = true
		if line := m.shadowLine(e, old, here); line != nil {
			lines = append(lines, line)
		}
	}
	for _, e := range here.entries {
		switch there := u.system.byName[e.name()]; {
		case there != nil && !there.madeUp:
		case done[e.name()]:
			m.plan.note(kind.String(), System, e.line, e.name(), "it had no entry in "+u.old.kind.String()+": replaced")
		default:
			lines = append(lines, e)
		}
	}
	for _, e := range old.entries {
		if u.old.byName[e.name()] == nil {
			m.plan.note(kind.String(), Backup, e.line, e.name(), "it has no entry in "+u.old.kind.String()+leftOut)
		}
	}
	return here.format(lines)
}

// shadowLine returns the line of one entry, nil if there is to be none.
func (m *merger) shadowLine(e *member, old, here *table) *entry {
	if e.system == nil {
		return m.addedLine(e, old)
	}
	line := here.byName[e.system.name()]
	if line == nil {
		return nil
	}
	line = line.clone()
	line.fields[nameField] = e.name()
	if here.kind == GShadow {
		addMembers(line, e.joined)
	}
	return line
}

// addedLine returns the shadow line of an entry that this system did not have.
// Its public password, if that is one, counts like on the backup's system.
func (m *merger) addedLine(e *member, old *table) *entry {
	password := e.fields[passwordField]
	e.fields[passwordField] = shadowed
	line := old.byName[e.name()]
	switch {
	case e.old == nil:
		return newShadow(old.kind, e, locked)
	case password != shadowed:
		m.plan.note(old.kind.String(), Backup, 0, e.name(), "its password was in the public file: moved here")
		return newShadow(old.kind, e, password)
	case line == nil:
		m.plan.note(old.kind.String(), Backup, 0, e.name(), "it has no usable line: the account is locked")
		return newShadow(old.kind, e, locked)
	}
	return line
}

func newShadow(kind Kind, e *member, password string) *entry {
	n, _ := kind.fields()
	line := &entry{fields: make([]string, n)}
	line.fields[nameField], line.fields[passwordField] = e.name(), password
	if kind == GShadow {
		line.fields[membersField] = strings.Join(memberList(e.entry), ",")
	}
	return line
}
