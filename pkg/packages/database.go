package packages

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// adminDir is dpkg's database, relative to the root.
const adminDir = "var/lib/dpkg"

// Read returns what dpkg below root knows of every package, in the order of
// its status file.
func Read(root string) ([]Package, error) {
	all, err := readStatus(filepath.Join(root, adminDir, "status"))
	if err != nil {
		return nil, err
	}
	return applyUpdates(all, filepath.Join(root, adminDir, "updates"))
}

func readStatus(path string) ([]Package, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open dpkg's status: %w", err)
	}
	defer f.Close()
	var all []Package
	for p, err := range ParseStatus(f) {
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// applyUpdates adds dpkg's journal: while dpkg works, and after it was killed,
// the directory updates holds what the status file does not say yet, in files
// numbered with four digits.
func applyUpdates(all []Package, dir string) ([]Package, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list dpkg's updates: %w", err)
	}
	for _, e := range entries {
		if strings.Trim(e.Name(), "0123456789") != "" {
			continue
		}
		newer, err := readStatus(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = supersede(all, newer)
	}
	return all, nil
}

func supersede(all, newer []Package) []Package {
	for _, p := range newer {
		i := slices.IndexFunc(all, func(q Package) bool {
			return q.Name == p.Name && q.Architecture == p.Architecture
		})
		if i < 0 {
			all = append(all, p)
			continue
		}
		all[i] = p
	}
	return all
}

// native returns the architecture dpkg itself is installed for.
func native(all []Package) string {
	for i := range all {
		if all[i].Name == "dpkg" && all[i].Installed() {
			return all[i].Architecture
		}
	}
	return ""
}

// qualified returns the name that apt and dpkg know p by on a machine of the
// given architecture: with p's own, if that is another one.
func (p *Package) qualified(native string) string {
	if p.Architecture == native || p.Architecture == "all" || p.Architecture == "" {
		return p.Name
	}
	return p.Name + ":" + p.Architecture
}

// An admin reads files of dpkg's database below a root.
type admin string

// read returns the content of a file of the database; there is none of a file
// that is absent, which dpkg treats alike.
func (a admin) read(name string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(string(a), name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read package database: %w", err)
	}
	return text, nil
}

// open is read for files that may be long.
func (a admin) open(name string) (io.ReadCloser, error) {
	f, err := os.Open(filepath.Join(string(a), name))
	if errors.Is(err, fs.ErrNotExist) {
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return nil, fmt.Errorf("open package database: %w", err)
	}
	return f, nil
}
