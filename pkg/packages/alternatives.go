package packages

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	alternativesDir  = adminDir + "/alternatives"
	alternativeLinks = "etc/alternatives"
)

// An alternative is a name that several packages may provide: a file in
// dpkg's directory of alternatives. Link number 0 is the one it is named
// for, the others follow it.
type alternative struct {
	automatic bool
	links     []alternativeLink
	choices   []choice
}

type alternativeLink struct {
	name string // in /etc/alternatives
	path string // what leads there, absolute
}

type choice struct {
	targets  []string // absolute, one for each link; "" for none
	priority int
}

// parseAlternative takes the form that update-alternatives(1) describes as
// its administrative files: "auto" or "manual", the link, pairs of name and
// link that follow it, an empty line, and for each choice its path, its
// priority and a path for every follower. It reports false for anything else.
func parseAlternative(name, text string) (alternative, bool) {
	lines := strings.Split(text, "\n")
	next := func() string {
		if len(lines) == 0 {
			return ""
		}
		line := lines[0]
		lines = lines[1:]
		return line
	}
	a := alternative{automatic: next() == "auto"}
	a.links = append(a.links, alternativeLink{name, next()})
	for n := next(); n != ""; n = next() {
		a.links = append(a.links, alternativeLink{n, next()})
	}
	for p := next(); p != ""; p = next() {
		c := choice{targets: []string{p}}
		var err error
		if c.priority, err = strconv.Atoi(next()); err != nil || len(lines) < len(a.links)-1 {
			return alternative{}, false
		}
		for range a.links[1:] {
			c.targets = append(c.targets, next())
		}
		a.choices = append(a.choices, c)
	}
	return a, len(a.choices) > 0
}

// best returns where link i leads in automatic mode: to one of the choices
// with the highest priority.
func (a *alternative) best(i int) []string {
	highest := slices.MaxFunc(a.choices, func(x, y choice) int { return x.priority - y.priority })
	var targets []string
	for _, c := range a.choices {
		if c.priority == highest.priority && c.targets[i] != "" {
			targets = append(targets, c.targets[i])
		}
	}
	return targets
}

func (l *loader) readAlternatives() error {
	names, err := l.names(alternativesDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := l.admin.read("alternatives/" + name)
		if err != nil {
			return fmt.Errorf("alternative %q: %w", name, err)
		}
		a, ok := parseAlternative(name, string(text))
		if !ok {
			continue
		}
		l.rules.alternatives = append(l.rules.alternatives, a)
		for _, c := range a.choices {
			for _, t := range c.targets {
				l.support[l.absolute(t)] = true
			}
		}
	}
	return nil
}

// absolute returns the place of an absolute path below the root.
func (l *loader) absolute(p string) string { return l.res.path(strings.TrimPrefix(p, "/")) }

// proveAlternatives looks at the links in /etc/alternatives and at those that
// lead there.
func (l *loader) proveAlternatives() {
	for i := range l.rules.alternatives {
		a := &l.rules.alternatives[i]
		for i, at := range a.links {
			name := alternativeLinks + "/" + at.name
			if a.automatic {
				l.proveChoice(name, a.best(i))
			}
			if slices.ContainsFunc(a.choices, func(c choice) bool { return l.b.hasFile(l.absolute(c.targets[0])) }) {
				l.prove(l.absolute(at.path), Generated, func(target string) bool { return target == name })
			}
		}
	}
}

func (l *loader) proveChoice(name string, best []string) {
	l.prove(name, Generated, func(target string) bool {
		return l.b.hasFile(target) &&
			slices.ContainsFunc(best, func(p string) bool { return l.absolute(p) == target })
	})
}
