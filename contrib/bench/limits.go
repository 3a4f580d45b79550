package main

import "fmt"

// A quantity is what a limit is on.
type quantity string

const (
	wall   quantity = "time"
	stored quantity = "stored bytes"
)

// A limit is the most that ours may take of what another tool takes.
type limit struct {
	part    string
	of      quantity
	against string
	most    float64
}

var limits = []limit{
	{partFull, wall, nameDuplicity, 1.0 / 6},
	{partFull, wall, nameRestic, 0.6},
	{partFull, stored, nameDuplicity, 1},
	{partUnchanged, wall, nameDuplicity, 1.0 / 6},
	{partUnchanged, wall, nameRestic, 0.5},
	{partChanged, wall, nameDuplicity, 1.0 / 4},
	{partChanged, stored, nameDuplicity, 1.1},
	{partRestore, wall, nameDuplicity, 0.5},
	{partRestore, wall, nameRestic, 1},
}

const (
	peakLimit = 150_000_000 // bytes, of all our commands
	flatLimit = 1.1         // of the peak when something grew tenfold, or twentyfold
)

// A verdict is what became of a limit.
type verdict struct {
	limit   string
	figures string
	met     bool
}

func (v verdict) word() string {
	if v.met {
		return "met"
	}
	return "NOT MET"
}

// verdicts holds what was measured against the limits; those on what was not
// measured are left out.
func (r *results) verdicts() []verdict {
	var list []verdict
	for _, l := range limits {
		if v, ok := r.judge(l); ok {
			list = append(list, v)
		}
	}
	if peak, where := r.peak(); peak > 0 {
		list = append(list, verdict{"peak memory below " + amount(peakLimit) + " everywhere", "at most " + amount(peak) + ": " + where, peak < peakLimit})
	}
	for _, g := range r.growths {
		list = append(list, verdict{
			fmt.Sprintf("peak memory flat, %s: %s", g.grown, g.command),
			fmt.Sprintf("%s → %s: %.2f", amount(g.before.Peak), amount(g.after.Peak), g.ratio()),
			g.ratio() <= flatLimit,
		})
	}
	return list
}

func (g growth) ratio() float64 { return ratio(g.after.Peak, g.before.Peak) }

func (r *results) judge(l limit) (verdict, bool) {
	mine, ok := r.table[point{l.part, nameOurs}]
	theirs, also := r.table[point{l.part, l.against}]
	if !ok || !also {
		return verdict{}, false
	}
	v := verdict{limit: fmt.Sprintf("%s: %s at most %.3g of %s's", titles[l.part], l.of, l.most, l.against)}
	var got float64
	switch l.of {
	case wall:
		got = ratio(int64(mine.Wall), int64(theirs.Wall))
		v.figures = fmt.Sprintf("%s to %s: %.2f", seconds(mine.Wall), seconds(theirs.Wall), got)
	case stored:
		got = ratio(mine.Stored, theirs.Stored)
		v.figures = fmt.Sprintf("%s to %s: %.2f", amount(mine.Stored), amount(theirs.Stored), got)
	}
	v.met = got <= l.most
	return v, true
}

// peak is the most memory that any of our commands took, and which one.
func (r *results) peak() (most int64, where string) {
	take := func(peak int64, what string) {
		if peak > most {
			most, where = peak, what
		}
	}
	for _, p := range r.order {
		if isOurs(p.tool) {
			take(r.table[p].Peak, titles[p.part]+", "+p.tool)
		}
	}
	for _, g := range r.growths {
		take(g.before.Peak, g.grown+", before: "+g.command)
		take(g.after.Peak, g.grown+", after: "+g.command)
	}
	return most, where
}
