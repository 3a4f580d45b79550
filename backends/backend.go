// Package backends defines what the program asks of a place that keeps
// backups, the target: a flat set of named files. Drivers implement it for a
// directory, an object store or a file server; wrappers (retries, a cache, a
// rate limit) implement it around another backend. The package backendtest
// holds every sentence of these interfaces against an implementation.
package backends

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"unicode/utf8"
)

// Reader is the half of a target that restores and status need.
//
// All methods are safe for concurrent use. Readers may be open, and listings
// and Puts under way, at the same time, and none of them waits for another
// one to end: fn and write may themselves use the backend. A context that is
// already cancelled makes every method return its error and do nothing. A
// name that CheckName refuses is refused with that error before the target is
// touched.
type Reader interface {
	// List calls fn for every file directly in the target: each once, in no
	// particular order, one call at a time, with the number of bytes a
	// reader of it gives. Directories, names that CheckName refuses and
	// files that are still being stored are passed over; files stored or
	// deleted during the listing may be reported or not. An error from fn
	// ends the listing and is returned. Cancelling ctx ends it with the
	// context's error. The calls made before an error stand: a caller that
	// repeats a listing starts from nothing.
	List(ctx context.Context, fn func(name string, size int64) error) error

	// Open returns a reader of the whole file, which the caller closes, at
	// any point of it. Absent is fs.ErrNotExist. All that one reader gives
	// is of one version of the file: when the file is replaced or deleted
	// meanwhile the reader goes on with the old content or fails, and EOF
	// always comes after the last byte of a version. Cancelling ctx makes
	// later reads fail with the context's error. A reader that is also an
	// io.Seeker can be read from any offset; none has to be.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
}

// Backend is a target that can be changed as well.
type Backend interface {
	Reader

	// Put stores a file: complete or not at all. It calls write, which
	// produces the content on w, returns errors of w as its own and leaves
	// w alone afterwards. It calls write at most once: content may be
	// producible only once, so a wrapper that retries keeps a copy. The file appears under its name, replacing in one step what
	// was there, only after write returned nil and the content is durable.
	// After an error of write, which is returned, or of ctx, whose
	// cancelling makes w fail, the name holds what it held before, or is
	// absent. After any other error it may also hold the whole new content,
	// where only the target's answer was lost; the Put may be repeated in
	// either case. Of several Puts to one name at the same time, one wins.
	Put(ctx context.Context, name string, write func(w io.Writer) error) error

	// Delete removes a file. Deleting what is absent is no error.
	Delete(ctx context.Context, name string) error

	// Close frees what the backend holds, once all other calls have returned
	// and all readers are closed. Later calls fail; closing again is no
	// error.
	Close() error

	// String returns the target's address, in the form ParseAddress takes,
	// without secrets.
	String() string
}

// Spacer is implemented by backends that know how much the target can still
// take; a wrapper passes it on.
type Spacer interface {
	// Free returns the number of bytes that this user may still store.
	Free(ctx context.Context) (bytes uint64, err error)
}

// Errors callers branch on, besides those of io/fs (ErrNotExist,
// ErrPermission, ErrInvalid for a bad name) and of context.
var (
	// ErrNoSpace is a full disk or an exhausted quota.
	ErrNoSpace = errors.New("no space left")

	// ErrUnavailable is a target that does not answer now and may later.
	ErrUnavailable = errors.New("target unavailable")
)

// MaxName is the length of the longest name a target takes, in bytes.
const MaxName = 255

// CheckName returns nil for a name that every target can hold, and an error
// that is fs.ErrInvalid for others: flat file names in UTF-8, 1 to MaxName
// bytes, without slash and control characters. A leading dot is refused too,
// and with it "." and "..": hidden files are the drivers' own temporaries or
// belong to the server (.nfs*, .htaccess, .ftpquota).
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("file name is empty: %w", fs.ErrInvalid)
	case len(name) > MaxName:
		return fmt.Errorf("file name %.40q… is longer than %d bytes: %w", name, MaxName, fs.ErrInvalid)
	case name[0] == '.':
		return fmt.Errorf("file name %q starts with a dot: %w", name, fs.ErrInvalid)
	case !utf8.ValidString(name):
		return fmt.Errorf("file name %q is not UTF-8: %w", name, fs.ErrInvalid)
	}
	for i := range len(name) {
		if c := name[i]; c == '/' || isControl(c) {
			return fmt.Errorf("file name %q holds %q: %w", name, c, fs.ErrInvalid)
		}
	}
	return nil
}

// ValidName reports whether CheckName accepts a name.
func ValidName(name string) bool { return CheckName(name) == nil }

func isControl(c byte) bool { return c < ' ' || c == 0x7f }
