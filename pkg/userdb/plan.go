package userdb

import (
	"fmt"
	"strings"
)

// A Plan says what a merge changes on this system, and why. Everything that it
// does not name stays as it is.
type Plan struct {
	Groups, Users []Step // in the order of the merged file
	Notes         []Note
}

// An Action is what happens to a name.
type Action uint8

// The actions. One name may see several.
const (
	Add    Action = iota + 1 // it comes from the backup
	Remap                    // it is on both sides and keeps this system's id, which is not the backup's
	Rename                   // it is on both sides, and this system's entry is kept under another name
	Update                   // it is on this system and gets fields or members of the backup
	Repair                   // it is root, which neither side had
)

// String returns the action as a verb.
func (a Action) String() string {
	switch a {
	case Add:
		return "add"
	case Remap:
		return "remap"
	case Rename:
		return "rename"
	case Update:
		return "update"
	case Repair:
		return "repair"
	}
	return "unknown action"
}

// A Step is one action.
type Step struct {
	Action Action
	Name   string
	As     string // the new name; Rename only
	From   int    // the id before: in the backup, or here for Rename, Update and Repair
	To     int    // the id in the merged file
	Reason string
}

// String returns the step as a line without a newline.
func (s Step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q", s.Action, s.Name)
	if s.As != "" {
		fmt.Fprintf(&b, " to %q", s.As)
	}
	fmt.Fprintf(&b, " id %d", s.From)
	if s.To != s.From {
		fmt.Fprintf(&b, " to %d", s.To)
	}
	return b.String() + ": " + s.Reason
}

// A Side is where a file comes from.
type Side uint8

// The sides of a merge.
const (
	Backup Side = iota + 1
	System
)

// String returns the side's name for a sentence.
func (s Side) String() string {
	switch s {
	case Backup:
		return "the backup"
	case System:
		return "this system"
	}
	return "unknown side"
}

// A Note is something odd in a file, and what the merge made of it. It holds
// no passwords.
type Note struct {
	File string // "passwd", ...
	Side Side
	Line int    // from 1; 0 when it is about no line
	Name string // "" when the line has none
	Text string
}

// String returns the note as a line without a newline.
func (n Note) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s", n.File, n.Side)
	if n.Line > 0 {
		fmt.Fprintf(&b, ", line %d", n.Line)
	}
	if n.Name != "" {
		fmt.Fprintf(&b, ", %q", n.Name)
	}
	return b.String() + ": " + n.Text
}

func (p *Plan) note(file string, side Side, line int, name, text string) {
	p.Notes = append(p.Notes, Note{file, side, line, name, text})
}

// String returns the plan as lines, "" for one that changes nothing and has
// nothing to note. Names are quoted.
func (p Plan) String() string {
	var b strings.Builder
	for _, s := range p.Groups {
		fmt.Fprintf(&b, "group: %s\n", s)
	}
	for _, s := range p.Users {
		fmt.Fprintf(&b, "user: %s\n", s)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return b.String()
}

// step returns the actions that made m.
func (u *union) step(m *member) []Step {
	switch {
	case m.old == nil && m.system == nil:
		return []Step{{Action: Repair, Name: m.name(), From: m.id, To: m.id, Reason: "neither side has it"}}
	case m.system == nil:
		return []Step{{Action: Add, Name: m.name(), From: m.old.id, To: m.id, Reason: u.targets[m.old.id].reason}}
	case m.renamed():
		reason := fmt.Sprintf("in the backup %q shares its id with other names", m.system.name())
		return []Step{{Action: Rename, Name: m.system.name(), As: m.name(), From: m.id, To: m.id, Reason: reason}}
	}
	var steps []Step
	if m.old != nil && m.old.id != m.id {
		steps = append(steps, Step{Action: Remap, Name: m.name(), From: m.old.id, To: m.id, Reason: u.targets[m.old.id].reason})
	}
	if changed := u.changed(m); changed != "" {
		steps = append(steps, Step{Action: Update, Name: m.name(), From: m.system.id, To: m.id, Reason: changed})
	}
	return steps
}

// fieldNames are the names of the fields, for people.
func (k Kind) fieldNames() []string {
	if k == Passwd {
		return []string{"name", "password", "id", "primary group", "comment", "home directory", "shell"}
	}
	return []string{"name", "password", "id", "members"}
}

// changed says which fields of an entry of this system get another value.
func (u *union) changed(m *member) string {
	var changed []string
	for i, name := range u.system.kind.fieldNames() {
		switch {
		case field(m.entry, i) == field(m.system, i), i == idField && m.id == m.system.id:
		case u.system.kind == Group && i == membersField && len(m.joined) == 0:
		case i == passwordField:
			changed = append(changed, name)
		default:
			changed = append(changed, fmt.Sprintf("%s %q becomes %q", name, field(m.system, i), field(m.entry, i)))
		}
	}
	return strings.Join(changed, ", ")
}

func field(e *entry, i int) string {
	if i < len(e.fields) {
		return e.fields[i]
	}
	return ""
}
