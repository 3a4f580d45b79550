package packages

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// unitDirs are where deb-systemd-helper(1p) and its sibling for the users'
// units note, with an empty file of the same name, the links they made to
// enable a package's units, and where those links are.
var unitDirs = [...]struct{ instance, state string }{
	{"system", "var/lib/systemd/deb-systemd-helper-enabled"},
	{"user", "var/lib/systemd/deb-systemd-user-helper-enabled"},
}

// A unitLink is a link that enables a unit.
type unitLink struct {
	path  string   // of the link
	unit  string   // name of the unit's file
	units []string // where packages may have it
}

func (l *loader) readUnits() error {
	for _, dir := range unitDirs {
		if err := l.readUnitState(dir.instance, dir.state); err != nil {
			return err
		}
		for _, place := range []string{"etc", "usr/local/lib", "usr/lib", "lib"} {
			if err := l.readPresets(place + "/systemd/" + dir.instance + "-preset"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *loader) readUnitState(instance, state string) error {
	top := filepath.Join(l.b.root, state)
	return filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list enabled units: %w", err)
		}
		ext := path.Ext(name)
		if !d.Type().IsRegular() || ext == ".dsh-also" || ext == ".tmp" {
			return nil
		}
		l.addUnit(instance, strings.TrimPrefix(name, top+"/"))
		return nil
	})
}

func (l *loader) addUnit(instance, name string) {
	u := unitLink{path: "etc/systemd/" + instance + "/" + name, unit: path.Base(name)}
	for _, place := range []string{"lib", "usr/lib"} {
		p := l.res.path(place + "/systemd/" + instance + "/" + template(u.unit))
		u.units = append(u.units, p)
		l.support[p] = true
	}
	if text, ok := l.res.link(u.path); ok {
		l.support[l.res.target(u.path, text)] = true
	}
	l.rules.units = append(l.rules.units, u)
}

// template returns the name of the file of a unit, which for an instance
// "a@b.service" is "a@.service".
func template(unit string) string {
	if at := strings.IndexByte(unit, '@'); at >= 0 {
		return unit[:at+1] + path.Ext(unit)
	}
	return unit
}

// readPresets collects what systemd.preset(5) files disable. That another
// line may enable it nevertheless is left aside: it is in doubt then.
func (l *loader) readPresets(dir string) error {
	names, err := l.names(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(l.b.root, dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a link that leads nowhere
		}
		if err != nil {
			return fmt.Errorf("read preset: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); len(words) > 1 && words[0] == "disable" {
				l.rules.presets = append(l.rules.presets, words[1])
			}
		}
	}
	return nil
}

func (l *loader) disabled(unit string) bool {
	for _, pattern := range l.rules.presets {
		// A malformed pattern disables everything here: it is in doubt.
		if ok, err := path.Match(pattern, unit); ok || err != nil {
			return true
		}
	}
	return false
}

func (l *loader) proveUnits() {
	for _, u := range l.rules.units {
		l.prove(u.path, Generated, func(target string) bool {
			return l.b.hasFile(target) && isUnit(target) &&
				!l.disabled(u.unit) && !l.disabled(path.Base(target))
		})
		if l.keep(u.path) && l.shipsUnit(&u) {
			l.b.absent[u.path] = struct{}{}
		}
	}
}

// isUnit reports whether a file is where packages have their units.
func isUnit(p string) bool {
	dir := strings.TrimPrefix(path.Dir(p), "usr/")
	return dir == "lib/systemd/system" || dir == "lib/systemd/user"
}

func (l *loader) shipsUnit(u *unitLink) bool {
	for _, p := range u.units {
		if l.b.hasFile(p) {
			return true
		}
	}
	return false
}
