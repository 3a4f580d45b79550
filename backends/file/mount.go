package file

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"tklbam/backends"
)

// checkAbove checks the deepest directory above a path that is there: where
// the path would be made.
func (o Options) checkAbove(path string) error {
	if !o.RequireMount {
		return nil
	}
	dir, err := openDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return o.checkAbove(filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	return errors.Join(o.check(dir), dir.Close())
}

// check refuses an open directory that is on the root file system, if it must
// not be. To open it has mounted what an automounter mounts.
func (o Options) check(dir *os.File) error {
	if !o.RequireMount {
		return nil
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
	if err != nil {
		return fmt.Errorf("look for a mount: %w", err)
	}
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("look for a mount: %w", err)
	}
	defer mounts.Close()
	mounted, err := isMounted(mounts, path)
	if err != nil {
		return fmt.Errorf("look for a mount: %w", err)
	}
	if !mounted {
		return fmt.Errorf("%w: nothing is mounted at %q or above", backends.ErrUnavailable, path)
	}
	return nil
}

// isMounted reports whether a path without links is at or below a mount point
// other than "/". The fifth field of a line of mountinfo is the mount point
// (proc_pid_mountinfo(5)).
func isMounted(mountinfo io.Reader, path string) (bool, error) {
	const mountPoint = 4
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) <= mountPoint {
			continue
		}
		point := unescape(fields[mountPoint])
		if point != "/" && (path == point || strings.HasPrefix(path, point+"/")) {
			return true, nil
		}
	}
	return false, lines.Err()
}

// unescape replaces the octal codes that blanks, line ends and backslashes have
// in the files of mounts.
func unescape(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, `\`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		text = after
		if len(after) < 3 {
			b.WriteByte('\\')
			continue
		}
		code, err := strconv.ParseUint(after[:3], 8, 8)
		if err != nil {
			b.WriteByte('\\')
			continue
		}
		b.WriteByte(byte(code))
		text = after[3:]
	}
}
