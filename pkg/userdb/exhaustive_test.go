package userdb

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A small database is a set of names with ids. It becomes a passwd and a group
// file with the same names and ids; everybody's primary group is their own,
// and they are its only member.
type small map[string]int

func (s small) files() Files {
	var f Files
	for _, name := range slices.Sorted(maps.Keys(s)) {
		f.Passwd = fmt.Appendf(f.Passwd, "%s:x:%d:%d::/:/bin/sh\n", name, s[name], s[name])
		f.Group = fmt.Appendf(f.Group, "%s:x:%d:%s\n", name, s[name], name)
	}
	return f
}

// enumerate returns all databases over the names and ids in which each name is
// absent or has one of the ids; root's is 0.
func enumerate(names []string, ids []int) []small {
	all := []small{{}}
	for _, name := range names {
		for _, s := range slices.Clone(all) {
			for _, id := range ids {
				with := maps.Clone(s)
				with[name] = id
				all = append(all, with)
			}
		}
	}
	return slices.DeleteFunc(all, func(s small) bool { return s["root"] != 0 })
}

func TestExhaustive(t *testing.T) {
	for _, space := range []struct {
		names []string
		ids   []int
	}{
		{[]string{"a", "b", "c"}, []int{0, 1, 98, 99}},
		{[]string{"a", "b", "c"}, []int{5, 999, 65534}},
		{[]string{"root", "a", "b"}, []int{0, 1, 1000}},
		{[]string{"a", "a_orig", "a_orig_orig", "b"}, []int{0, 7}},
	} {
		all := enumerate(space.names, space.ids)
		for _, old := range all {
			for _, system := range all {
				checkRules(t, old, system)
				if t.Failed() {
					t.Fatalf("the backup has %v and the system %v", old, system)
				}
			}
		}
	}
}

// parsed is a merged file as somebody else would read it.
type parsed struct {
	ids    map[string]int
	fields map[string][]string
}

func parseMerged(t *testing.T, data []byte) parsed {
	p := parsed{make(map[string]int), make(map[string][]string)}
	last := 0
	for line := range strings.Lines(string(data)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		id, err := strconv.Atoi(fields[2])
		if err != nil {
			t.Error(err)
		}
		if _, ok := p.ids[fields[0]]; ok {
			t.Errorf("%q is there twice", fields[0])
		}
		if id < last {
			t.Errorf("%q is out of order", fields[0])
		}
		last = id
		p.ids[fields[0]], p.fields[fields[0]] = id, fields
	}
	return p
}

func checkRules(t *testing.T, old, system small) {
	backup := old.files()
	m := merge(t, backup, system.files())
	users, groups := parseMerged(t, m.Passwd), parseMerged(t, m.Group)
	old, system = withRoot(old), withRoot(system)
	checkIDs(t, old, system, users.ids, m.UIDs, m.Plan.Users)
	checkIDs(t, old, system, groups.ids, m.GIDs, m.Plan.Groups)
	checkFields(t, old, system, users, groups, m.GIDs)

	again := merge(t, backup, m.Files)
	equal(t, "passwd after another merge", again.Passwd, m.Passwd)
	equal(t, "group after another merge", again.Group, m.Group)
	if !maps.Equal(again.UIDs, m.UIDs) || !maps.Equal(again.GIDs, m.GIDs) {
		t.Error("another merge has other maps")
	}
	for _, s := range slices.Concat(again.Plan.Users, again.Plan.Groups) {
		if s.Action != Remap {
			t.Errorf("another merge changes something: %s", s)
		}
	}
}

func withRoot(s small) small {
	s = maps.Clone(s)
	if _, ok := s["root"]; !ok && len(s) > 0 {
		s["root"] = 0
	}
	return s
}

func checkIDs(t *testing.T, old, system small, result map[string]int, m IDMap, steps []Step) {
	kept := keptNames(t, old, system, result)
	if len(result) != len(kept) {
		t.Errorf("there are names of neither side among %v", result)
	}
	for name, id := range old {
		checkTarget(t, name, old, system, result)
		if m.Map(id) != result[name] {
			t.Errorf("the map has id %d of %q as %d, the file as %d", id, name, m.Map(id), result[name])
		}
	}
	for from, to := range m {
		if from == to || !slices.Contains(slices.Collect(maps.Values(old)), from) {
			t.Errorf("the map has %d to %d", from, to)
		}
	}
	checkSharing(t, old, system, result, kept)
	checkSteps(t, old, system, result, kept, steps)
}

