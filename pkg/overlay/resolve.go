package overlay

import (
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/rollback/livefs"
	"tklbam/pkg/sysfs"
)

// maxLinks bounds the symlinks on the way to one path, as the kernel does.
const maxLinks = 40

// A resolver finds out where the paths of a plan lie. What was a directory on
// the machine that was backed up can be a symlink to one here (/lib,
// /var/run), and is followed if that is safe:
//
//   - it and all it leads through are below the root, which stands for "/" in
//     absolute targets and is its own parent, so that nothing leads out;
//   - it belongs to root, to this process's user, or to the owner of the
//     directory it leads to, so that nobody can have files put where they
//     could not put them;
//   - it was there before the restore.
//
// The result leads through no symlink, and sysfs.Root, which is what then
// goes there, does not follow one that appears meanwhile.
type resolver struct {
	live    *sysfs.Root
	euid    int
	through func(link, dir string)
	told    map[string]bool
	made    map[string]made

	last, lastReal string // directory that was asked for last, and where it lies
}

// made says what the restore put at a path, or will before it gets to the
// next action.
type made uint8

const (
	madeDir made = iota + 1
	madeLink
)

func newResolver(live *sysfs.Root, through func(link, dir string)) *resolver {
	return &resolver{
		live: live, euid: unix.Geteuid(), through: through,
		told: make(map[string]bool), made: make(map[string]made),
	}
}

// path returns where path lies: the same string unless it leads through a
// symlink. The last component is not followed, and what is missing on the way
// is taken as it is written.
func (r *resolver) path(path string) (string, error) {
	clean, err := archive.CleanPath(path)
	if err == nil && clean == "" {
		err = fmt.Errorf("path %q is the root: %w", path, fs.ErrInvalid)
	}
	if err != nil {
		return "", err
	}
	dir, name := sysfs.Split(clean)
	if dir != r.last {
		real, err := r.dir(dir)
		if err != nil {
			return "", err
		}
		r.last, r.lastReal = dir, real
	}
	if r.lastReal == dir {
		return clean, nil
	}
	return below(r.lastReal, name), nil
}

// becomes takes note of what the restore puts at a resolved path; 0 is
// anything that no path leads through.
func (r *resolver) becomes(real string, what made) {
	if what == 0 {
		delete(r.made, real)
	} else {
		r.made[real] = what
	}
	if archive.Within(r.lastReal, real) {
		r.forget()
	}
}

// forget drops what was found out last. It stands for no directory then.
func (r *resolver) forget() { r.last, r.lastReal = "\x00", "\x00" }

func (r *resolver) dir(path string) (string, error) {
	real := ""
	for rest := path; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		links := 0
		next, err := r.enter(real, name, &links)
		if err == errMissing {
			real = below(real, name)
			if rest != "" {
				real += "/" + rest
			}
			return real, nil
		}
		if err != nil {
			return "", err
		}
		real = next
	}
	return real, nil
}

// errOwnLink says that a path leads through a symlink that the restore put
// there.
var errOwnLink = fmt.Errorf("made by this restore: %w", ErrSymlink)

// errMissing says that there is no directory, nor a symlink.
var errMissing = fmt.Errorf("no such directory: %w", fs.ErrNotExist)

// enter returns where the directory name in the directory real lies.
func (r *resolver) enter(real, name string, links *int) (string, error) {
	path := below(real, name)
	switch r.made[path] {
	case madeDir:
		return path, nil
	case madeLink:
		return "", fmt.Errorf("%q: %w", path, errOwnLink)
	}
	p, err := livefs.At(r.live, path)
	if sysfs.Gone(err) {
		return "", errMissing
	}
	if err != nil {
		return "", err
	}
	st, err := p.Stat()
	switch {
	case err != nil:
		return "", err
	case livefs.IsDir(st):
		return path, nil
	case !livefs.IsLink(st):
		return "", errMissing
	}
	return r.follow(p, st, path, links)
}

// follow returns where the symlink at path leads to, which must be an existing
// directory.
func (r *resolver) follow(p livefs.Place, st *unix.Stat_t, path string, links *int) (string, error) {
	if *links++; *links > maxLinks {
		return "", fmt.Errorf("%q: %w", path, unix.ELOOP)
	}
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(p.Dir, p.Name, target)
	if err != nil {
		return "", fmt.Errorf("read symlink %q: %w", path, err)
	}
	real, _ := sysfs.Split(path)
	if target[0] == '/' {
		real = ""
	}
	for name := range strings.SplitSeq(string(target[:n]), "/") {
		switch name {
		case "", ".":
		case "..":
			real, _ = sysfs.Split(real)
		default:
			if real, err = r.enter(real, name, links); err != nil {
				return "", fmt.Errorf("%q: %w (%w)", path, ErrSymlink, err)
			}
		}
	}
	if err := r.trust(st, path, real); err != nil {
		return "", err
	}
	if !r.told[path] {
		r.told[path] = true
		r.through(path, real)
	}
	return real, nil
}

// trust decides whether a symlink's owner may lead the restore to a directory.
func (r *resolver) trust(link *unix.Stat_t, path, real string) error {
	if link.Uid == 0 || int(link.Uid) == r.euid {
		return nil
	}
	dir, err := r.live.Dir(real)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return fmt.Errorf("stat %q: %w", real, err)
	}
	if st.Uid != link.Uid {
		return fmt.Errorf("%q, owned by %d, to %q, owned by %d: %w", path, link.Uid, real, st.Uid, ErrSymlink)
	}
	return nil
}

func below(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
