// Package dirindex holds the state of a file system as an index: one record
// for every path, sorted by path. Linux only.
//
// An index is a text with a record a line, of six fields or, for a symlink,
// seven, with a tab between them: path, mode, user, group, size, modification
// time, target. The numbers are lower-case hexadecimal. Records are in the
// order of their whole paths as bytes ("/a", "/a-b", "/a/x"), which is not the
// order of a chain, where a directory's content directly follows it.
package dirindex

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Record is one path with its metadata. Strings hold the bytes the file
// system holds, in no particular encoding.
type Record struct {
	Path   string // absolute and clean
	Mode   uint32 // file type and permissions, as in st_mode
	UID    int
	GID    int
	Size   int64  // bytes, as lstat has it, also of what is not a regular file
	MTime  int64  // seconds since 1970, without the fraction
	Target string // of a symlink
}

// IsDir reports whether the record is of a directory.
func (r *Record) IsDir() bool { return r.Type() == unix.S_IFDIR }

// IsSymlink reports whether the record is of a symlink.
func (r *Record) IsSymlink() bool { return r.Type() == unix.S_IFLNK }

// IsSocket reports whether the record is of a Unix socket.
func (r *Record) IsSocket() bool { return r.Type() == unix.S_IFSOCK }

// IsRegular reports whether the record is of a regular file.
func (r *Record) IsRegular() bool { return r.Type() == unix.S_IFREG }

// Type returns the file type's bits of the mode.
func (r *Record) Type() uint32 { return r.Mode & unix.S_IFMT }

// Perm returns the bits of the mode that chmod sets.
func (r *Record) Perm() uint32 { return r.Mode &^ unix.S_IFMT }

// The number of fields of a line, without and with a target.
const (
	minFields = 6
	maxFields = 7
)

// Parse reads a line, given without its newline.
func Parse(line string) (Record, error) {
	r, err := parse(line)
	if err != nil {
		return Record{}, fmt.Errorf("index record %q: %w", clip(line), err)
	}
	return r, nil
}

func parse(line string) (r Record, err error) {
	var fields [maxFields]string
	n, rest, more := 0, line, true
	for ; more && n < maxFields; n++ {
		fields[n], rest, more = strings.Cut(rest, "\t")
	}
	if more || n < minFields {
		return r, fmt.Errorf("it has not %d or %d fields", minFields, maxFields)
	}
	if r.Path, err = ParsePath(fields[0]); err != nil {
		return r, err
	}
	if err := r.parseNumbers(fields[1:minFields]); err != nil {
		return r, err
	}
	r.Target, err = parseTarget(fields[minFields], isEscaped(fields[0]))
	return r, err
}

func (r *Record) parseNumbers(fields []string) error {
	var err error
	unsigned := func(text string) uint32 {
		n, e := strconv.ParseUint(text, 16, 32)
		err = errors.Join(err, e)
		return uint32(n)
	}
	signed := func(text string) int64 {
		n, e := strconv.ParseInt(text, 16, 64)
		err = errors.Join(err, e)
		return n
	}
	r.Mode = unsigned(fields[0])
	r.UID, r.GID = int(unsigned(fields[1])), int(unsigned(fields[2]))
	r.Size, r.MTime = signed(fields[3]), signed(fields[4])
	return err
}

// parseTarget reads the last field. It is "" where the line has none, and
// escaped when the path is.
func parseTarget(field string, escaped bool) (string, error) {
	if strings.IndexByte(field, 0) >= 0 {
		return "", errors.New("the symlink's target contains a zero byte")
	}
	if !escaped {
		return field, nil
	}
	return unescape(field)
}

// String returns the line that Parse reads, without a newline.
func (r Record) String() string { return string(r.Append(nil)) }

// Append appends what String returns to b. A target that is "" gets no field.
func (r *Record) Append(b []byte) []byte {
	escaped := mustEscape(r.Path) || mustEscape(r.Target)
	b = appendPath(b, r.Path, escaped)
	for _, n := range [...]int64{int64(r.Mode), int64(r.UID), int64(r.GID), r.Size, r.MTime} {
		b = strconv.AppendInt(append(b, '\t'), n, 16)
	}
	if r.Target == "" {
		return b
	}
	b = append(b, '\t')
	if escaped {
		return appendEscaped(b, r.Target)
	}
	return append(b, r.Target...)
}

// clip shortens outside text for an error.
func clip(s string) string {
	const enough = 200
	if len(s) > enough {
		return s[:enough] + "…"
	}
	return s
}
