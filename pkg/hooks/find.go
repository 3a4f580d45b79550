package hooks

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const signatureSuffix = ".sig"

// local returns the paths of the configuration's hooks.
func (h *Hooks) local() ([]string, error) {
	if h.Local == "" {
		return nil, nil
	}
	dir, err := filepath.Abs(h.Local) // an inspect hook is run in another directory
	if err != nil {
		return nil, err
	}
	entries, err := readDir(dir)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	if err := checkTrusted(dir); err != nil {
		return nil, err
	}
	var hooks []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			h.skip(path, errors.New("it is a symbolic link that leads nowhere"))
			continue
		}
		if err != nil {
			return nil, err
		}
		if !isHook(info, e.Name()) {
			continue
		}
		if err := checkTrusted(path); err != nil {
			return nil, err
		}
		hooks = append(hooks, path)
	}
	return hooks, nil
}

// profile returns the paths of the profile's hooks, of which nothing is
// verified yet.
func (h *Hooks) profile() ([]string, error) {
	if h.Profile == "" {
		return nil, nil
	}
	entries, err := readDir(h.Profile)
	if err != nil {
		return nil, err
	}
	var hooks []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		if isHook(info, e.Name()) {
			hooks = append(hooks, filepath.Join(h.Profile, e.Name()))
		}
	}
	return hooks, nil
}

// readDir lists a directory in the order of names. One that does not exist is
// empty.
func readDir(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// isHook reports whether a file is meant to be run. As ever, that is whatever
// its name is, except that of a signature; who disables a hook takes its
// permission to execute.
func isHook(info fs.FileInfo, name string) bool {
	return info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 && !strings.HasSuffix(name, signatureSuffix)
}
