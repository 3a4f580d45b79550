package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// systemSources are the directories that the corpus is copied from, where the
// machine has them: documentation and sources first, then whatever else is
// shared.
func systemSources(ctx context.Context) []string {
	dirs := []string{"/usr/share/doc"}
	if out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output(); err == nil {
		src := filepath.Join(strings.TrimSpace(string(out)), "src")
		if real, err := filepath.EvalSymlinks(src); err == nil {
			dirs = append(dirs, real)
		}
	}
	dirs = append(dirs, "/usr/include")
	python, err := filepath.Glob("/usr/lib/python3*") // Glob orders by name
	if err == nil {
		dirs = append(dirs, python...)
	}
	return append(dirs, "/usr/share")
}

// A copier fills a directory with copies of what the sources hold, until it
// has the number of files or bytes. If the sources have less, it goes through
// them again, and those further copies differ from the first ones in their
// first line.
type copier struct {
	into         string
	seed         uint64
	files, bytes int64 // still to come
	least        int64 // size of a file
	share        float64
	pass         int
}

// Files are copied if their size is within bounds around the mean that they
// should have: few large ones must not fill a small corpus, nor tiny ones make
// up the number long before the bytes are there.
const (
	timesMean  = 200 // at most, of what is still to come
	partOfMean = 32  // at least, of all
)

func (c *copier) run(ctx context.Context, sources []string) error {
	total, err := candidates(sources)
	if err != nil {
		return err
	}
	c.least = c.bytes / c.files / partOfMean
	for c.more() {
		before := c.files
		c.share = float64(c.files) / float64(total)
		for i, dir := range sources {
			if err := c.source(ctx, dir, sources[:i]); err != nil {
				return err
			}
		}
		if c.files == before {
			break
		}
		c.pass++
	}
	if c.pass == 0 {
		return fmt.Errorf("nothing to copy in %s", strings.Join(sources, ", "))
	}
	return nil
}

// candidates counts the regular files of the sources.
func candidates(sources []string) (n int64, err error) {
	for i, dir := range sources {
		err = walkSource(dir, sources[:i], func(_ string, d fs.DirEntry) error {
			if d.Type().IsRegular() {
				n++
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

// walkSource calls fn for what is below dir, but for the directories in skip.
// What can't be listed is passed over: not everybody may read everything.
func walkSource(dir string, skip []string, fn func(path string, d fs.DirEntry) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		for _, s := range skip {
			if path == s {
				return fs.SkipDir
			}
		}
		return fn(path, d)
	})
}

func (c *copier) more() bool { return c.files > 0 && c.bytes > 0 }

func (c *copier) source(ctx context.Context, dir string, skip []string) error {
	return walkSource(dir, skip, func(path string, d fs.DirEntry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !c.more() {
			return fs.SkipAll
		}
		if !c.picks(path) {
			return nil
		}
		to := filepath.Join(c.into, fmt.Sprint(c.pass), path)
		switch {
		case d.Type().IsRegular():
			return c.file(path, to)
		case d.Type() == fs.ModeSymlink && c.pass == 0:
			return copySymlink(path, to)
		}
		return nil
	})
}

// picks chooses the share of all paths that is wanted, evenly, so that a small
// corpus is a mix like a large one.
func (c *copier) picks(path string) bool {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", c.pass, path)
	return rand.New(rand.NewPCG(h.Sum64(), c.seed)).Float64() < c.share
}

// file copies one file with its mode and time. One that can't be opened is
// passed over.
func (c *copier) file(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return nil
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if mean := c.bytes / c.files; info.Size() < c.least || info.Size() > timesMean*mean {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	err = writeTo(to, func(w *bufio.Writer) error {
		if c.pass > 0 {
			fmt.Fprintf(w, "# copy %d of %s, seed %d\n", c.pass, from, c.seed)
		}
		n, err := io.Copy(w, in)
		c.bytes -= n
		c.files--
		return err
	})
	if err != nil {
		return err
	}
	// Readable and writable by whoever runs this, for the edit.
	return errors.Join(os.Chmod(to, info.Mode().Perm()|0o600), os.Chtimes(to, info.ModTime(), info.ModTime()))
}

func copySymlink(from, to string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Symlink(target, to)
}
