package userdb

import (
	"slices"
	"strings"
)

// mergeMembers puts everybody who is in a group here into the merged group
// after those that the backup has in it. Who is known by another name now is
// in it under both: the old name is a user of both sides, like any other.
func mergeMembers(groups, users *union) {
	also := make(map[string]string)
	for _, m := range users.members {
		if m.renamed() {
			also[m.system.name()] = m.name()
		}
	}
	for _, m := range groups.members {
		if m.system != nil {
			m.mergeMembers(also)
		}
	}
}

func (m *member) mergeMembers(also map[string]string) {
	here := memberList(m.system)
	missing := slices.Clone(here)
	for _, name := range here {
		if as, ok := also[name]; ok {
			missing = append(missing, as)
		}
	}
	addMembers(m.entry, missing)
	m.joined = without(memberList(m.entry), here)
}

// memberList returns the members of a group or gshadow entry.
func memberList(e *entry) []string {
	return slices.DeleteFunc(strings.Split(field(e, membersField), ","), func(s string) bool { return s == "" })
}

// addMembers adds those names that are not yet in the list. The field is left
// as it is if there are none.
func addMembers(e *entry, names []string) {
	list := memberList(e)
	if names = without(names, list); len(names) == 0 {
		return
	}
	for len(e.fields) <= membersField {
		e.fields = append(e.fields, "")
	}
	e.fields[membersField] = strings.Join(append(list, names...), ",")
}

// without returns the names that are not in the list, each once.
func without(names, list []string) []string {
	seen := make(map[string]bool, len(list))
	for _, name := range list {
		seen[name] = true
	}
	var rest []string
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			rest = append(rest, name)
		}
	}
	return rest
}
