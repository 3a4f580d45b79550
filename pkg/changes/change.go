// Package changes tells how a file system differs from a state of reference,
// and what it takes to carry the difference over to another system.
//
// A delta is a text with a change a line: an operation, the path, and what
// the operation needs, with a tab between them:
//
//	o  path  uid  gid        content that is new or edited; not a directory
//	s  path  uid  gid  mode  a new directory, or other owner or permissions
//	d  path                  deleted
//
// Ids are decimal, the mode is octal with a leading zero and includes the file
// type. A name with a tab or newline is written as dirindex.FormatPath does.
package changes

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tklbam/pkg/dirindex"
)

// An Op says what a change is, by the letter that a line begins with.
type Op byte

// The operations.
const (
	Overwrite Op = 'o' // the file goes into the backup
	Stat      Op = 's' // only owner and mode go
	Delete    Op = 'd'
)

// A Reason says, for people, why there is a change. It has no place in a line.
type Reason uint8

// The reasons. What was read from a delta has none.
const (
	New      Reason = iota + 1 // not in the baseline
	Edited                     // content differs
	Metadata                   // owner or mode differs, content does not
	Deleted                    // in the baseline only
	Override                   // new, edited or other metadata where only an override looks
	numReasons
)

// String returns the reason in one word, "" for none.
func (r Reason) String() string {
	switch r {
	case New:
		return "new"
	case Edited:
		return "edited"
	case Metadata:
		return "metadata"
	case Deleted:
		return "deleted"
	case Override:
		return "override"
	}
	return ""
}

// A Change is what happened to one path since the state of reference.
type Change struct {
	Op     Op
	Path   string // absolute and clean
	UID    int    // of Overwrite and Stat
	GID    int
	Mode   uint32 // of Stat, as in st_mode; very old deltas have no type bits
	Reason Reason // not in a line
	Size   int64  // of an overwritten regular file, in bytes; not in a line
}

// Parse reads a line, given without its newline.
func Parse(line string) (Change, error) {
	c, err := parse(line)
	if err != nil {
		return Change{}, fmt.Errorf("change %q: %w", clip(line), err)
	}
	return c, nil
}

func parse(line string) (c Change, err error) {
	op, rest, ok := strings.Cut(line, "\t")
	if !ok || len(op) != 1 {
		return c, errors.New("it does not begin with an operation and a tab")
	}
	c.Op = Op(op[0])
	switch c.Op {
	case Overwrite:
	case Stat:
		if rest, err = cutNumber(rest, 8, func(n uint32) { c.Mode = n }); err != nil {
			return c, fmt.Errorf("mode: %w", err)
		}
	case Delete:
		c.Path, err = dirindex.ParsePath(rest)
		return c, err
	default:
		return c, fmt.Errorf("%q is not an operation", op)
	}
	if rest, err = cutNumber(rest, 10, func(n uint32) { c.GID = int(n) }); err != nil {
		return c, fmt.Errorf("group: %w", err)
	}
	if rest, err = cutNumber(rest, 10, func(n uint32) { c.UID = int(n) }); err != nil {
		return c, fmt.Errorf("user: %w", err)
	}
	c.Path, err = dirindex.ParsePath(rest)
	return c, err
}

// cutNumber cuts the last field off. Fields are taken from the end because
// older writers left tabs in the path as they are.
func cutNumber(line string, base int, set func(uint32)) (rest string, err error) {
	i := strings.LastIndexByte(line, '\t')
	if i < 0 {
		return "", errors.New("the field is missing")
	}
	n, err := strconv.ParseUint(line[i+1:], base, 32)
	set(uint32(n))
	return line[:i], err
}

// String returns the line that Parse reads, without a newline.
func (c Change) String() string {
	line := string(c.Op) + "\t" + dirindex.FormatPath(c.Path)
	switch c.Op {
	case Overwrite:
		return fmt.Sprintf("%s\t%d\t%d", line, c.UID, c.GID)
	case Stat:
		return fmt.Sprintf("%s\t%d\t%d\t%#o", line, c.UID, c.GID, c.Mode)
	}
	return line
}

// clip shortens outside text for an error.
func clip(s string) string {
	const enough = 200
	if len(s) > enough {
		return s[:enough] + "…"
	}
	return s
}
