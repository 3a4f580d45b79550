package profile

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tklbam/pkg/limits"
)

// Options say what Create makes.
type Options struct {
	Dir   string    // where to; made if absent, its parent is not
	Conf  io.Reader // paths with signs, see ParseConf
	Root  string    // the system to describe, "/" or a chroot
	Force bool      // write into a directory that is not empty, over the files there

	// Index writes the index of what the limits cover below root, with paths
	// as they are within it. Nil leaves the index out: every file is taken for
	// new then.
	Index func(ctx context.Context, w io.Writer, root string, list limits.List) error

	// Packages returns the names of the packages installed below root, sorted.
	// Nil leaves the list out: every package is taken for new then.
	Packages func(ctx context.Context, root string) ([]string, error)
}

// Create makes a custom profile, which DirectorySource reads. Each file is
// replaced as a whole, dirindex.conf first; files that are left out, but are
// there from before, stay. Files get the permissions that the umask leaves:
// an index lists the names and sizes of everything in the covered paths.
func Create(ctx context.Context, opts Options) error {
	if err := create(ctx, opts); err != nil {
		return fmt.Errorf("create profile %q: %w", opts.Dir, err)
	}
	return nil
}

func create(ctx context.Context, opts Options) error {
	list, err := ParseConf(opts.Conf)
	if err != nil {
		return err
	}
	if err := makeDir(opts.Dir, opts.Force); err != nil {
		return err
	}
	if err := writeLines(opts.Dir, confName, list.Strings()); err != nil {
		return err
	}
	if opts.Index != nil {
		err := replace(opts.Dir, indexName, func(w io.Writer) error {
			return opts.Index(ctx, w, opts.Root, list)
		})
		if err != nil {
			return err
		}
	}
	if opts.Packages == nil {
		return nil
	}
	names, err := opts.Packages(ctx, opts.Root)
	if err != nil {
		return err
	}
	return writeLines(opts.Dir, packagesName, names)
}

// ParseConf reads the paths for a new profile: path limits apart by white
// space, several on a line or one. "#" starts a comment anywhere in a line.
// An installed dirindex.conf is read by the line instead, see
// limits.ReadPaths; this form has no place for white space within a path.
func ParseConf(r io.Reader) (limits.List, error) {
	text, err := io.ReadAll(&bounded{r, maxConf})
	if err != nil {
		return nil, fmt.Errorf("read paths: %w", err)
	}
	var list limits.List
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line, _, _ = strings.Cut(line, "#")
		for _, word := range strings.Fields(line) {
			l, err := parsePath(word)
			if err != nil {
				return nil, fmt.Errorf("read paths: line %d: %w", number, err)
			}
			list = append(list, l)
		}
	}
	return list, nil
}

func parsePath(s string) (limits.Limit, error) {
	l, err := limits.Parse(s)
	if err != nil || l.Kind != limits.Path {
		return limits.Limit{}, fmt.Errorf("%q is not an absolute path, with or without a minus sign", s)
	}
	return l, nil
}

// makeDir makes the directory, or sees that it is fit to write into.
func makeDir(dir string, force bool) error {
	err := os.Mkdir(dir, 0o777)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 && !force {
		return fmt.Errorf("it is not an empty directory: %w", fs.ErrExist)
	}
	return nil
}

func writeLines(dir, name string, lines []string) error {
	return replace(dir, name, func(w io.Writer) error {
		for _, line := range lines {
			if _, err := io.WriteString(w, line+"\n"); err != nil {
				return err
			}
		}
		return nil
	})
}

// replace writes a file beside the old one and renames it into its place. A
// crash leaves the old file and perhaps NAME.new, which nothing reads.
func replace(dir, name string, write func(io.Writer) error) error {
	path := filepath.Join(dir, name)
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriter(f)
	err = write(buffer)
	if err == nil {
		err = buffer.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %q: %w", name, err), os.Remove(temp))
	}
	return nil
}
