// Package overlay applies the changes of a restore to the files of a live
// system. Linux only.
//
// A plan is a list of actions in order. They are carried out in windows of
// some hundred: the intents of a window go to the rollback journal with one
// sync, what they displace is kept, and then each path changes by one rename,
// so that a reader finds the old file or the new, never a part. New content is
// not synced file by file, only the files of PutBytes are: a power failure in
// the middle can leave new files empty, but none that cannot be rolled back;
// when Apply returns without an error, all is on disk.
//
// No path leads out of the root, and none through a symlink but those that
// resolve explains.
package overlay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tklbam/pkg/rollback"
	"tklbam/pkg/tree"
)

// An Op says what an action does.
type Op uint8

// The operations; see the functions of the same names.
const (
	OpPut Op = iota + 1
	OpPutBytes
	OpMakeDir
	OpChown
	OpChmod
	OpRemove
)

// An Action is one change of one path, a value. Paths are slash separated and
// relative to the root; the root itself cannot be changed. Mode holds
// permission, set-id and sticky bits (more is ignored); owners are numbers of
// this system.
type Action struct {
	Op       Op
	Path     string
	Mode     uint32
	UID, GID int
	Data     []byte
	Owned    bool // of OpPut: UID and GID are the owner, whatever the extract says
}

// Put replaces what is at a path, whatever its type, by the file at the same
// path of the extract directory: a regular file, symlink, device or fifo with
// all metadata, the owner mapped by Options.UIDs and GIDs. Directories
// missing on the way are made like those of the extract.
func Put(path string) Action { return Action{Op: OpPut, Path: path} }

// PutOwned is Put with the owner given, as a number of this system: an extract
// that went through tar may have other ones.
func PutOwned(path string, uid, gid int) Action {
	return Action{Op: OpPut, Path: path, UID: uid, GID: gid, Owned: true}
}

// PutBytes replaces what is at a path by a regular file of this content.
// Security attributes other than capabilities, an SELinux label above all,
// are taken over from the file that was there.
func PutBytes(path string, data []byte, mode uint32, uid, gid int) Action {
	return Action{Op: OpPutBytes, Path: path, Mode: mode, UID: uid, GID: gid, Data: data}
}

// MakeDir makes a directory, with the extended attributes and the time of the
// one in the extract if there is one. One that exists gets owner and mode. A
// symlink to a directory that paths may lead through is as good as one, and
// is left alone; anything else at the path is replaced. What belongs below a
// symlink that is no use must come after the action that replaces it.
func MakeDir(path string, mode uint32, uid, gid int) Action {
	return Action{Op: OpMakeDir, Path: path, Mode: mode, UID: uid, GID: gid}
}

// Chown changes the owner of what is at a path, a symlink's own too, and
// nothing else: set-id bits and capabilities stay.
func Chown(path string, uid, gid int) Action {
	return Action{Op: OpChown, Path: path, UID: uid, GID: gid}
}

// Chmod changes the mode of what is at a path. A symlink has none: it stays.
func Chmod(path string, mode uint32) Action { return Action{Op: OpChmod, Path: path, Mode: mode} }

// Remove removes a file or an empty directory. What does not exist is no
// failure, and a directory that holds something is passed over.
func Remove(path string) Action { return Action{Op: OpRemove, Path: path} }

// A Reporter is told what happens, in the order of the plan but for Lost. It
// is called by Apply's goroutine.
type Reporter interface {
	// Done is told of every action that left its path as it should be.
	Done(a Action)
	// Passed is told of an action that was given up. ErrNotEmpty is no failure.
	Passed(a Action, err error)
	// Through is told, once, of a symlink that paths lead through, and of the
	// directory that it leads to.
	Through(link, dir string)
	// Lost is told of the first file, for each kind of loss, that could not be
	// given all of its metadata.
	Lost(path string, what tree.Loss, err error)
}

// Options say where a plan is applied and how.
type Options struct {
	Root    string // the directory to change: "/"
	Extract string // what Put takes files from; "" if there is none
	Consume bool   // files may be moved out of Extract, where it is on the same file system; they must have their own owners and metadata there

	// UIDs and GIDs translate the owners of the extract's files. An id that is
	// not listed stands for itself.
	UIDs, GIDs map[int]int

	// Journal records what is displaced. Without one that is lost.
	Journal *rollback.Journal

	// Protect lists directories, as paths outside of the root's view, that no
	// action may touch. The extract and the journal's directory always are.
	Protect []string

	Reporter Reporter // may be nil
	Now      time.Time

	// Fault is livefs.Calls.Before, for tests.
	Fault func(step string) error
}

// MaxPaths is how many paths a Result lists.
const MaxPaths = 1000

// A Result counts what Apply did.
type Result struct {
	Done     int
	NotEmpty int      // directories that were to be removed but hold something
	Failed   int      // actions given up
	Paths    []string // their paths, the first MaxPaths
	Losses   map[tree.Loss]int
}

// Reasons for which an action is passed over, besides those of the system.
var (
	ErrNotEmpty  = errors.New("directory still holds something")
	ErrProtected = errors.New("belongs to the restore itself")
	ErrSymlink   = errors.New("leads through a symlink that is not to be followed")
)

// Apply carries out a plan. What concerns one path, a busy or immutable file,
// a read-only file system, is reported and passed over, and counts in the
// Result. An error says that Apply ended early: a full disk, a journal that
// cannot be written, or ctx; what was done until then is in the Result and
// can be rolled back.
func Apply(ctx context.Context, plan []Action, opts Options) (Result, error) {
	a, err := newApplier(opts)
	if err != nil {
		return Result{}, err
	}
	defer a.close()
	if err = a.run(ctx, plan); err == nil {
		err = a.finish()
	}
	a.result.Losses = a.losses()
	if err != nil {
		return a.result, fmt.Errorf("apply changes: %w", err)
	}
	return a.result, nil
}

type silent struct{}

func (silent) Done(Action)                   {}
func (silent) Passed(Action, error)          {}
func (silent) Through(string, string)        {}
func (silent) Lost(string, tree.Loss, error) {}
