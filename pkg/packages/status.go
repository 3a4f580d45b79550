package packages

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// A Package is what dpkg's status file says of one package on one
// architecture.
type Package struct {
	Name         string
	Architecture string // "all" for a package that runs on every one
	Version      string
	Priority     string
	Essential    bool
	SameName     bool // Multi-Arch: same; may be installed for several architectures
	State        State
	Depends      []string // names of packages in Depends and Pre-Depends, alternatives included
	Conffiles    []Conffile
}

// A State is the third word of a status: how far dpkg got with a package.
type State string

// Installed reports whether p is there and configured. One whose triggers are
// still to run is.
func (p *Package) Installed() bool {
	switch p.State {
	case "installed", "triggers-awaited", "triggers-pending":
		return true
	}
	return false
}

// Unpacked reports whether p's files are on the disk, configured or not.
func (p *Package) Unpacked() bool {
	return p.Installed() || p.State == "unpacked" || p.State == "half-configured"
}

// Present reports whether anything of p is left that purging it would remove:
// files, configuration or a half-finished installation.
func (p *Package) Present() bool { return p.State != "" && p.State != "not-installed" }

// A Sum is an MD5 sum. The zero Sum is none.
type Sum [16]byte

// parseSum returns the zero Sum for what is none, such as the word that
// stands for a conffile that was never configured.
func parseSum(text string) Sum {
	var sum Sum
	if hex.DecodedLen(len(text)) != len(sum) {
		return Sum{}
	}
	if _, err := hex.Decode(sum[:], []byte(text)); err != nil {
		return Sum{}
	}
	return sum
}

// A Conffile is a configuration file that a package ships and dpkg asks about
// before it replaces a changed one.
type Conffile struct {
	Path     string // absolute, as shipped
	Sum      Sum    // of the version that was shipped last
	Obsolete bool   // no longer shipped, but still there
	Removed  bool   // flagged remove-on-upgrade: never shipped
}

// maxLine bounds a line of the status file in bytes. The longest ones,
// dependencies, have some thousands.
const maxLine = 1 << 20

// ParseStatus yields the packages of a dpkg status file: stanzas of
// "Field: value" lines with indented continuations, an empty line between two
// of them, see deb822(5). The first error ends the sequence.
func ParseStatus(r io.Reader) iter.Seq2[Package, error] {
	return func(yield func(Package, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxLine)
		var s stanza
		for n := 1; lines.Scan(); n++ {
			if err := s.line(lines.Text()); err != nil {
				yield(Package{}, fmt.Errorf("parse dpkg's status: line %d: %w", n, err))
				return
			}
			if s.ended && !yield(s.take(), nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Package{}, fmt.Errorf("read dpkg's status: %w", err))
			return
		}
		if s.begun() {
			yield(s.take(), nil)
		}
	}
}

// A stanza is a package while its lines are read.
type stanza struct {
	p           Package
	inConffiles bool
	ended       bool // an empty line ended it
}

func (s *stanza) begun() bool { return s.p.Name != "" }

func (s *stanza) take() Package {
	p := s.p
	*s = stanza{}
	return p
}

func (s *stanza) line(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		s.ended = s.begun()
		return nil
	case text[0] == '#':
		return nil
	case text[0] == ' ' || text[0] == '\t':
		if s.inConffiles {
			s.conffile(strings.TrimSpace(text))
		}
		return nil
	}
	name, value, ok := strings.Cut(text, ":")
	if !ok {
		return errors.New("it has no field name")
	}
	return s.field(name, strings.TrimSpace(value))
}

func (s *stanza) field(name, value string) error {
	s.inConffiles = name == "Conffiles"
	if !s.begun() && name != "Package" {
		return fmt.Errorf("the stanza begins with %q, not with the package", name)
	}
	switch name {
	case "Package":
		if !validName(value) {
			return fmt.Errorf("%q is no package name", value)
		}
		s.p.Name = value
	case "Architecture":
		if !validArchitecture(value) {
			return fmt.Errorf("%q is no architecture", value)
		}
		s.p.Architecture = value
	case "Status":
		if words := strings.Fields(value); len(words) == 3 {
			s.p.State = State(words[2])
		}
	case "Version":
		s.p.Version = value
	case "Priority":
		s.p.Priority = value
	case "Essential":
		s.p.Essential = value == "yes"
	case "Multi-Arch":
		s.p.SameName = value == "same"
	case "Depends", "Pre-Depends":
		s.p.Depends = append(s.p.Depends, dependencies(value)...)
	}
	return nil
}

// dependencies returns the names in a relationship field, such as
// "libc6 (>= 2.36), debconf | debconf-2.0, python3:any".
func dependencies(value string) []string {
	var names []string
	for _, relation := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == '|' }) {
		name, _, _ := strings.Cut(strings.TrimSpace(relation), " ")
		name, _, _ = strings.Cut(name, ":")
		if validName(name) {
			names = append(names, name)
		}
	}
	return names
}

// conffile takes a line of the Conffiles field: path, sum and flags. Only the
// path may contain spaces, so it is cut from the end.
func (s *stanza) conffile(line string) {
	var c Conffile
	for {
		i := strings.LastIndexByte(line, ' ')
		if i < 0 {
			return
		}
		word := line[i+1:]
		line = strings.TrimRight(line[:i], " ")
		switch word {
		case "obsolete":
			c.Obsolete = true
		case "remove-on-upgrade":
			c.Removed = true
		default:
			c.Path, c.Sum = line, parseSum(word)
			s.p.Conffiles = append(s.p.Conffiles, c)
			return
		}
	}
}

// validName reports whether dpkg takes name for a package: it also becomes
// part of a file name. The present policy knows no upper case, old packages
// do.
func validName(name string) bool {
	return name != "" && alphanumeric(name[0]) && !strings.ContainsFunc(name, func(r rune) bool {
		return r > 127 || !alphanumeric(byte(r)) && !strings.ContainsRune("+-._", r)
	})
}

func validArchitecture(name string) bool {
	return name != "" && alphanumeric(name[0]) && !strings.ContainsFunc(name, func(r rune) bool {
		return r > 127 || !alphanumeric(byte(r)) && r != '-'
	})
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
