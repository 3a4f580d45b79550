package profile

import (
	"fmt"
	"regexp"
	"strings"
)

// An Appliance is what the id of a TurnKey profile, which is also the content
// of an appliance's /etc/turnkey_version, says. Release and Arch are "" when
// the id leaves them out.
type Appliance struct {
	Codename string // "wordpress"
	Release  string // "18.0-bookworm"
	Arch     string // "amd64"
}

const appliancePrefix = "turnkey-"

// The release is what begins with a digit, a dot or "beta"; names come first
// and may have hyphens in them.
var (
	releaseStart = regexp.MustCompile(`-([0-9.]|beta)`)
	archEnd      = regexp.MustCompile(`-(amd64|arm64|i386|x86)$`)
)

// ParseAppliance takes the id of a TurnKey profile apart.
func ParseAppliance(id ID) (Appliance, error) {
	rest, ok := strings.CutPrefix(string(id), appliancePrefix)
	if !ok {
		return Appliance{}, fmt.Errorf("profile id %q: it does not begin with %q", id, appliancePrefix)
	}
	a := splitAppliance(rest)
	if a.Codename == "" {
		return Appliance{}, fmt.Errorf("profile id %q: it has no codename", id)
	}
	return a, nil
}

// splitAppliance cuts at the first hyphen that a release follows. Without a
// release there is no architecture either: it belongs to the name then, as it
// always did.
func splitAppliance(s string) Appliance {
	s = strings.TrimRight(s, "-")
	start := releaseStart.FindStringIndex(s)
	if start == nil {
		return Appliance{Codename: s}
	}
	a := Appliance{Codename: s[:start[0]]}
	release := s[start[0]+1:]
	a.Release = release
	if end := archEnd.FindStringIndex(release); end != nil {
		a.Release, a.Arch = release[:end[0]], release[end[0]+1:]
	}
	return a
}

// ID returns the id of the appliance's profile.
func (a Appliance) ID() ID {
	s := appliancePrefix + a.Codename
	for _, part := range []string{a.Release, a.Arch} {
		if part != "" {
			s += "-" + part
		}
	}
	return ID(s)
}

// Title returns the codename as messages to people show it: "LAMP STACK".
func (a Appliance) Title() string {
	return strings.ToUpper(strings.ReplaceAll(a.Codename, "-", " "))
}

// Complete returns the id that somebody means who gave only a codename,
// perhaps with part of a release, to a system with the given id: "core" on
// turnkey-lamp-18.0-bookworm-amd64 is turnkey-core-18.0-bookworm-amd64. It
// reports false when id is complete already, or the system is no appliance.
// An id is first looked for as it stands.
func Complete(id, system ID) (ID, bool) {
	if !strings.HasPrefix(string(id), appliancePrefix) {
		id = appliancePrefix + id
	}
	part, err := ParseAppliance(id)
	if err != nil || part.Release != "" && part.Arch != "" {
		return "", false
	}
	local, err := ParseAppliance(system)
	if err != nil {
		return "", false
	}
	if part.Arch == "" {
		part.Arch = local.Arch
	}
	if strings.HasPrefix(local.Release, part.Release) {
		part.Release = local.Release
	}
	return part.ID(), true
}

// Compatible reports whether a backup of one system may be restored on another
// without a question: unless both are TurnKey appliances, and different ones.
// Releases make no difference; migration is what backups are for.
func Compatible(backup, system ID) bool {
	from, err := ParseAppliance(backup)
	if err != nil {
		return true
	}
	to, err := ParseAppliance(system)
	return err != nil || from.Codename == to.Codename
}
