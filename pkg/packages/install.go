package packages

import (
	"context"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
)

// A Result is what an installation changed. The lists are sorted.
type Result struct {
	Installed []string  // everything that is there now and was not, dependencies included, configured or not
	Returned  []string  // of those, the ones whose configuration was still there: to be removed, not purged
	Removed   []string  // what was installed and is not any more
	Failed    []Failure // of the packages asked for, those that are not installed
}

// Present returns what dpkg below root has installed, as a set that holds
// every package as "name" and as "name:architecture".
func Present(root string) (map[string]bool, error) {
	all, err := Read(root)
	if err != nil {
		return nil, err
	}
	present := map[string]bool{}
	for i := range all {
		if p := &all[i]; p.Installed() {
			present[p.Name] = true
			present[p.Name+":"+p.Architecture] = true
		}
	}
	return present, nil
}

// Install installs packages with their dependencies, after Update and,
// usually, Resolve. When that fails, it goes on with halves of what is
// missing, so that one package does not keep the others away; if nothing
// works any more it gives up on the rest. What happened is told by comparing
// dpkg's state before and after, so the Result also holds when there is an
// error, which says that apt could not be run or that ctx ended.
func (a *Apt) Install(ctx context.Context, names []string) (Result, error) {
	before, err := a.states()
	if err != nil {
		return Result{}, err
	}
	i := installation{apt: a, patience: bits.Len(uint(len(names))) + 5}
	err = i.install(ctx, names)
	after, stateErr := a.states()
	if err == nil {
		err = stateErr
	}
	r := compare(before, after)
	r.Failed = i.failed
	if err != nil {
		return r, fmt.Errorf("install packages: %w", err)
	}
	return r, nil
}

// An installation is a call of Install.
type installation struct {
	apt      *Apt
	failed   []Failure
	idle     int // calls in a row that installed nothing
	patience int // how many of those are borne: more than one bad package causes
}

func (i *installation) install(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if i.idle > i.patience {
		i.fail(names, "not tried, since nothing could be installed any more")
		return nil
	}
	missing, err := i.try(ctx, names)
	reason := "apt-get left it out"
	switch {
	case err != nil && !refused(ctx, err):
		return err
	case err != nil:
		reason = err.Error()
	}
	if len(names) == 1 || err == nil {
		i.fail(missing, reason)
		return nil
	}
	half := len(missing) / 2
	if err := i.install(ctx, missing[:half]); err != nil {
		return err
	}
	return i.install(ctx, missing[half:])
}

// try runs apt-get once and returns what of names is not installed then.
func (i *installation) try(ctx context.Context, names []string) ([]string, error) {
	args := append([]string{"apt-get", "install"}, settings[:]...)
	err := i.apt.change(ctx, append(append(args, "--"), names...)...)
	present, stateErr := Present(i.apt.Root)
	if stateErr != nil {
		return nil, stateErr
	}
	missing := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return present[name] })
	if i.idle++; len(missing) < len(names) {
		i.idle = 0
	}
	return missing, err
}

func (i *installation) fail(names []string, reason string) {
	for _, name := range names {
		i.failed = append(i.failed, Failure{name, reason})
	}
}

// states returns the packages of which something is there, by the name that
// apt and dpkg know them by.
func (a *Apt) states() (map[string]Package, error) {
	all, err := Read(a.Root)
	if err != nil {
		return nil, err
	}
	own := native(all)
	states := map[string]Package{}
	for _, p := range all {
		if p.Present() {
			states[p.qualified(own)] = p
		}
	}
	return states, nil
}

// leftover reports whether nothing but configuration is there of a package.
func leftover(p Package) bool { return p.State == "config-files" }

func compare(before, after map[string]Package) Result {
	var r Result
	for _, name := range slices.Sorted(maps.Keys(after)) {
		old, was := before[name]
		if leftover(after[name]) || was && !leftover(old) {
			continue
		}
		r.Installed = append(r.Installed, name)
		if was {
			r.Returned = append(r.Returned, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if now, is := after[name]; !leftover(before[name]) && (!is || leftover(now)) {
			r.Removed = append(r.Removed, name)
		}
	}
	return r
}

// Purge undoes an installation: it removes packages with their
// configuration. It passes over those of which nothing is there. A package
// that another one needs, which is not among the names, stays, as do
// essential ones; those that stay come back with the reason, and they are no
// error. The order of the names does not matter, since dpkg gets them all at
// once. Unlike apt-get, dpkg does not wait for another one to finish.
func (a *Apt) Purge(ctx context.Context, names []string) ([]Failure, error) {
	return a.remove(ctx, "--purge", names, (*Package).Present)
}

// Remove is Purge, but leaves configuration in place.
func (a *Apt) Remove(ctx context.Context, names []string) ([]Failure, error) {
	return a.remove(ctx, "--remove", names, func(p *Package) bool { return p.Present() && !leftover(*p) })
}

func (a *Apt) remove(ctx context.Context, action string, names []string, there func(*Package) bool) ([]Failure, error) {
	found, err := a.find(names, there)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	// Rollback also has to get rid of what a killed installation left
	// half-done, which dpkg would want to see installed again first.
	args := []string{"dpkg", action, "--force-remove-reinstreq", "--abort-after=" + strconv.Itoa(len(found)+1)}
	err = a.change(ctx, append(args, found...)...)
	if err != nil && !refused(ctx, err) {
		return nil, fmt.Errorf("remove packages: %w", err)
	}
	reason := "dpkg left it in place"
	if err != nil {
		reason = err.Error()
	}
	stayed, err := a.find(found, there)
	var failures []Failure
	for _, name := range stayed {
		failures = append(failures, Failure{name, reason})
	}
	return failures, err
}

// find returns those of the names that are there in the sense of a function,
// sorted. A name without architecture stands for the machine's own one, or
// for the only one that is there.
func (a *Apt) find(names []string, there func(*Package) bool) ([]string, error) {
	all, err := Read(a.Root)
	if err != nil {
		return nil, err
	}
	wanted, own := set(names), native(all)
	instances := map[string]int{}
	for i := range all {
		if there(&all[i]) {
			instances[all[i].Name]++
		}
	}
	var found []string
	for i := range all {
		p := &all[i]
		full := p.Name + ":" + p.Architecture
		single := instances[p.Name] == 1
		if !there(p) || !wanted[full] && !wanted[p.qualified(own)] && !(single && wanted[p.Name]) {
			continue
		}
		if single {
			full = p.Name
		}
		found = append(found, full)
	}
	slices.Sort(found)
	return found, nil
}
