package profile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Source is where Install gets a profile from. It may serve once only.
type Source struct {
	ID        ID
	Timestamp time.Time // zero for the time of installation

	// parts hands each part to put.
	parts func(ctx context.Context, put putter) error
}

// A putter takes one part of a profile: dirindex.conf, dirindex, packages or a
// file in hooks.d. It closes nothing.
type putter func(part string, executable bool, r io.Reader) error

// EmptySource is the profile that covers nothing but what overrides list.
func EmptySource() Source {
	return Source{ID: Empty, parts: func(context.Context, putter) error { return nil }}
}

// BuiltinSource is the generic profile that comes with the program. It has
// neither an index nor packages, since it fits any system.
func BuiltinSource() Source {
	return Source{ID: Generic, parts: func(_ context.Context, put putter) error {
		return put(confName, false, strings.NewReader(genericConf))
	}}
}

// DirectorySource is a profile as Create leaves it in a directory. Files that
// are no part of a profile are passed over.
func DirectorySource(dir string) (Source, error) {
	id, err := customID(dir)
	if err != nil {
		return Source{}, fmt.Errorf("use profile %q: %w", dir, err)
	}
	return Source{ID: id, parts: func(ctx context.Context, put putter) error {
		return directory{dir, put}.parts(ctx)
	}}, nil
}

// LocalSource returns the source for what --force-profile names, if it can be
// served without the Hub: "empty", or a directory. It reports false for
// anything else, which is then an id. A directory called "empty" or "generic"
// is "./empty" or "./generic".
func LocalSource(value string) (Source, bool, error) {
	switch ID(value) {
	case Empty:
		return EmptySource(), true, nil
	case Generic:
		return Source{}, false, nil
	}
	if info, err := os.Stat(value); err != nil || !info.IsDir() {
		return Source{}, false, nil
	}
	s, err := DirectorySource(value)
	return s, true, err
}

// A directory is a DirectorySource at work.
type directory struct {
	path string
	put  putter
}

func (d directory) parts(ctx context.Context) error {
	for _, name := range []string{confName, indexName, packagesName} {
		if err := d.copy(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	hooks, err := os.ReadDir(filepath.Join(d.path, hooksName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, hook := range hooks {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.copy(hooksName + "/" + hook.Name()); err != nil {
			return err
		}
	}
	return nil
}

// copy follows symbolic links: the directory is the user's own.
func (d directory) copy(part string) error {
	path := filepath.Join(d.path, part)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%q is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return d.put(part, info.Mode()&0o111 != 0, f)
}
