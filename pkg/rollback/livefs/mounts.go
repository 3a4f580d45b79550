package livefs

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/sysfs"
)

// realPath returns the absolute path of an open directory, as the kernel
// knows it.
func realPath(dir int) (string, error) {
	path, err := os.Readlink(sysfs.ProcPath(dir))
	if err != nil {
		return "", fmt.Errorf("find the path of a directory: %w", err)
	}
	return path, nil
}

// Mounted reports, as an error that wraps unix.EBUSY, that a file system is
// mounted on the directory dir is a descriptor of, or below it.
func Mounted(dir int) error {
	path, err := realPath(dir)
	if err != nil {
		return err
	}
	points, err := mountPoints()
	if err != nil {
		return err
	}
	for _, point := range points {
		if archive.Within(point, path) {
			return fmt.Errorf("%q is a mount point: %w", point, unix.EBUSY)
		}
	}
	return nil
}

// mountPoints lists where file systems are mounted: field 5 of
// /proc/self/mountinfo, see proc(5).
func mountPoints() ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mount points: %w", err)
	}
	defer f.Close()
	var points []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 {
			points = append(points, unescape(fields[4]))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("list mount points: %w", err)
	}
	return points, nil
}

// unescape resolves the kernel's \ooo for blanks and backslashes.
func unescape(s string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 || i+4 > len(s) {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
			b.WriteByte(byte(c))
		} else {
			b.WriteString(s[i : i+4])
		}
		s = s[i+4:]
	}
}

// PathBelow returns the path of an open directory relative to another that it
// lies below; "" if they are the same.
func PathBelow(root, dir int) (string, error) {
	base, err := realPath(root)
	if err != nil {
		return "", err
	}
	path, err := realPath(dir)
	if err != nil {
		return "", err
	}
	base = strings.TrimSuffix(base, "/")
	rest, ok := strings.CutPrefix(path, base)
	if !ok || rest != "" && rest[0] != '/' {
		return "", fmt.Errorf("%q is not below %q: %w", path, base, unix.EXDEV)
	}
	return strings.TrimPrefix(rest, "/"), nil
}
