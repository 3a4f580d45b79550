package changes

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"

	"tklbam/pkg/dirindex"
)

// A Verb says what an Action does.
type Verb uint8

// The verbs.
const (
	Mkdir  Verb = iota + 1 // with the directories missing on the way
	Chown                  // of a symlink itself
	Chmod                  // never of a symlink
	Remove                 // of anything but a directory
	Rmdir                  // of a directory, if it is empty
)

// An Action is one step of restoring metadata and deletions.
type Action struct {
	Verb Verb
	Path string
	UID  int // of Chown
	GID  int
	Mode uint32 // of Chmod, without type; of Chown, what the path then has: chown(2) clears set-id bits
}

// Names are the users and groups of this system: functions that return the
// name of an id, or "" if it has none. A nil function knows no names.
type Names struct{ User, Group func(id int) string }

// Format returns the action as the shell command it stands for, with the names
// of ids where they have any.
func (a Action) Format(names Names) string {
	path := dirindex.FormatPath(a.Path)
	switch a.Verb {
	case Mkdir:
		return "mkdir -p " + path
	case Chown:
		return "chown -h " + nameOf(a.UID, names.User) + ":" + nameOf(a.GID, names.Group) + " " + path
	case Chmod:
		return fmt.Sprintf("chmod %#o %s", a.Mode, path)
	case Rmdir:
		return "rmdir " + path
	}
	return "rm " + path
}

func nameOf(id int, lookup func(int) string) string {
	if lookup != nil {
		if name := lookup(id); name != "" {
			return name
		}
	}
	return strconv.Itoa(id)
}

// A Planner derives from the changes of a backup what is to be done to this
// system once the files of the backup are in place. It changes nothing.
type Planner struct {
	// UIDs and GIDs lead from the ids in the delta to those of this system.
	// An id that is not in them stays.
	UIDs, GIDs map[int]int

	// Lstat looks at a path on this system. Its error wraps fs.ErrNotExist if
	// the path, or a directory on the way to it, is not there.
	Lstat func(path string) (dirindex.Record, error)

	// Replace, if set, is asked whether what is at the path of a directory of
	// the backup, and is none, may make way for it. Otherwise it stays.
	Replace func(disk dirindex.Record) bool
}

// StatFixes returns what gives a path its owner and mode, in the order it is
// to be done; nothing where they are right. A directory that is missing is
// made, also for a mode without type, as old deltas have. Content brings its
// own owner, so an overwritten file is looked at only if one of its ids is in
// a map. A path that is of another type than in the backup is left alone.
func (p *Planner) StatFixes(c Change) ([]Action, error) {
	switch {
	case c.Op == Delete:
		return nil, nil
	case c.Op == Overwrite && !mapped(p.UIDs, c.UID) && !mapped(p.GIDs, c.GID):
		return nil, nil
	}
	disk, err := p.Lstat(c.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p.makeDir(c), nil
	case err != nil:
		return nil, err
	case c.Op == Overwrite:
		return p.chown(c, disk, disk.Perm()), nil
	case c.fileType() != 0 && c.fileType() != disk.Type():
		return p.replace(c, disk), nil
	}
	return p.fix(c, disk), nil
}

func (c *Change) fileType() uint32 { return c.Mode & unix.S_IFMT }
func (c *Change) perm() uint32     { return c.Mode &^ unix.S_IFMT }

func mapped(ids map[int]int, id int) bool {
	_, ok := ids[id]
	return ok
}

func lookup(ids map[int]int, id int) int {
	if to, ok := ids[id]; ok {
		return to
	}
	return id
}

// makeDir makes what is not there, if it is a directory.
func (p *Planner) makeDir(c Change) []Action {
	if c.Op != Stat || c.fileType() != 0 && c.fileType() != unix.S_IFDIR {
		return nil
	}
	return []Action{
		{Verb: Mkdir, Path: c.Path},
		{Verb: Chown, Path: c.Path, UID: lookup(p.UIDs, c.UID), GID: lookup(p.GIDs, c.GID), Mode: c.perm()},
		{Verb: Chmod, Path: c.Path, Mode: c.perm()},
	}
}

// replace puts a directory in the place of what is none.
func (p *Planner) replace(c Change, disk dirindex.Record) []Action {
	if c.fileType() != unix.S_IFDIR || p.Replace == nil || !p.Replace(disk) {
		return nil
	}
	return append([]Action{{Verb: Remove, Path: c.Path}}, p.makeDir(c)...)
}

func (p *Planner) fix(c Change, disk dirindex.Record) []Action {
	if disk.IsSymlink() {
		return p.chown(c, disk, disk.Perm())
	}
	actions := p.chown(c, disk, c.perm())
	if disk.Perm() != c.perm() {
		actions = append(actions, Action{Verb: Chmod, Path: c.Path, Mode: c.perm()})
	}
	return actions
}

// chown gives a path the change's owner, if it has another.
func (p *Planner) chown(c Change, disk dirindex.Record, mode uint32) []Action {
	uid, gid := lookup(p.UIDs, c.UID), lookup(p.GIDs, c.GID)
	if disk.UID == uid && disk.GID == gid {
		return nil
	}
	return []Action{{Verb: Chown, Path: c.Path, UID: uid, GID: gid, Mode: mode}}
}

// Deletion returns what removes a path that the delta says is deleted. There
// is nothing to do for other changes, for a path that is not there and for a
// directory, which may hold what the backup knows nothing of.
func (p *Planner) Deletion(c Change) (action Action, ok bool, err error) {
	if c.Op != Delete {
		return Action{}, false, nil
	}
	disk, err := p.Lstat(c.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Action{}, false, nil
	case err != nil:
		return Action{}, false, err
	}
	return Action{Verb: Remove, Path: c.Path}, !disk.IsDir(), nil
}
