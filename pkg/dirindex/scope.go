package dirindex

import (
	"slices"

	"tklbam/pkg/limits"
)

// A Scope is the part of a file system that an index covers: what the path
// limits of a list include. Unlike limits.Paths, which filters what is there
// already, it covers nothing when the list includes no path.
//
// A Scope does not change and may be used by several goroutines.
type Scope struct {
	paths *limits.Paths
	roots []string // sorted, none below another
}

// NewScope returns the scope of a list: a profile's dirindex.conf, with the
// overrides behind it.
func NewScope(list limits.List) *Scope {
	s := &Scope{paths: list.Paths()}
	includes := func(l limits.Limit) bool { return l.Kind == limits.Path && !l.Exclude }
	if slices.ContainsFunc(list, includes) {
		s.roots = s.paths.Roots()
	}
	return s
}

// Match reports whether a path is covered.
func (s *Scope) Match(path string) bool { return len(s.roots) > 0 && s.paths.Match(path) }

// mayContain reports whether a path or anything below it may be covered.
func (s *Scope) mayContain(path string) bool { return s.paths.MayContain(path) }
