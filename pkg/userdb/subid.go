package userdb

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// subIDs adds the backup's ranges of subordinate ids (subuid(5), subgid(5)) of
// the users that the merge adds. Ranges can't move, files carry their numbers:
// one that overlaps another, or an id of owners, is left out. A system without
// the file doesn't get one.
func (m *merger) subIDs(file string, backup, system []byte, users, owners *union) []byte {
	if system == nil {
		return nil
	}
	used, added := usedIDs(system, owners), users.added()
	merged := slices.Clone(system)
	if len(merged) > 0 && merged[len(merged)-1] != '\n' {
		merged = append(merged, '\n')
	}
	for i, line := range rangeLines(backup) {
		name, r, ok := parseRange(line)
		switch {
		case line == "" || ok && !added[name]:
		case !ok:
			m.plan.note(file, Backup, i+1, "", "it is no range of ids"+leftOut)
		case !used.insert(r):
			m.plan.note(file, Backup, i+1, name, "its range is in use on this system"+leftOut)
		default:
			merged = append(append(merged, line...), '\n')
		}
	}
	return merged
}

// usedIDs returns what an added range must keep clear of.
func usedIDs(system []byte, owners *union) intervals {
	var used intervals
	for _, line := range rangeLines(system) {
		if _, r, ok := parseRange(line); ok {
			used = append(used, r)
		}
	}
	for _, e := range owners.members {
		used = append(used, interval{uint64(e.id), uint64(e.id)})
	}
	used.normalize()
	return used
}

// added returns the names that only the backup has.
func (u *union) added() map[string]bool {
	added := make(map[string]bool)
	for _, m := range u.members {
		if m.system == nil {
			added[m.name()] = true
		}
	}
	return added
}

func rangeLines(data []byte) []string {
	return strings.Split(string(bytes.TrimSuffix(data, []byte("\n"))), "\n")
}

// parseRange reads "name:first:count".
func parseRange(line string) (string, interval, bool) {
	fields := strings.Split(line, ":")
	if len(fields) != 3 || !validName(fields[0]) {
		return "", interval{}, false
	}
	first, err1 := strconv.ParseUint(fields[1], 10, 32)
	count, err2 := strconv.ParseUint(fields[2], 10, 32)
	if err1 != nil || err2 != nil || count == 0 || first+count-1 > math.MaxUint32 {
		return "", interval{}, false
	}
	return fields[0], interval{first, first + count - 1}, true
}

// An interval has both its ends.
type interval struct{ first, last uint64 }

// intervals are sorted and apart once they are normalized.
type intervals []interval

func (s *intervals) normalize() {
	slices.SortFunc(*s, func(a, b interval) int { return cmp.Compare(a.first, b.first) })
	apart := (*s)[:0]
	for _, r := range *s {
		if n := len(apart); n > 0 && r.first <= apart[n-1].last {
			apart[n-1].last = max(apart[n-1].last, r.last)
			continue
		}
		apart = append(apart, r)
	}
	*s = apart
}

// insert adds r unless it overlaps.
func (s *intervals) insert(r interval) bool {
	i, _ := slices.BinarySearchFunc(*s, r.first, func(x interval, first uint64) int { return cmp.Compare(x.last, first) })
	if i < len(*s) && (*s)[i].first <= r.last {
		return false
	}
	*s = slices.Insert(*s, i, r)
	return true
}
