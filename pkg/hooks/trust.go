package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrUnsafe says that a hook, or what leads to it, can be written to by
// others than root and the user this program runs as.
var ErrUnsafe = errors.New("others may write to it")

// maxLinks is how many symbolic links a path may lead through.
const maxLinks = 40

// checkTrusted checks that nobody but root and the running user can change
// what path leads to: not the file itself, nor any directory or symbolic link
// on the way to it, nor on the way through those links. What has been found to
// be so stays so.
func checkTrusted(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	w := walker{at: "/", rest: strings.Split(path, "/"), links: maxLinks}
	for len(w.rest) > 0 {
		if err := w.step(); err != nil {
			return fmt.Errorf("refuse %q: %w", path, err)
		}
	}
	return nil
}

// A walker resolves a path component by component.
type walker struct {
	at    string // absolute, and free of symbolic links
	rest  []string
	links int // that may still follow
}

// step takes the first component off the rest. An empty one is the directory
// that has been reached, so the first one of all checks the root.
func (w *walker) step() error {
	name := w.rest[0]
	w.rest = w.rest[1:]
	path := filepath.Join(w.at, name)
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return w.follow(path, info)
	}
	w.at = path
	return checkWriters(path, info, len(w.rest) == 0)
}

func (w *walker) follow(link string, info fs.FileInfo) error {
	if err := checkOwner(link, info); err != nil {
		return err
	}
	if w.links--; w.links < 0 {
		return syscall.ELOOP
	}
	target, err := os.Readlink(link)
	if err != nil {
		return err
	}
	if filepath.IsAbs(target) {
		w.at = "/"
	}
	w.rest = append(strings.Split(target, "/"), w.rest...)
	return nil
}

// checkWriters checks owner and mode; the mode covers access control lists,
// whose mask is in place of the group's permissions. In a directory on the way
// the sticky bit protects what belongs to others; at the end of the way,
// where anything executable is a hook, it would not.
func checkWriters(path string, info fs.FileInfo, last bool) error {
	sticky := info.IsDir() && info.Mode()&fs.ModeSticky != 0 && !last
	if perm := info.Mode().Perm(); perm&0o022 != 0 && !sticky {
		return fmt.Errorf("%q has mode %04o: %w", path, perm, ErrUnsafe)
	}
	return checkOwner(path, info)
}

func checkOwner(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%q: its owner is unknown", path)
	}
	if uid := int(st.Uid); uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("%q belongs to user %d: %w", path, uid, ErrUnsafe)
	}
	return nil
}
