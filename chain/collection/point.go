package collection

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// A Point is a state that can be restored: the first Count sets of a chain.
type Point struct {
	Chain *Chain
	Count int

	// Skipped lists, as sentences, the sets between the state's time and the
	// time that was asked for: what the restore would have used had they been
	// usable.
	Skipped []string
}

// Sets returns the sets to restore from, the full one first.
func (p Point) Sets() []Set { return p.Chain.Sets()[:p.Count] }

// Time returns the time of the restored state.
func (p Point) Time() time.Time {
	sets := p.Sets()
	return sets[len(sets)-1].End
}

// Damage returns, as sentences, what a restore cannot get or cannot rely on.
func (p Point) Damage() []string {
	var list []string
	for _, s := range p.Sets() {
		for _, text := range s.Damage {
			list = append(list, s.about(text))
		}
	}
	return list
}

// ErrEmpty is returned for a collection without a single complete chain. It
// is an fs.ErrNotExist.
var ErrEmpty error = emptyError{}

type emptyError struct{}

func (emptyError) Error() string { return "there is no backup to restore" }

// Is makes errors.Is(err, fs.ErrNotExist) true.
func (emptyError) Is(target error) bool { return target == fs.ErrNotExist }

// A TooEarlyError is returned for a time before the first backup. It is an
// fs.ErrNotExist.
type TooEarlyError struct {
	Asked     time.Time
	Available []time.Time // what can be restored, ascending
}

// Error lists the first and the last of the times there are.
func (e *TooEarlyError) Error() string {
	const most = 5 // at either end
	var times []string
	for i, t := range e.Available {
		switch {
		case i < most || i >= len(e.Available)-most:
			times = append(times, stamp(t))
		case i == most:
			times = append(times, "…")
		}
	}
	return fmt.Sprintf("there is no backup as old as %s; there are: %s", stamp(e.Asked), strings.Join(times, ", "))
}

// Is makes errors.Is(err, fs.ErrNotExist) true.
func (e *TooEarlyError) Is(target error) bool { return target == fs.ErrNotExist }

// At returns the newest state not newer than t. Of two with the same time the
// one with the newer full set is taken. The error is ErrEmpty or a
// *TooEarlyError.
func (c *Collection) At(t time.Time) (Point, error) {
	if len(c.Chains) == 0 {
		return Point{}, ErrEmpty
	}
	var best Point
	for i := range c.Chains {
		p := c.Chains[i].at(t)
		if p.Count > 0 && (best.Count == 0 || newer(p, best)) {
			best = p
		}
	}
	if best.Count == 0 {
		return Point{}, &TooEarlyError{t, c.Times()}
	}
	for _, s := range c.straysAfter(best.Time()) {
		if !s.Set.End.After(t) {
			best.Skipped = append(best.Skipped, s.Set.about(s.Reason))
		}
	}
	return best, nil
}

// straysAfter returns the sets in no chain that are newer than t, by end time.
func (c *Collection) straysAfter(t time.Time) []Stray {
	strays := slices.Concat(c.Incomplete, c.Orphans)
	strays = slices.DeleteFunc(strays, func(s Stray) bool { return !s.Set.End.After(t) })
	slices.SortStableFunc(strays, func(a, b Stray) int { return a.Set.End.Compare(b.Set.End) })
	return strays
}

func newer(p, q Point) bool {
	if n := p.Time().Compare(q.Time()); n != 0 {
		return n > 0
	}
	return p.Chain.Start().After(q.Chain.Start())
}

// at returns the chain up to time t; with a Count of 0 if it starts later.
func (c *Chain) at(t time.Time) Point {
	p := Point{Chain: c}
	for _, s := range c.Sets() {
		if s.End.After(t) {
			break
		}
		p.Count++
	}
	return p
}

// Times returns the times that can be restored, ascending.
func (c *Collection) Times() []time.Time {
	var times []time.Time
	for i := range c.Chains {
		for _, s := range c.Chains[i].Sets() {
			times = append(times, s.End)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return slices.Compact(times)
}
