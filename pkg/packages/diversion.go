package packages

import (
	"fmt"
	"strings"
)

// diversions say which shipped paths dpkg puts elsewhere: see
// dpkg-divert(1). Paths have no leading slash.
type diversions map[string]diversion

type diversion struct {
	to string
	by string // the package whose own file stays in place; ":" when an administrator diverts
}

// parseDiversions takes lines in threes: from, to, package.
func parseDiversions(text string) (diversions, error) {
	d := diversions{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if text == "" {
		return d, nil
	}
	if len(lines)%3 != 0 {
		return nil, fmt.Errorf("parse dpkg's diversions: %d lines are not made of threes", len(lines))
	}
	for ; len(lines) > 0; lines = lines[3:] {
		from, to := strings.TrimPrefix(lines[0], "/"), strings.TrimPrefix(lines[1], "/")
		d[from] = diversion{to: to, by: lines[2]}
	}
	return d, nil
}

// path returns where a path of a package is put.
func (d diversions) path(p, pkg string) string {
	if other, ok := d[p]; ok && other.by != pkg {
		return other.to
	}
	return p
}
