package rollback

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/rollback/livefs"
	"tklbam/pkg/sysfs"
)

// The layout of earlier releases: a delta with one line for every path the
// restore was to change, an index with the state of those that existed, and
// what the delta's "o" and "d" lines displaced in originals.
const (
	oldDelta    = "fsdelta"
	oldIndex    = "dirindex"
	oldPackages = "newpkgs"
	oldEtc      = "etc"
)

// Package is the kind of the notes that hold names of packages installed, and
// under which the list of an earlier release is found.
const Package = "package"

func (r *Record) readOld() error {
	r.old = true
	var st unix.Stat_t
	if err := unix.Stat(r.dir, &st); err != nil {
		return err
	}
	r.started = time.Unix(st.Ctim.Unix())
	names, err := readLines(filepath.Join(r.dir, oldPackages))
	if len(names) > 0 {
		r.notes[Package] = names
	}
	return err
}

func (r *Record) oldEmpty() bool {
	names, err := os.ReadDir(r.dir)
	return err == nil && len(names) == 0
}

// readLines returns the lines of a file that are not blank; none if it does
// not exist.
func readLines(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var lines []string
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return lines, err
}

// An oldState is what is known of a path: its line in the delta and that in
// the index.
type oldState struct {
	path    string // absolute, as it was written
	op      string // o: replaced, s: owner and mode changed, d: deleted
	existed bool
	meta    livefs.Meta
}

// oldFiles undoes the delta. Without an index, because the restore was killed
// before it wrote that, it is not known what existed, and only originals go
// back.
func (u *undo) oldFiles(ctx context.Context) error {
	list, indexed, err := u.record.oldStates()
	if err != nil {
		return err
	}
	for i, s := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		u.result.Paths++
		err := u.oldOne(ctx, s, i, indexed)
		if livefs.NoSpace(err) {
			return fmt.Errorf("put back %q: %w", s.path, err)
		}
		if err != nil {
			passed := sysfs.Gone(err) || errors.Is(err, ErrOccupied) || errors.Is(err, ErrChanged)
			u.report(s.path, err, s.op != "s" && s.existed || !passed)
		}
	}
	return u.oldAccounts()
}

// oldStates returns the states with what lies in a directory before it.
func (r *Record) oldStates() (list []oldState, indexed bool, err error) {
	delta, err := readLines(filepath.Join(r.dir, oldDelta))
	if err != nil {
		return nil, false, err
	}
	index, err := r.oldIndex()
	if err != nil {
		return nil, false, err
	}
	for _, line := range delta {
		f := strings.Split(line, "\t")
		if len(f) < 2 || !strings.Contains("osd", f[0]) || len(f[0]) != 1 {
			return nil, false, fmt.Errorf("read %q: bad line %q", oldDelta, line)
		}
		s := oldState{path: f[1], op: f[0]}
		s.meta, s.existed = index[s.path]
		list = append(list, s)
	}
	slices.SortStableFunc(list, func(a, b oldState) int { return archive.Compare(b.path, a.path) })
	return list, index != nil, nil
}

// oldIndex reads the index, nil if there is none.
func (r *Record) oldIndex() (map[string]livefs.Meta, error) {
	path := filepath.Join(r.dir, oldIndex)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	lines, err := readLines(path)
	if err != nil {
		return nil, err
	}
	index := make(map[string]livefs.Meta, len(lines))
	for _, line := range lines {
		f := strings.Split(line, "\t")
		if len(f) < 6 {
			return nil, fmt.Errorf("read %q: bad line %q", oldIndex, line)
		}
		var nums [3]uint64
		for i := range nums {
			if nums[i], err = strconv.ParseUint(f[i+1], 16, 32); err != nil {
				return nil, fmt.Errorf("read %q: bad line %q", oldIndex, line)
			}
		}
		index[f[0]] = livefs.Meta{Mode: uint32(nums[0]), UID: int(nums[1]), GID: int(nums[2])}
	}
	return index, nil
}

func (u *undo) oldOne(ctx context.Context, s oldState, seq int, indexed bool) error {
	path, err := resolve(u.opts.Root, s.path)
	if indexed && !s.existed && sysfs.Gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	e := &entry{seq: seq, path: path, place: originalsDir + "/" + strings.Trim(s.path, "/")}
	switch {
	case indexed && !s.existed:
		return u.remove(e)
	case s.op != "s":
		if err := u.putBack(ctx, e); err != nil {
			return err
		}
	}
	if !indexed {
		return nil
	}
	return u.setMeta(path, s.meta)
}

// oldAccounts puts the user databases back, which earlier releases kept apart.
func (u *undo) oldAccounts() error {
	for i, name := range []string{"passwd", "group"} {
		from := filepath.Join(u.record.dir, oldEtc, name)
		if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := u.oldAccount(oldEtc+"/"+name, i); err != nil {
			if livefs.NoSpace(err) {
				return err
			}
			u.report("/"+oldEtc+"/"+name, err, true)
		}
	}
	return nil
}

// oldAccount gives a database its old content; owner and mode stay as they
// are now, as ever.
func (u *undo) oldAccount(path string, seq int) error {
	copier, err := u.copies()
	if err != nil {
		return err
	}
	e, err := copier.Stat(path)
	if err != nil {
		return err
	}
	p, err := u.place(path)
	if err != nil {
		return err
	}
	now, err := p.Stat()
	if err != nil {
		return err
	}
	if now != nil {
		e.Mode, e.UID, e.GID = now.Mode&07777, int(now.Uid), int(now.Gid)
	}
	temp := tempName(oldEtc, seq)
	if err := u.calls.Unlink(p.Beside(temp)); err != nil {
		return err
	}
	if err := copier.File(e, oldEtc+"/"+temp); err != nil {
		return err
	}
	return u.calls.Rename(p.Beside(temp), p)
}

// resolve returns the path below root that an absolute path of an earlier
// release leads to: it followed symlinks, which may not leave the root here,
// in all but the last component.
func resolve(root, path string) (string, error) {
	clean, err := archive.CleanPath(strings.Trim(path, "/"))
	if err != nil {
		return "", err
	}
	dir, name := sysfs.Split(clean)
	base, err := sysfs.Openat(unix.AT_FDCWD, root, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", fmt.Errorf("open %q: %w", root, err)
	}
	defer unix.Close(base)
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(base, "./"+dir, &how)
	if err != nil {
		return "", fmt.Errorf("open %q: %w", dir, err)
	}
	defer unix.Close(fd)
	dir, err = livefs.PathBelow(base, fd)
	if err != nil {
		return "", err
	}
	return below(dir, name), nil
}
