// Package profile knows backup profiles: what a profile is called, which one
// fits a system, where one comes from and how it gets into the registry.
//
// A profile is a directory. Its dirindex.conf lists the paths a backup looks
// at; dirindex and packages describe the installation that the backup is a
// difference to, and either may be absent, which says that nothing is known of
// it; hooks.d has the profile's own hooks.
package profile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"tklbam/pkg/limits"
	"tklbam/pkg/registry"
)

// The names of the parts, which are those of registry.Profile.
const (
	confName     = "dirindex.conf"
	indexName    = "dirindex"
	packagesName = "packages"
	hooksName    = "hooks.d"
	idName       = "profile_id"
	stampName    = "stamp"
)

// A Profile is an installed profile.
type Profile struct {
	Paths     registry.Profile
	ID        ID
	Timestamp time.Time // tells the Hub which version this is

	// Limits are those of dirindex.conf behind an exclusion of "/": a profile
	// covers what it lists and nothing else, also when that is nothing.
	// Overrides are appended.
	Limits limits.List
}

// Load reads the profile at paths. An error that wraps fs.ErrNotExist says
// that there is none. A profile that an old version of this program installed
// may not say its id: it has the system's, which Detect returns.
func Load(paths registry.Profile, system ID) (*Profile, error) {
	p, err := load(paths, system)
	if err != nil {
		return nil, fmt.Errorf("load profile %q: %w", paths.Dir, err)
	}
	return p, nil
}

func load(paths registry.Profile, system ID) (*Profile, error) {
	stamp, err := os.Stat(paths.Stamp)
	if err != nil {
		return nil, err
	}
	id, err := readID(paths.ID, system)
	if err != nil {
		return nil, err
	}
	list, err := readConf(paths.DirindexConf)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
		if !id.Local() {
			err = errors.New("it has no dirindex.conf")
		}
	}
	if err != nil {
		return nil, err
	}
	nothing := limits.Limit{Kind: limits.Path, Exclude: true, Path: "/"}
	return &Profile{
		Paths:     paths,
		ID:        id,
		Timestamp: stamp.ModTime(),
		Limits:    append(limits.List{nothing}, list...),
	}, nil
}

func readID(path string, absent ID) (ID, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return absent, nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 2*maxID))
	if err != nil {
		return "", err
	}
	return ParseID(strings.TrimSpace(string(text)))
}

func readConf(path string) (limits.List, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := limits.ReadPaths(io.LimitReader(f, maxConf))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", confName, err)
	}
	return list, nil
}
