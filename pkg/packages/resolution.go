package packages

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A Failure is a package that was asked for and not installed or purged.
type Failure struct {
	Name   string
	Reason string
}

// A Resolution is what apt would do to install packages. All lists are
// sorted.
type Resolution struct {
	Names   []string  // those asked for that can be installed together
	Failed  []Failure // the others
	Install []string  // all that would be installed, dependencies included
	Upgrade []string  // installed ones that would be replaced by another version
	Remove  []string  // installed ones that would be removed, because they conflict
}

// Resolve asks apt what installing the packages would do, without doing it.
// If it cannot install all of them, the result is for a part that is as large
// as halving the list again and again makes it. No name at all gives what
// apt would do anyway.
func (a *Apt) Resolve(ctx context.Context, names []string) (Resolution, error) {
	s := search{apt: a}
	r, err := a.simulate(ctx, names)
	switch {
	case err == nil:
		return r, nil
	case refused(ctx, err):
		s.best, err = a.simulate(ctx, nil) // fails if nothing can be installed, whatever it is
	}
	if err == nil {
		err = s.extend(ctx, names)
	}
	if err != nil {
		return Resolution{}, fmt.Errorf("resolve packages: %w", err)
	}
	s.best.Failed = s.failed
	return s.best, nil
}

// A search looks for packages that can be installed together.
type search struct {
	apt    *Apt
	best   Resolution
	failed []Failure
}

// extend adds to the best resolution so far what can be added of names. It
// takes a number of simulations that grows with the packages that fail and
// with the logarithm of the others.
func (s *search) extend(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	r, err := s.apt.simulate(ctx, append(slices.Clip(s.best.Names), names...))
	switch {
	case err == nil:
		s.best = r
		return nil
	case !refused(ctx, err):
		return err
	case len(names) == 1:
		s.failed = append(s.failed, Failure{names[0], err.Error()})
		return nil
	}
	half := len(names) / 2
	if err := s.extend(ctx, names[:half]); err != nil {
		return err
	}
	return s.extend(ctx, names[half:])
}

func (a *Apt) simulate(ctx context.Context, names []string) (Resolution, error) {
	args := []string{"apt-get", "install", "--simulate", "--assume-yes", "--quiet", "-o", "Debug::NoLocking=true", "--"}
	out, err := a.ask(ctx, append(args, names...)...)
	if err != nil {
		return Resolution{}, err
	}
	r := parseSimulation(out)
	r.Names = slices.Sorted(slices.Values(names))
	return r, nil
}

// parseSimulation takes the lines of a simulation that begin with "Inst" or
// "Remv", the name and, in brackets, the version that is installed.
func parseSimulation(out string) Resolution {
	var r Resolution
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) < 2 || line[0] == ' ' {
			continue
		}
		switch name := words[1]; {
		case words[0] == "Remv":
			r.Remove = append(r.Remove, name)
		case words[0] != "Inst":
		case len(words) > 2 && strings.HasPrefix(words[2], "["):
			r.Upgrade = append(r.Upgrade, name)
		default:
			r.Install = append(r.Install, name)
		}
	}
	for _, list := range [][]string{r.Install, r.Upgrade, r.Remove} {
		slices.Sort(list)
	}
	return r
}
