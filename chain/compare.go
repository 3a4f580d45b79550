package chain

import (
	"slices"

	"tklbam/chain/archive"
	"tklbam/chain/state"
)

// A verdict is what metadata alone tells of a path that both the disk and the
// chain have.
type verdict int

const (
	same    verdict = iota
	suspect         // only ctime or inode differ: the content decides
	changed
)

// compare judges an entry by what the chain has for it. Items that a stock
// session wrote carry no more than stock compares; ours carry enough to catch
// an edit within the second, and one whose mtime was put back.
func compare(e *archive.Entry, old *state.Item) verdict {
	if !archive.SameStat(e, &old.Entry) {
		return changed
	}
	if old.Inode == 0 {
		return same
	}
	if !e.ModTime.Equal(old.ModTime) || e.HardLink != old.HardLink || (e.Links > 1) != (old.Links > 1) {
		return changed
	}
	if !old.ChangeTime.IsZero() && e.ChangeTime.Equal(old.ChangeTime) && e.Inode == old.Inode {
		return same
	}
	return suspect
}

func sameXattrs(a, b []archive.Xattr) bool { return slices.Equal(a, b) }
