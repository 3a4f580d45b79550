package packages

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Manual returns the packages that somebody asked for, sorted: those that
// are installed, that apt did not mark as installed automatically, and that
// are not part of every installation: neither essential nor of priority
// required or important, nor needed by those, which is what debootstrap and
// the installer put on each machine, kernels and boot loaders aside. Packages
// of a foreign architecture are named with it, "name:architecture".
//
// It takes the place of New for a profile that has no list of packages.
func Manual(root string) ([]string, error) {
	all, err := Read(root)
	if err != nil {
		return nil, err
	}
	auto, err := readAutomatic(root)
	if err != nil {
		return nil, err
	}
	own, base := native(all), base(all)
	var names []string
	for i := range all {
		p := &all[i]
		if p.Installed() && !base[p.Name] && !auto.has(p, own) {
			names = append(names, p.qualified(own))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// base returns the names of the installed packages that are part of every
// installation, and of those that they depend on.
func base(all []Package) map[string]bool {
	installed := make(map[string][]*Package)
	var pending []string
	for i := range all {
		p := &all[i]
		if !p.Installed() {
			continue
		}
		installed[p.Name] = append(installed[p.Name], p)
		if p.Essential || p.Priority == "required" || p.Priority == "important" {
			pending = append(pending, p.Name)
		}
	}
	found := make(map[string]bool)
	for len(pending) > 0 {
		name := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if found[name] || installed[name] == nil {
			continue
		}
		found[name] = true
		for _, p := range installed[name] {
			pending = append(pending, p.Depends...)
		}
	}
	return found
}

// automatic holds the packages, as "name:architecture", that apt installed
// because another one needed them.
type automatic map[string]bool

// has reports whether p is marked. Packages for all architectures are marked
// under the native one.
func (a automatic) has(p *Package, native string) bool {
	if p.Architecture == "all" {
		return a[p.Name+":"+native] || a[p.Name+":all"]
	}
	return a[p.Name+":"+p.Architecture]
}

// readAutomatic reads apt's extended_states. A machine that has none has no
// automatic packages.
func readAutomatic(root string) (automatic, error) {
	f, err := os.Open(filepath.Join(root, "var/lib/apt/extended_states"))
	if errors.Is(err, fs.ErrNotExist) {
		return automatic{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open apt's states: %w", err)
	}
	defer f.Close()
	return parseAutomatic(f)
}

func parseAutomatic(r io.Reader) (automatic, error) {
	auto := automatic{}
	var name, architecture string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimSpace(value)
		switch field {
		case "Package":
			name, architecture = value, ""
		case "Architecture":
			architecture = value
		case "Auto-Installed":
			if value == "1" {
				auto[name+":"+architecture] = true
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read apt's states: %w", err)
	}
	return auto, nil
}
