package packages

import (
	"os"
	"path/filepath"
	"strings"
)

// A script is what the header of an init script says of runlevels.
type script struct {
	start, stop string // a character for each level
}

// proveRunlevels looks at the links that start and kill services.
func (l *loader) proveRunlevels() error {
	scripts := map[string]script{}
	for _, level := range "0123456S" {
		dir := "etc/rc" + string(level) + ".d"
		names, err := l.names(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if action, service, ok := splitRunlevel(name); ok {
				l.prove(dir+"/"+name, Generated, func(target string) bool {
					return target == "etc/init.d/"+service && l.says(scripts, service, action, level)
				})
			}
		}
	}
	return nil
}

// splitRunlevel cuts "S01name" into 'S' and "name".
func splitRunlevel(name string) (action byte, service string, ok bool) {
	if len(name) < 4 || name[0] != 'S' && name[0] != 'K' || strings.Trim(name[1:3], "0123456789") != "" {
		return 0, "", false
	}
	return name[0], name[3:], true
}

// says reports whether the script of a service, as its package shipped it,
// asks for an action in a level.
func (l *loader) says(known map[string]script, service string, action byte, level rune) bool {
	s, ok := known[service]
	if !ok {
		s = l.readScript("etc/init.d/" + service)
		known[service] = s
	}
	if action == 'S' {
		return strings.ContainsRune(s.start, level)
	}
	return strings.ContainsRune(s.stop, level)
}

// readScript reads the header of a script; what was not shipped like this
// says nothing.
func (l *loader) readScript(p string) script {
	if !l.b.unchanged(p) {
		return script{}
	}
	text, err := os.ReadFile(filepath.Join(l.b.root, p))
	if err != nil {
		return script{}
	}
	return parseScript(string(text))
}

// parseScript takes the levels from the comment block that insserv(8)
// describes.
func parseScript(text string) script {
	var s script
	_, header, _ := strings.Cut(text, "### BEGIN INIT INFO\n")
	header, _, _ = strings.Cut(header, "### END INIT INFO")
	for line := range strings.Lines(header) {
		field, levels, _ := strings.Cut(strings.TrimPrefix(line, "#"), ":")
		levels = strings.Join(strings.Fields(levels), "")
		switch strings.TrimSpace(field) {
		case "Default-Start":
			s.start = levels
		case "Default-Stop":
			s.stop = levels
		}
	}
	return s
}
