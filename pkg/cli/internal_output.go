package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"tklbam/pkg/tree"
)

// A makeFunc writes a file. Own is a directory to keep out of while it looks
// around: the file lies in it until it is complete.
type makeFunc func(w io.Writer, own ...tree.Identity) error

// replaceFile has a file made anew, or for the first time. It takes the old
// one's place, and its permissions, when it is complete. Symlinks are
// followed. What is no regular file, such as a pipe, is written to as it is.
func replaceFile(path string, write makeFunc) error {
	old, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeFile(path, nil, write)
	case err != nil:
		return err
	case !old.Mode().IsRegular():
		return writeFile(path, os.O_WRONLY, func(f *os.File) error { return write(f) })
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	return makeFile(path, old, write)
}

// makeFile makes a file in a directory of its own, ".tklbam-N" beside where it
// then goes. A crash leaves that directory, and the old file.
func makeFile(path string, old fs.FileInfo, write makeFunc) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".tklbam-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	own, err := tree.IdentityOf(dir)
	if err != nil {
		return err
	}
	temp := filepath.Join(dir, filepath.Base(path))
	err = writeFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, func(f *os.File) error {
		if old != nil {
			if err := f.Chmod(old.Mode().Perm()); err != nil {
				return err
			}
		}
		if err := write(f, own); err != nil {
			return err
		}
		return f.Sync()
	})
	if err != nil {
		return err
	}
	return os.Rename(temp, path)
}

func writeFile(path string, flags int, write func(*os.File) error) error {
	f, err := os.OpenFile(path, flags, 0o666)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
