package collection

import (
	"fmt"
	"slices"
	"time"
)

// A Chain is a full set and the incremental sets that build on it, each on
// the one before. All of them are complete.
type Chain struct {
	Full Set
	Incs []Set
}

// Start returns the time of the full set.
func (c *Chain) Start() time.Time { return c.Full.End }

// End returns the time of the last set.
func (c *Chain) End() time.Time { return c.last().End }

func (c *Chain) last() *Set {
	if n := len(c.Incs); n > 0 {
		return &c.Incs[n-1]
	}
	return &c.Full
}

// Sets returns all sets, the full one first.
func (c *Chain) Sets() []Set {
	return append([]Set{c.Full}, c.Incs...)
}

// Size returns the bytes stored for the chain.
func (c *Chain) Size() int64 {
	total := c.Full.Size()
	for i := range c.Incs {
		total += c.Incs[i].Size()
	}
	return total
}

// Suffix returns how the chain is stored: a session that extends it does the
// same.
func (c *Chain) Suffix() string { return c.Full.Suffix }

// Unfit returns, as sentences, what forbids building on the chain: damage,
// lost signatures, sets that are not all stored alike. The last counts
// because extending would have to pick one, and whoever can put a file into
// the storage could pick "unencrypted".
func (c *Chain) Unfit() []string {
	var reasons []string
	for _, s := range c.Sets() {
		for _, text := range slices.Concat(s.Damage, s.Oddities) {
			reasons = append(reasons, s.about(text))
		}
		if s.Suffix != c.Full.Suffix {
			reasons = append(reasons, s.about(fmt.Sprintf("it is stored as %s, its chain's full backup as %s",
				encoding(s.Suffix), encoding(c.Full.Suffix))))
		}
	}
	return reasons
}

// about says which set a sentence is about.
func (s *Set) about(text string) string { return s.String() + ": " + text }

// A linker makes chains of complete sets, which have to come by end time. The
// maps lead to the chains that had a set of that time last; whether they still
// have is checked on use, so that a listing of any size links in linear time.
type linker struct {
	chains  []*Chain
	tips    map[int64][]*Chain // by end of the last set
	forks   map[int64][]*Chain // by start of the last set, if incremental
	orphans []orphan
}

// An orphan is a complete incremental set that could not be linked.
type orphan struct {
	set    Set
	rival  *Set // the set that took its place; nil otherwise
	reason string
}

// add links a set to the chain that ends where the set starts. When the
// chain's last set starts there too, the newer one takes its place, as in
// Duplicity, which makes such forks itself when signatures got lost.
func (l *linker) add(s Set) {
	if s.Full {
		c := &Chain{Full: s}
		l.chains = append(l.chains, c)
		l.index(c)
		return
	}
	if !s.Start.Before(s.End) {
		l.orphans = append(l.orphans, orphan{set: s, reason: "it does not end after " + stamp(s.Start) +
			", the time of what it builds on: the clock was wrong"})
		return
	}
	if found := l.endingAt(s.Start); len(found) > 0 {
		if len(found) > 1 {
			s.Damage = append(s.Damage, "two backups have the time "+stamp(s.Start)+
				", and which of them it builds on is a guess")
		}
		found[0].Incs = append(found[0].Incs, s)
		l.index(found[0])
		return
	}
	if c := l.forkedAt(s.Start); c != nil {
		l.orphans = append(l.orphans, orphan{set: *c.last(), rival: &s})
		*c.last() = s
		l.index(c)
		return
	}
	l.orphans = append(l.orphans, orphan{set: s})
}

func (l *linker) index(c *Chain) {
	if l.tips == nil {
		l.tips, l.forks = make(map[int64][]*Chain), make(map[int64][]*Chain)
	}
	s := c.last()
	end := s.End.Unix()
	l.tips[end] = append(l.tips[end], c)
	if !s.Full {
		start := s.Start.Unix()
		l.forks[start] = append(l.forks[start], c)
	}
}

// endingAt returns the chains that end at t, the oldest first.
func (l *linker) endingAt(t time.Time) []*Chain {
	var found []*Chain
	for _, c := range l.tips[t.Unix()] {
		if c.End().Equal(t) {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b *Chain) int { return a.Start().Compare(b.Start()) })
	return slices.Compact(found)
}

// forkedAt returns the oldest chain whose last set builds on the set of t.
func (l *linker) forkedAt(t time.Time) *Chain {
	var oldest *Chain
	for _, c := range l.forks[t.Unix()] {
		if last := c.last(); last.Full || !last.Start.Equal(t) {
			continue
		}
		if oldest == nil || c.Start().Before(oldest.Start()) {
			oldest = c
		}
	}
	return oldest
}
