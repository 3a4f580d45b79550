// Package chain runs sessions over a backup chain in the Duplicity format:
// it backs a tree up into a full or incremental set, restores a tree as it
// was at any of the sets, and tells what a target holds. FORMAT.md describes
// what lies on storage; the packages below this one read and write its parts.
//
// The package knows no storage, no file tree and no terminal of its own: a
// Store keeps the files, a Source yields the tree, a Target takes it back,
// and a Reporter hears what happens.
package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tklbam/chain/archive"
)

// A Reader is the half of a Store that changes nothing.
type Reader interface {
	// List calls fn for every file of the target, in any order. An error of
	// fn ends it and is returned.
	List(ctx context.Context, fn func(name string, size int64) error) error
	// Open returns a file's content; fs.ErrNotExist when there is none.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
}

// A Store keeps the files of chains, flat, under their names. Its errors name
// the file.
type Store interface {
	Reader
	// Put stores what write produces, complete or not at all. It calls write
	// at most once.
	Put(ctx context.Context, name string, write func(io.Writer) error) error
	// Delete removes a file; that it is absent is no error.
	Delete(ctx context.Context, name string) error
}

// A Source yields the tree to back up.
type Source interface {
	// Next returns the next entry in the order of archive.Compare, io.EOF
	// after the last. The entry holds until the next call. A Node with an
	// error stands for a path that can't be read, with all below it.
	Next(ctx context.Context) (Node, error)
	// Open opens the content of a regular file that Next returned.
	Open(e *archive.Entry) (Content, error)
	// Xattrs reads the extended attributes of an entry that Next returned.
	Xattrs(e *archive.Entry) ([]archive.Xattr, error)
	Close() error
}

// A Node is one step of a scan.
type Node struct {
	Entry *archive.Entry
	Err   error
}

// A Content is an open file of a Source.
type Content interface {
	io.ReadCloser
	// Changed reports whether the file is no longer what the entry says, or
	// was written so recently that its timestamps can't tell.
	Changed() (changed, racy bool, err error)
	// Xattrs reads the file's extended attributes.
	Xattrs() ([]archive.Xattr, error)
}

// A Reporter hears what a session does. Calls come from several goroutines.
type Reporter interface {
	Phase(name string)
	Total(files, bytes int64)       // what the session expects to go through
	Path(path string)               // what it is at
	Add(files, bytes, stored int64) // what it has gone through and stored since the last call
	Note(text string)               // something to know
	Problem(p Problem)              // something not as it should be
}

// A Problem is something that did not go right with one file of the tree or
// of the chain, while the session goes on.
type Problem struct {
	Path string // of the tree; "" when the problem is not with one file
	Err  error
	Lost bool // a backup or restore lacks something for it
}

// ErrWrongSecret says that the secret at hand is not the chain's.
var ErrWrongSecret = errors.New("the secret does not open this backup")

// A NoSpaceError says that something was not begun for want of room, in bytes.
type NoSpaceError struct {
	Where      string
	Need, Free int64
}

func (e *NoSpaceError) Error() string {
	return fmt.Sprintf("no space left %s: %d bytes are needed, %d are free", e.Where, e.Need, e.Free)
}

// A spacer is a Store that knows how many bytes it can still take.
type spacer interface {
	Free(ctx context.Context) (uint64, error)
}

// Summary is what a backup session did.
type Summary struct {
	Full     bool
	Reason   string // why full, or why incremental
	Start    time.Time
	End      time.Time // of the chain's sets: the session's own time
	Resumed  bool
	Elapsed  time.Duration
	NextFull time.Time // zero when the frequency is "now"

	Files, New, Changed, Deleted, Unchanged int64
	SourceBytes                             int64 // size of all files scanned
	ReadBytes                               int64 // content read
	StoredBytes                             int64 // uploaded by this session
	Volumes                                 int
	Warnings                                int64
	Lost                                    int64 // files that could not be stored
}
