// Package packages knows what dpkg and apt know of a machine: which packages
// are installed and which of them somebody asked for, which files are as a
// package left them, and how packages are installed and purged without a
// question being asked.
//
// What files tell is read from files, below a root directory that need not be
// the running system's. On a machine without dpkg or apt every function that
// asks them returns an error that wraps fs.ErrNotExist.
package packages

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Installed returns the names of the installed packages, sorted, in the form
// of a profile's "packages" file: without architecture, so that a package
// installed for two of them has one name.
func Installed(root string) ([]string, error) {
	all, err := Read(root)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range all {
		if p.Installed() {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// New returns the packages that are installed and that the profile does not
// list: a backup's "newpkgs". The result is sorted; the arguments need not be.
func New(installed, profile []string) []string {
	known := set(profile)
	var names []string
	for _, name := range installed {
		if !known[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// set returns names as a set.
func set(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}

// ParseNames reads a list of packages: names, one per line, with comments
// after "#". They come back in the order of the list.
func ParseNames(r io.Reader) ([]string, error) {
	var names []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if name := strings.TrimSpace(line); name != "" {
			names = append(names, name)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read list of packages: %w", err)
	}
	return names, nil
}

// FormatNames is the text of a "packages" or "newpkgs" file: one name per
// line.
func FormatNames(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return strings.Join(names, "\n") + "\n"
}
