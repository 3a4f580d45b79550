package packages

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// A Plan says which packages of a backup will be installed, and which will
// not and why. Both lists are sorted by name.
type Plan struct {
	Install []string
	Skipped []Skip
}

// A Skip is a package that is not installed.
type Skip struct {
	Name   string
	Reason Reason
}

// A Reason says why a package is skipped.
type Reason uint8

const (
	AlreadyInstalled Reason = iota + 1
	NotAvailable            // apt knows no version that it could install
	Blacklisted
	NoPackageName // it could not be passed to apt
)

// String returns the reason in the words of a report.
func (r Reason) String() string {
	switch r {
	case AlreadyInstalled:
		return "already installed"
	case NotAvailable:
		return "not in the apt cache"
	case Blacklisted:
		return "blacklisted"
	case NoPackageName:
		return "not a package name"
	}
	return "unknown reason"
}

// Blacklist returns the patterns of packages that a restore never installs,
// since they belong to the machine: kernels and virtual hardware.
func Blacklist() []string { return []string{"linux-*", "vmware-tools*"} }

// NewPlan decides about the wanted packages. The sets are those of Present
// and Apt.Available. Patterns of the blacklist are globs in the form of
// path.Match or, with "!" in brackets, of the shell; they are matched against
// the name without architecture. A malformed one is an error.
func NewPlan(want []string, present, available map[string]bool, blacklist []string) (Plan, error) {
	var plan Plan
	want = slices.Clone(want)
	slices.Sort(want)
	for _, name := range slices.Compact(want) {
		black, err := matches(blacklist, name)
		if err != nil {
			return Plan{}, err
		}
		reason := Reason(0)
		switch {
		case !installable(name):
			reason = NoPackageName
		case present[name]:
			reason = AlreadyInstalled
		case !available[name]:
			reason = NotAvailable
		case black:
			reason = Blacklisted
		}
		if reason == 0 {
			plan.Install = append(plan.Install, name)
			continue
		}
		plan.Skipped = append(plan.Skipped, Skip{name, reason})
	}
	return plan, nil
}

func matches(patterns []string, name string) (bool, error) {
	name, _, _ = strings.Cut(name, ":")
	found := false
	for _, pattern := range patterns {
		ok, err := path.Match(strings.ReplaceAll(pattern, "[!", "[^"), name)
		if err != nil {
			return false, fmt.Errorf("match package blacklist %q: %w", pattern, err)
		}
		found = found || ok
	}
	return found, nil
}

// installable reports whether name, with or without an architecture, is one
// that apt takes for nothing else: options begin with "-", a "-" at the end
// asks for removal, "=" and "/" for versions and releases, and other
// characters for patterns. The list comes from a backup.
func installable(name string) bool {
	name, architecture, foreign := strings.Cut(name, ":")
	return validName(name) && !strings.HasSuffix(name, "-") &&
		(!foreign || validArchitecture(architecture))
}

// Skipping returns the skipped packages other than those already installed.
func (p *Plan) Skipping() []string {
	var names []string
	for _, s := range p.Skipped {
		if s.Reason != AlreadyInstalled {
			names = append(names, s.Name)
		}
	}
	return names
}

// CommandLine is the command that a person would give to install the
// packages of the plan; "" if there are none.
func (p *Plan) CommandLine() string {
	if len(p.Install) == 0 {
		return ""
	}
	return "apt-get install --assume-yes " + strings.Join(p.Install, " ")
}

// Format returns the lines that newpkgs-install prints for a plan.
func (p *Plan) Format() string {
	var text strings.Builder
	if names := p.Skipping(); len(names) > 0 {
		fmt.Fprintf(&text, "# SKIPPING: %s\n", strings.Join(names, " "))
	}
	if line := p.CommandLine(); line != "" {
		fmt.Fprintln(&text, line)
	}
	return text.String()
}
