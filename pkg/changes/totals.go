package changes

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A Count sums up changes.
type Count struct {
	Changes int
	Bytes   int64 // of contents that go into the volumes
}

func (n *Count) add(c Change) {
	n.Changes++
	n.Bytes += c.Size
}

// A Total sums up the changes below one directory.
type Total struct {
	Dir   string // "/etc", or "/" for what lies in the root itself
	All   Count
	Files int // that go into the volumes

	reasons [numReasons]Count
}

// Reason returns the part of the total that has one reason.
func (t *Total) Reason(r Reason) Count { return t.reasons[r] }

func (t *Total) add(c Change) {
	t.All.add(c)
	t.reasons[c.Reason].add(c)
	if c.Op == Overwrite {
		t.Files++
	}
}

// Totals sums up changes by the directories at the top. The zero value is
// ready for use.
type Totals struct {
	all  Total
	dirs map[string]*Total
}

// Add takes a change into account.
func (t *Totals) Add(c Change) {
	if t.dirs == nil {
		t.dirs = make(map[string]*Total)
	}
	dir := topDir(c)
	if t.dirs[dir] == nil {
		t.dirs[dir] = &Total{Dir: strings.Clone(dir)}
	}
	t.dirs[dir].add(c)
	t.all.add(c)
}

// topDir returns the first component of a path if it is a directory.
func topDir(c Change) string {
	if i := strings.IndexByte(c.Path[1:], '/'); i >= 0 {
		return c.Path[:1+i]
	}
	if c.Path != "/" && c.Op == Stat && c.fileType() == unix.S_IFDIR {
		return c.Path
	}
	return "/"
}

// All returns the total of all changes, under "/".
func (t *Totals) All() Total {
	all := t.all
	all.Dir = "/"
	return all
}

// Dirs returns the totals of the directories, largest first: by bytes, then by
// the number of changes, then by name.
func (t *Totals) Dirs() []Total {
	list := make([]Total, 0, len(t.dirs))
	for _, total := range t.dirs {
		list = append(list, *total)
	}
	slices.SortFunc(list, func(a, b Total) int {
		return cmp.Or(cmp.Compare(b.All.Bytes, a.All.Bytes),
			cmp.Compare(b.All.Changes, a.All.Changes), strings.Compare(a.Dir, b.Dir))
	})
	return list
}
