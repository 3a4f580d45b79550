package limits

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Paths answers questions about paths from the path limits of a list. For a
// path, the nearest one listed among itself and the directories above it
// decides, and the last in the list if several name that one. When none is
// listed, the path is out if the list includes any path, else in.
//
// Globs are matched against the paths asked for, component by component, so
// that they work for paths in an archive, or deleted ones, as they do on disk.
//
// The paths asked for are absolute and clean; the leading slash may be left
// out, and "" is the root like "/". A Paths does not change and may be used by
// several goroutines.
type Paths struct {
	root     *node
	fallback bool // for paths with nothing listed above them
}

// A node is one component of the listed paths, in a tree of them.
type node struct {
	names    map[string]*node
	patterns map[string]*node
	globs    []glob // the patterns in the order they were listed

	listed  int // position in the list, from 1, of the limit that ends here; 0 if none does
	exclude bool
	leads   bool // to an including limit further down
}

type glob struct {
	pattern string
	node    *node
}

// Paths returns the path limits of the list. This takes time and memory
// proportional to the list's length in bytes; a question then takes time
// proportional to that of its path, and to the patterns it comes by.
func (l List) Paths() *Paths {
	p := &Paths{root: &node{}, fallback: true}
	last := make(map[string]int)
	for i, limit := range l {
		if limit.Kind == Path {
			last[limit.Path] = i
			p.fallback = p.fallback && limit.Exclude
		}
	}
	for i, limit := range l {
		if limit.Kind == Path && last[limit.Path] == i {
			p.root.add(limit, i+1)
		}
	}
	return p
}

func (n *node) add(limit Limit, position int) {
	for rest := limit.Path; ; {
		var name string
		if name, rest = cutName(rest); name == "" {
			break
		}
		n.leads = n.leads || !limit.Exclude
		n = n.child(name)
	}
	n.listed, n.exclude = position, limit.Exclude
}

// child returns the node below n for a component of a limit, new if need be.
func (n *node) child(name string) *node {
	children := &n.names
	if isPattern(name) {
		children = &n.patterns
	}
	if c := (*children)[name]; c != nil {
		return c
	}
	if *children == nil {
		*children = make(map[string]*node)
	}
	c := &node{}
	(*children)[name] = c
	if isPattern(name) {
		n.globs = append(n.globs, glob{name, c})
	}
	return c
}

// cutName cuts the first component off a path; there is none left when it is
// empty.
func cutName(path string) (name, rest string) {
	name, rest, _ = strings.Cut(strings.TrimLeft(path, "/"), "/")
	return name, rest
}

// Match reports whether the path is in.
func (p *Paths) Match(path string) bool {
	in, _ := p.walk(path)
	return in
}

// MayContain reports whether dir or anything below it may be in. False is
// certain, so that a scan can skip the directory; true may turn out empty.
func (p *Paths) MayContain(dir string) bool {
	in, leads := p.walk(dir)
	return in || leads
}

// walk follows the path down the tree, along all nodes that match. It returns
// what the nearest listed node says, and whether including limits lie below
// the path.
func (p *Paths) walk(path string) (in, leads bool) {
	var here, below [8]*node // on the stack for as many nodes as usually match at once
	nodes, next := append(here[:0], p.root), below[:0]
	in = p.fallback
	for {
		if n := deciding(nodes); n != nil {
			in = !n.exclude
		}
		var name string
		if name, path = cutName(path); name == "" {
			return in, slices.ContainsFunc(nodes, func(n *node) bool { return n.leads })
		}
		next = descend(next[:0], nodes, name)
		if len(next) == 0 {
			return in, false
		}
		nodes, next = next, nodes
	}
}

// deciding returns the listed node that was listed last, if any.
func deciding(nodes []*node) *node {
	var found *node
	for _, n := range nodes {
		if n.listed > 0 && (found == nil || n.listed > found.listed) {
			found = n
		}
	}
	return found
}

// descend appends the nodes that match name below the given ones.
func descend(matching, nodes []*node, name string) []*node {
	for _, n := range nodes {
		if c := n.names[name]; c != nil {
			matching = append(matching, c)
		}
		for _, g := range n.globs {
			if matchName(g.pattern, name) {
				matching = append(matching, g.node)
			}
		}
	}
	return matching
}

// Roots returns paths, none below another and without globs, below which
// everything lies that is in, sorted. A glob counts as the directory above it,
// and a list that includes no path leaves "/".
func (p *Paths) Roots() []string {
	if p.fallback {
		return []string{"/"}
	}
	var roots []string
	p.root.roots(nil, &roots)
	slices.Sort(roots)
	return roots
}

// roots appends what Roots returns for the part of the tree below n, which is
// at path.
func (n *node) roots(path []byte, roots *[]string) {
	includes := n.listed > 0 && !n.exclude
	if includes || slices.ContainsFunc(n.globs, func(g glob) bool { return g.node.wanted() }) {
		*roots = append(*roots, cmp.Or(string(path), "/"))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		if c := n.names[name]; c.wanted() {
			c.roots(append(append(path, '/'), name...), roots)
		}
	}
}

// wanted reports whether an including limit ends at n or below.
func (n *node) wanted() bool {
	return n.leads || n.listed > 0 && !n.exclude
}
