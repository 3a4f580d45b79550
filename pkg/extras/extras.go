// Package extras is the directory of metadata in a system backup: what the
// backup was made with, how the system differs from its installation, and
// what is not to be taken from its files. It is /TKLBAM on the system, and
// TKLBAM in an extract.
//
// An extract is hostile: nothing read from it leads outside the directory.
package extras

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"tklbam/pkg/atomicfile"
)

// Name is what the directory is called.
const Name = "TKLBAM"

// The parts. Delta and OverlayList are in the lines of package changes.
const (
	ConfName     = "backup-conf"
	Delta        = "fsdelta"
	OverlayList  = "fsdelta-olist"
	NewPackages  = "newpkgs"
	Unsaved      = "unsaved" // what could not be looked at, a line each; not in a backup that lacks nothing
	MySQL        = "myfs"
	PostgreSQL   = "pgfs"
	MySQLAccess  = "etc/mysql/debian.cnf" // the credentials that Debian maintains the server with
	etcName      = "etc"
	maxSmallFile = 64 << 20 // bytes: as large as what is read as a whole gets
)

// A Dir is the path of such a directory.
type Dir string

// In returns the directory in a root: "/" or that of an extract.
func In(root string) Dir { return Dir(filepath.Join(root, Name)) }

// Path returns the path of a part.
func (d Dir) Path(part string) string { return filepath.Join(string(d), part) }

// Create makes the directory anew, readable by its owner only. What was there
// before is gone.
func (d Dir) Create() error {
	if err := d.Remove(); err != nil {
		return err
	}
	for _, dir := range []string{string(d), d.Path(etcName)} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o700); err != nil { // whatever the umask
			return err
		}
	}
	return nil
}

// Remove removes the directory, if it is there.
func (d Dir) Remove() error { return os.RemoveAll(string(d)) }

// A Conf is what a backup was made with.
type Conf struct {
	ProfileID    string   `json:"profile_id"`
	Overrides    []string `json:"overrides"`
	SkipFiles    bool     `json:"skip_files"`
	SkipPackages bool     `json:"skip_packages"`
	SkipDatabase bool     `json:"skip_database"`
}

// SetConf stores the configuration. It comes last: a directory that has one is
// complete.
func (d Dir) SetConf(c Conf) error {
	if c.Overrides == nil {
		c.Overrides = []string{} // as the predecessor writes it
	}
	doc, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return atomicfile.Write(d.Path(ConfName), append(doc, '\n'), 0o600)
}

// Conf returns the stored configuration; fs.ErrNotExist if there is none, as
// in a backup of very old versions.
func (d Dir) Conf() (c Conf, err error) {
	doc, err := d.Read(ConfName)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(doc, &c); err != nil {
		return c, fmt.Errorf("read %q: %w", d.Path(ConfName), err)
	}
	return c, nil
}

// Same reports whether two configurations ask for the same backup.
func (c Conf) Same(o Conf) bool {
	a, aerr := json.Marshal(c)
	b, berr := json.Marshal(o)
	return aerr == nil && berr == nil && bytes.Equal(a, b)
}

// Open opens a part for reading. It follows no link that leads out of the
// directory, and opens nothing but regular files. Absence is fs.ErrNotExist.
func (d Dir) Open(part string) (*os.File, error) {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if info, err := root.Stat(part); err != nil {
		return nil, fmt.Errorf("open %q: %w", d.Path(part), errors.Unwrap(err))
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open %q: it is no regular file", d.Path(part))
	}
	return root.Open(part)
}

// Read returns the content of a part that is read as a whole.
func (d Dir) Read(part string) ([]byte, error) {
	f, err := d.Open(part)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSmallFile+1))
	if err == nil && len(data) > maxSmallFile {
		err = fmt.Errorf("read %q: it is larger than %d bytes", d.Path(part), maxSmallFile)
	}
	return data, err
}

// Keep stores a file of the system as a part, readable by its owner only. That
// it is absent is no error.
func (d Dir) Keep(part, file string) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(d.Path(part)), 0o700)
	}
	if err != nil {
		return err
	}
	return atomicfile.Write(d.Path(part), data, 0o600)
}

// Exists reports whether the directory is there, as a directory.
func (d Dir) Exists() (bool, error) {
	info, err := os.Lstat(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.IsDir(), err
}
