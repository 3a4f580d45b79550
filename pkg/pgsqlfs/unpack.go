package pgsqlfs

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// An unpacking writes the members of an archive to a directory as they come.
// None is held in memory.
type unpacking struct {
	dir      string
	names    map[string]string // of members, by the name pg_dump gave them
	seen     map[string]bool
	manifest strings.Builder
	contents *contents
}

// errKept is wrapped by the error about a directory that holds all that
// pg_dump wrote, although not in the form that this package loads.
var errKept = errors.New("it is kept as pg_dump wrote it")

// unpack reads an archive of pg_dump into dir, which must exist and be empty.
// The manifest comes last: a directory that has one is complete.
func unpack(r io.Reader, dir string) (*contents, error) {
	u := &unpacking{dir: dir, names: make(map[string]string), seen: make(map[string]bool)}
	var kept error
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read what pg_dump writes: %w", err)
		}
		if err := u.member(h.Name, archive); errors.Is(err, errKept) {
			kept = err
		} else if err != nil {
			return nil, fmt.Errorf("save member %q: %w", h.Name, err)
		}
	}
	if err := u.complete(); err != nil && kept == nil {
		return nil, err
	}
	err := u.create(manifestName, func(w io.Writer) error {
		_, err := io.WriteString(w, u.manifest.String())
		return err
	})
	return u.contents, errors.Join(kept, err)
}

func (u *unpacking) member(name string, r io.Reader) error {
	if !isMember(name) {
		return errors.New("it is no name of a member")
	}
	if as, ok := u.names[name]; ok {
		name = as
	}
	u.seen[name] = true
	u.manifest.WriteString(name + "\n")
	err := u.create(name, func(w io.Writer) error {
		if name == scriptName {
			return u.script(w, r)
		}
		_, err := io.Copy(w, r)
		return err
	})
	if err == nil && name == tocName {
		err = u.toc()
	}
	return err
}

// isMember says whether a name can be that of a member: a file name, and none
// of this package's.
func isMember(name string) bool {
	return name != "" && name != "." && name != ".." && name != manifestName && !strings.ContainsAny(name, "/\n\x00")
}

// toc replaces the member that comes first by the one to keep.
func (u *unpacking) toc() (err error) {
	path := filepath.Join(u.dir, tocName)
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	const fresh = tocName + ".new"
	err = u.create(fresh, func(w io.Writer) error {
		u.contents, err = readContents(w, in, u.rename)
		return err
	})
	if err != nil {
		clear(u.names)
		return errors.Join(fmt.Errorf("%w, %w", err, errKept), os.Remove(filepath.Join(u.dir, fresh)))
	}
	return os.Rename(filepath.Join(u.dir, fresh), path)
}

// rename returns the member that an entry has from now on: for the rows of a
// table one that does not change with other tables. It must not start with a
// digit: pg_restore takes such a number for that of an entry.
func (u *unpacking) rename(e *tocEntry) string {
	if e.Kind != "TABLE DATA" || e.Member != strconv.Itoa(e.ID)+".dat" {
		return e.Member
	}
	if oid, err := strconv.ParseUint(e.OID, 10, 32); err != nil || oid == 0 {
		return e.Member
	}
	u.names[e.Member] = "table_" + e.OID + ".dat"
	return u.names[e.Member]
}

// script copies restore.sql with the new names. Lines of any length pass, and
// those that name a member are short.
func (u *unpacking) script(w io.Writer, r io.Reader) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadSlice('\n')
		if rest, ok := bytes.CutSuffix(line, []byte(".dat';\n")); ok && bytes.HasPrefix(line, []byte("COPY ")) {
			at := bytes.LastIndex(rest, []byte("'$$PATH$$/")) + len("'$$PATH$$/")
			if name, ok := u.names[string(rest[at:])+".dat"]; ok {
				line = fmt.Appendf(nil, "%s%s';\n", rest[:at], name)
			}
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		} else if err != nil && err != bufio.ErrBufferFull {
			return err
		}
	}
}

// complete says whether there are rows for every table that has some.
func (u *unpacking) complete() error {
	if u.contents == nil {
		return fmt.Errorf("read what pg_dump writes: it has no %q", tocName)
	}
	for t, member := range u.contents.rows {
		if !u.seen[member] {
			return fmt.Errorf("read what pg_dump writes: it has no rows of table %q", t)
		}
	}
	return nil
}

// create writes a file that is not there yet.
func (u *unpacking) create(name string, write func(io.Writer) error) error {
	return createFile(filepath.Join(u.dir, name), write)
}

func createFile(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
