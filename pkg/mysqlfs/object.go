package mysqlfs

import "slices"

// An object is something that has a definition.
type object struct{ kind, database, name string }

// String returns what error messages call it.
func (o object) String() string { return o.kind + " " + quote(o.database) + "." + quote(o.name) }

type objects map[object]bool

func (s objects) add(kind, database, name string) { s[object{kind, database, name}] = true }

// missing returns those of s that others lacks, sorted.
func (s objects) missing(others objects) []object {
	var missing []object
	for o := range s {
		if !others[o] {
			missing = append(missing, o)
		}
	}
	slices.SortFunc(missing, func(a, b object) int { return slices.Compare(a.key(), b.key()) })
	return missing
}

func (o object) key() []string { return []string{o.database, o.kind, o.name} }
