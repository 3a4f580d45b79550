package userdb

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// FormatMaps returns the maps as merge-userdb prints them: the uids on one
// line and the gids on the next, "from,to" with colons between, nothing for an
// empty map.
func FormatMaps(uids, gids IDMap) string { return uids.String() + "\n" + gids.String() + "\n" }

// String returns the map as merge-userdb prints it, without a newline. Ids that
// stay as they are are not in it.
func (m IDMap) String() string {
	pairs := make([]string, 0, len(m))
	for _, id := range m.hashOrder() {
		pairs = append(pairs, strconv.Itoa(id)+","+strconv.Itoa(m[id]))
	}
	return strings.Join(pairs, ":")
}

// hashOrder returns the keys in the order in which the predecessor printed
// them, that of a Python 2 dictionary: an open hash table that starts with 8
// slots and grows to more than four times its content when two thirds full. It is no order that means anything, but outputs are
// compared byte for byte. The order also depends on that of insertion, which
// here is from the highest id down.
func (m IDMap) hashOrder() []int {
	slots := make(hashSlots, 8)
	for used, id := range slices.Backward(slices.Sorted(maps.Keys(m))) {
		used = len(m) - used
		slots.put(id)
		if used*3 >= len(slots)*2 {
			slots = slots.grow(used)
		}
	}
	return slots.keys()
}

// hashSlots holds a key plus one in every slot in use.
type hashSlots []int

func (s hashSlots) put(key int) {
	mask, i, perturb := uint64(len(s)-1), uint64(key), uint64(key)
	for s[i&mask] != 0 {
		i = 5*i + perturb + 1
		perturb >>= 5
	}
	s[i&mask] = key + 1
}

func (s hashSlots) grow(used int) hashSlots {
	size := 8
	for size <= used*4 {
		size *= 2
	}
	grown := make(hashSlots, size)
	for _, key := range s.keys() {
		grown.put(key)
	}
	return grown
}

func (s hashSlots) keys() []int {
	var keys []int
	for _, key := range s {
		if key != 0 {
			keys = append(keys, key-1)
		}
	}
	return keys
}
