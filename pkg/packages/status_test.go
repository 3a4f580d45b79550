package packages

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const someSum = "0123456789abcdef0123456789abcdef"

func parseAll(text string) ([]Package, error) {
	var all []Package
	for p, err := range ParseStatus(strings.NewReader(text)) {
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

func TestParseStatus(t *testing.T) {
	sum := parseSum(someSum)
	for name, c := range map[string]struct {
		text string
		want []Package
	}{
		"empty":          {"", nil},
		"only blank":     {"\n\n \n", nil},
		"no newline":     {"Package: a", []Package{{Name: "a"}}},
		"two":            {"Package: a\n\n\nPackage: b\n\n", []Package{{Name: "a"}, {Name: "b"}}},
		"no state":       {"Package: a\nStatus: install ok\n", []Package{{Name: "a"}}},
		"other fields":   {"Package: a\nDescription: x\n y: z\n .\nVersion: 1:2-3\n", []Package{{Name: "a", Version: "1:2-3"}}},
		"conffiles end":  {"Package: a\nConffiles:\n /e " + someSum + "\nX: y\n /f " + someSum + "\n", []Package{{Name: "a", Conffiles: []Conffile{{Path: "/e", Sum: sum}}}}},
		"space in path":  {"Package: a\nConffiles:\n /e f  g " + someSum + " obsolete\n", []Package{{Name: "a", Conffiles: []Conffile{{Path: "/e f  g", Sum: sum, Obsolete: true}}}}},
		"both flags":     {"Package: a\nConffiles:\n /e " + someSum + " obsolete remove-on-upgrade\n", []Package{{Name: "a", Conffiles: []Conffile{{Path: "/e", Sum: sum, Obsolete: true, Removed: true}}}}},
		"new conffile":   {"Package: a\nConffiles:\n /e newconffile\n", []Package{{Name: "a", Conffiles: []Conffile{{Path: "/e"}}}}},
		"short conffile": {"Package: a\nConffiles:\n /e\n obsolete\n", []Package{{Name: "a"}}},
		"all": {
			"Package: a\nEssential: yes\nStatus: install ok unpacked\nPriority: required\nArchitecture: i386\nMulti-Arch: same\n",
			[]Package{{Name: "a", Essential: true, State: "unpacked", Priority: "required", Architecture: "i386", SameName: true}},
		},
	} {
		got, err := parseAll(c.text)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, c.want)
		}
	}
}

func TestParseStatusErrors(t *testing.T) {
	for _, text := range []string{
		"Package: ../../etc/passwd\n",
		"Package: a/b\n",
		"Package:\n",
		"Package: a\nArchitecture: ../x\n",
		"Version: 1\n",
		"Package: a\nno field\n",
		"Package: a\nDepends: " + strings.Repeat("x", maxLine) + "\n",
	} {
		if got, err := parseAll(text); err == nil {
			t.Errorf("%.40q: got %+v, want an error", text, got)
		}
	}
}

func TestParseStatusStops(t *testing.T) {
	for range ParseStatus(strings.NewReader("Package: a\n\nPackage: b\n")) {
		break // must not panic by being continued
	}
}

func conffileLine(c Conffile) string {
	line := c.Path + " newconffile"
	if c.Sum != (Sum{}) {
		line = c.Path + " " + hex.EncodeToString(c.Sum[:])
	}
	if c.Obsolete {
		line += " obsolete"
	}
	if c.Removed {
		line += " remove-on-upgrade"
	}
	return line
}

func stanzaOf(p Package) string {
	var text strings.Builder
	fmt.Fprintf(&text, "Package: %s\nVersion: %s\nPriority: %s\n", p.Name, p.Version, p.Priority)
	for field, value := range map[string]bool{"Essential: yes\n": p.Essential, "Multi-Arch: same\n": p.SameName} {
		if value {
			text.WriteString(field)
		}
	}
	if p.Architecture != "" {
		fmt.Fprintf(&text, "Architecture: %s\n", p.Architecture)
	}
	if p.State != "" {
		fmt.Fprintf(&text, "Status: install ok %s\n", p.State)
	}
	if len(p.Depends) > 0 {
		fmt.Fprintf(&text, "Depends: %s\n", strings.Join(p.Depends, ", "))
	}
	if len(p.Conffiles) > 0 {
		text.WriteString("Conffiles:\n")
	}
	for _, c := range p.Conffiles {
		fmt.Fprintf(&text, " %s\n", conffileLine(c))
	}
	return text.String() + "\n"
}

// What was parsed, written as stanzas and parsed again, is the same.
func FuzzParseStatus(f *testing.F) {
	f.Add(twoArchitectures)
	f.Add("Package: a\nConffiles:\n /e f " + someSum + " obsolete\n /g newconffile\nVersion: 1\n\n\n#\nPackage: b")
	f.Add("Package: a\nStatus: install ok\n\tx\nEssential:yes\n")
	f.Add("Package: a\nDepends: b (>= 1) | c, d:any\nPre-Depends: e\n")
	f.Fuzz(func(t *testing.T, text string) {
		first, err := parseAll(text)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, p := range first {
			again.WriteString(stanzaOf(p))
		}
		second, err := parseAll(again.String())
		if err != nil || !reflect.DeepEqual(first, second) {
			t.Errorf("%+v became %+v, %v", first, second, err)
		}
	})
}