// keptNames returns which name of this system every name of the result stands
// for, "" for those that are the backup's.
func keptNames(t *testing.T, old, system small, result map[string]int) map[string]string {
	kept := make(map[string]string)
	for name := range old {
		if _, ok := result[name]; !ok {
			t.Errorf("%q of the backup is gone", name)
		}
		kept[name] = ""
	}
	for _, name := range slices.Sorted(maps.Keys(system)) {
		if result[name] == system[name] {
			kept[name] = name
			continue
		}
		as := name + "_orig"
		for kept[as] != "" || in(old, as) || in(system, as) {
			as += "_orig"
		}
		if id, ok := result[as]; !ok || id != system[name] {
			t.Errorf("%q of this system is gone", name)
		}
		kept[as] = name
	}
	return kept
}

func in(s small, name string) bool {
	_, ok := s[name]
	return ok
}

// aliases returns the names that share the name's id, itself included.
func aliases(s small, name string) []string {
	var found []string
	for other, id := range s {
		if in(s, name) && id == s[name] {
			found = append(found, other)
		}
	}
	return found
}

func checkTarget(t *testing.T, name string, old, system small, result map[string]int) {
	id, got := old[name], result[name]
	free := !slices.Contains(slices.Collect(maps.Values(system)), id)
	var shared []int // ids here of names on both sides
	for _, alias := range aliases(old, name) {
		if result[alias] != got {
			t.Errorf("aliases %q and %q have ids %d and %d", name, alias, got, result[alias])
		}
		if in(system, alias) {
			shared = append(shared, system[alias])
		}
	}
	switch {
	case slices.Contains(shared, id) || len(shared) == 0 && free:
		if got != id {
			t.Errorf("%q has id %d and not its own, %d", name, got, id)
		}
	case len(shared) > 0:
		if !slices.Contains(shared, got) {
			t.Errorf("%q has id %d and none of those here, %v", name, got, shared)
		}
	default:
		checkFirstFree(t, name, id, got, old, system, result)
	}
}

func checkFirstFree(t *testing.T, name string, id, got int, old, system small, result map[string]int) {
	first, last := 1000, 65533
	if id < 100 {
		first, last = 1, 99
	} else if id < 1000 {
		first, last = 100, 999
	}
	used := slices.Concat(slices.Collect(maps.Values(old)), slices.Collect(maps.Values(system)))
	if got < first || got > last || slices.Contains(used, got) {
		t.Errorf("%q gets id %d for its %d", name, got, id)
	}
	used = slices.Concat(used, slices.Collect(maps.Values(result)))
	for id := first; id < got; id++ {
		if !slices.Contains(used, id) {
			t.Errorf("%q gets id %d, but %d is free", name, got, id)
		}
	}
}

// checkSharing finds names that share an id without being aliases, of each
// other or of a third, on any side.
func checkSharing(t *testing.T, old, system small, result map[string]int, kept map[string]string) {
	for name, id := range result {
		reached := []string{name}
		for i := 0; i < len(reached); i++ {
			next := aliases(old, reached[i])
			for other, here := range kept {
				if here != "" && slices.Contains(aliases(system, kept[reached[i]]), here) {
					next = append(next, other)
				}
			}
			for _, n := range next {
				if !slices.Contains(reached, n) {
					reached = append(reached, n)
				}
			}
		}
		for other := range result {
			if result[other] == id && !slices.Contains(reached, other) {
				t.Errorf("%q and %q share id %d", name, other, id)
			}
		}
	}
}

func checkSteps(t *testing.T, old, system small, result map[string]int, kept map[string]string, steps []Step) {
	var got, want []string
	for _, s := range steps {
		if s.Name != "root" && s.Action != Update {
			got = append(got, fmt.Sprint(s.Action, s.Name, s.As, s.From))
		}
	}
	for name, here := range kept {
		switch {
		case name == "root" || here == "root":
		case in(old, name) && !in(system, name):
			want = append(want, fmt.Sprint(Add, name, "", old[name]))
		case here != "" && here != name:
			want = append(want, fmt.Sprint(Rename, here, name, system[here]))
		case in(old, name) && old[name] != result[name]:
			want = append(want, fmt.Sprint(Remap, name, "", old[name]))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the plan has %q, the result %q", got, want)
	}
}

// checkFields knows only of names that are not made up.
func checkFields(t *testing.T, old, system small, users, groups parsed, m IDMap) {
	for name, id := range old {
		if got := users.fields[name][3]; name != "root" && got != strconv.Itoa(m.Map(id)) {
			t.Errorf("user %q has primary group %s", name, got)
		}
	}
	for name, id := range system {
		if got := users.fields[name][3]; name != "root" && !in(old, name) && got != strconv.Itoa(id) {
			t.Errorf("user %q has primary group %s", name, got)
		}
		if name != "root" && !slices.Contains(strings.Split(groups.fields[name][3], ","), name) {
			t.Errorf("group %q has lost its member", name)
		}
	}
	for name := range old {
		if name != "root" && !slices.Contains(strings.Split(groups.fields[name][3], ","), name) {
			t.Errorf("group %q has lost its member", name)
		}
	}
}
