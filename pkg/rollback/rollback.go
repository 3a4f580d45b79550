// Package rollback keeps what a restore displaces, and returns a system to
// what it was before. Linux only.
//
// The record of one restore is a directory, open to its owner alone:
//
//	journal           what was about to be changed, in order; see below
//	originals/PATH    what was at PATH: a hard link, or a copy from another file system
//	trees/N           a whole directory that had to make way, moved or copied
//	partial/N         copies not yet complete
//	myfs, pgfs        databases as they were, by whoever restores those
//
// A restore must write in this order, and so that a kill at any point, and a
// loss of power on file systems that keep their own changes in order, can be
// undone:
//
//  1. The intent, with the prior state, goes to the journal, which is synced.
//     One sync serves many intents (Journal.Sync).
//  2. What is about to be displaced gets a second name in originals
//     (Journal.Keep); copies are synced, together (Journal.Flush).
//  3. The path changes, by one rename where that is possible.
//
// The journal tells states, not steps. Undo goes through it from the end and
// brings every path to its prior state: what is there already costs a look, so
// it does not matter which intents were carried out, nor whether an earlier
// Undo was killed. The record stays until Remove.
//
// The layout of the releases before this program (originals, fsdelta,
// dirindex, newpkgs, etc/passwd and etc/group) is undone too.
package rollback

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tklbam/pkg/rollback/livefs"
	"tklbam/pkg/sysfs"
)

// DefaultDir is where the record of the newest restore lies by default.
const DefaultDir = "/var/backups/tklbam-rollback"

// Directories of databases in a record.
const (
	MyFS = "myfs"
	PgFS = "pgfs"
)

// What is in a record besides.
const (
	journalFile  = "journal"
	originalsDir = "originals"
	treesDir     = "trees"
	partialDir   = "partial"
)

// Endings of the names beside the record that nothing is read from.
const (
	beginning = ".new"  // a record that is not complete yet
	ending    = ".gone" // a record on its way out
)

// Options say what a record is about.
type Options struct {
	Root string    // directory that the paths are relative to: "/"
	Now  time.Time // when the restore began

	// Copy keeps copies of files, not second names: for files that something
	// else may write to in place.
	Copy bool

	// Fault is livefs.Calls.Before, for tests.
	Fault func(step string) error
}

// Begin starts the record of a restore at dir. An earlier one there that was
// not undone is kept: it is renamed to dir.N, with N above all others, unless
// it holds nothing to undo. Open finds the newest.
//
// The record is made as dir.new and takes its name when it is complete, so
// that a begin that was interrupted leaves the earlier records as they were.
func Begin(dir string, opts Options) (*Journal, error) {
	dir = filepath.Clean(dir)
	j, err := begin(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("begin rollback record %q: %w", dir, err)
	}
	return j, nil
}

func begin(dir string, opts Options) (*Journal, error) {
	calls := livefs.Calls{Before: opts.Fault}
	if err := sweep(dir); err != nil {
		return nil, err
	}
	made := dir + beginning
	for _, d := range []string{made, filepath.Join(made, originalsDir), filepath.Join(made, treesDir), filepath.Join(made, partialDir)} {
		if err := calls.Step("make record"); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	j, err := newJournal(made, calls, opts)
	if err != nil {
		return nil, err
	}
	if err := install(dir, calls); err != nil {
		j.abandon()
		return nil, err
	}
	j.dir = dir
	return j, nil
}

// sweep removes what interrupted calls left.
func sweep(dir string) error {
	return errors.Join(removeTree(dir+beginning), removeTree(dir+ending))
}

// install puts the new record in its place, and an earlier one aside.
func install(dir string, calls livefs.Calls) error {
	if err := calls.Step("rotate record"); err != nil {
		return err
	}
	if err := setAside(dir); err != nil {
		return err
	}
	if err := calls.Step("install record"); err != nil {
		return err
	}
	if err := os.Rename(dir+beginning, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func setAside(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if empty(dir) {
		return discard(dir)
	}
	last := 0
	for _, n := range rotated(dir) {
		last = max(last, n)
	}
	return os.Rename(dir, numbered(dir, last+1))
}

// empty reports whether a record surely holds nothing to undo.
func empty(dir string) bool {
	r, err := read(dir)
	if err != nil {
		return false
	}
	defer r.Close()
	return r.Empty()
}

func discard(dir string) error {
	if err := os.Rename(dir, dir+ending); err != nil {
		return err
	}
	return removeTree(dir + ending)
}

// removeTree removes a directory that need not exist, but not what another
// file system below it holds.
func removeTree(dir string) error {
	parent, err := sysfs.Open(filepath.Dir(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	return parent.RemoveAll(filepath.Base(dir))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// rotated returns the numbers of the records beside dir, highest first.
func rotated(dir string) []int {
	names, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		return nil // what cannot be listed cannot be undone either
	}
	var found []int
	for _, name := range names {
		ext, ok := strings.CutPrefix(name.Name(), filepath.Base(dir)+".")
		if n, err := strconv.Atoi(ext); ok && err == nil && n > 0 && strconv.Itoa(n) == ext {
			found = append(found, n)
		}
	}
	slices.SortFunc(found, func(a, b int) int { return cmp.Compare(b, a) })
	return found
}

func numbered(dir string, n int) string { return dir + "." + strconv.Itoa(n) }

// List returns the directories of the records that dir stands for, the newest
// first: dir itself and those that later ones put aside.
func List(dir string) []string {
	dir = filepath.Clean(dir)
	var list []string
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		list = append(list, dir)
	}
	for _, n := range rotated(dir) {
		list = append(list, numbered(dir, n))
	}
	return list
}

// Open opens the newest record that dir stands for, which is the one to undo
// first. The error wraps fs.ErrNotExist if there is none.
func Open(dir string) (*Record, error) {
	list := List(dir)
	if len(list) == 0 {
		return nil, fmt.Errorf("open rollback record %q: %w", dir, fs.ErrNotExist)
	}
	r, err := read(list[0])
	if err != nil {
		return nil, fmt.Errorf("open rollback record %q: %w", list[0], err)
	}
	return r, nil
}
