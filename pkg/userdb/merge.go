// Package userdb merges the users and groups of a backup into those of the
// system that it is restored to. It reads and writes no files: bytes go in,
// bytes and a plan come out.
//
// # Ids
//
// The rules are the same for users and groups. A name on both sides keeps
// this system's id. A name only in the backup keeps its id if that is free
// here, or else gets the first id that neither side uses in the same range:
// 1-99, 100-999, or 1000-65533. The last one is also for ids over 65533 whose
// number is taken (nobody's 65534 under another name, numbers of a directory
// service); those that are free are kept like any other. Several ids that
// change are served from the highest down, those of aliases last. A range
// without a free id is an error.
//
// Names that share an id in the backup, aliases, share one in the result: the
// one they have if one of them has it here too, else that of the first one
// that exists here, else the one that a single name would get. If another
// alias had its own id here, that entry is kept under the name NAME_orig, in
// all groups it was in. A side that has entries but no root gets one, see
// Repair, which never replaces a real one. The results are sorted by id, those
// with the same id in the order they had.
//
// # Fields
//
// Fields of a name on both sides come from the backup (home directory, shell,
// and so on), the primary group in this system's numbers. Passwords are this
// system's if it has a shadow file. Members of a group are the backup's and,
// after them, this system's.
//
// Users that the merge adds bring their shadow line along, groups their
// gshadow line; if the backup has none, they get a locked one. A password that
// the backup has in the public file moves into the shadow file. What was in
// the system's files stays, with new members of groups added to gshadow. A
// system without a shadow or gshadow file gets none. subuid and subgid get the
// ranges of users that the merge adds, unless one overlaps a range or an id
// that is in use.
//
// # Other lines
//
// Lines of this system's files that are no entries stay: those before the
// first entry at the top, the others after the last one. That goes for
// comments, for NIS lines, for lines that can't be read and for those that
// repeat a name, of which the first counts. Blank lines go. None of the
// backup's lines of that kind is taken over. The plan's notes name them all.
package userdb

import (
	"fmt"
	"strconv"
)

// Files are the contents of a user database: of the files in /etc that have
// the fields' names in lower case. nil is a file that does not exist.
type Files struct {
	Passwd, Group   []byte
	Shadow, GShadow []byte
	SubUID, SubGID  []byte
}

// Merged is the outcome of a merge. The maps lead from ids of the backup to ids
// of the merged files, as restored files need it.
type Merged struct {
	Files      // what the system's files are to hold; nil for one that is still not to exist
	UIDs, GIDs IDMap
	Plan       Plan
}

// Merge merges the backup's files into the system's. Its only error is a range
// of ids that has none free.
func Merge(backup, system Files) (*Merged, error) {
	m := &merger{backup: backup, system: system}
	groups, err := m.groups()
	if err != nil {
		return nil, fmt.Errorf("merge groups: %w", err)
	}
	users, err := m.users(groups)
	if err != nil {
		return nil, fmt.Errorf("merge users: %w", err)
	}
	mergeMembers(groups, users)
	result := &Merged{UIDs: users.ids, GIDs: groups.ids}
	result.Shadow = m.shadow(Shadow, users, backup.Shadow, system.Shadow)
	result.GShadow = m.shadow(GShadow, groups, backup.GShadow, system.GShadow)
	result.Passwd, result.Group = users.bytes(), groups.bytes()
	result.SubUID = m.subIDs("subuid", backup.SubUID, system.SubUID, users, users)
	result.SubGID = m.subIDs("subgid", backup.SubGID, system.SubGID, users, groups)
	m.plan.Groups, m.plan.Users = groups.steps(), users.steps()
	result.Plan = m.plan
	return result, nil
}

type merger struct {
	backup, system Files
	plan           Plan
}

func (m *merger) table(kind Kind, side Side, data []byte) *table {
	t := newTable(Parse(kind, data), side, &m.plan)
	if kind.hasIDs() {
		t.repairRoot()
	}
	return t
}

func (m *merger) groups() (*union, error) {
	old, system := m.table(Group, Backup, m.backup.Group), m.table(Group, System, m.system.Group)
	return unite(old, system, m.system.GShadow != nil)
}

func (m *merger) users(groups *union) (*union, error) {
	old, system := m.table(Passwd, Backup, m.backup.Passwd), m.table(Passwd, System, m.system.Passwd)
	for _, e := range old.entries {
		m.mapGroup(e, groups)
	}
	return unite(old, system, m.system.Shadow != nil)
}

// mapGroup changes the primary group of a user of the backup to what the group
// is called here. A number without a group in the backup stays.
func (m *merger) mapGroup(e *entry, groups *union) {
	gid, ok := parseID(e.fields[gidField])
	if to, changed := groups.ids[gid]; ok && changed {
		e.fields[gidField] = strconv.Itoa(to)
		return
	}
	if _, known := groups.targets[gid]; !known && !e.madeUp {
		text := fmt.Sprintf("its primary group %.20q is no group of the backup: the number is kept", e.fields[gidField])
		if name, taken := groups.system.owners[gid]; ok && taken {
			text += fmt.Sprintf(", on this system it is group %q", name)
		}
		m.plan.note("passwd", Backup, e.line, e.name(), text)
	}
}
