package e2e

import (
	"fmt"
	"testing"
)

// sessions backs a tree up, again after each of n rounds of changes, and
// returns the states the chain then holds.
func sessions(t *testing.T, g *gardener, n int, backup func() point) (points []point) {
	t.Helper()
	for i := range n + 1 {
		if i > 0 {
			g.change(25)
		}
		points = append(points, backup())
	}
	return points
}

func (b *box) point(g *gardener, args ...string) point {
	b.t.Helper()
	sum := b.backup(g.root, args...)
	return point{sum.Time, look(b.t, g.root)}
}

// TestRoundTrip restores every state of a chain in every encoding, with all
// that the stock format has no place for.
func TestRoundTrip(t *testing.T) {
	for i, encryption := range []string{"age", "gpg", "none"} {
		t.Run(encryption, func(t *testing.T) {
			b := newBox(t)
			g := newGardener(t, uint64(i))
			g.subtle = true
			g.grow()
			points := sessions(t, g, 5, func() point { return b.point(g, "--encryption="+encryption, "--volsize=1") })
			for i, p := range points {
				same(t, fmt.Sprintf("set %d", i), b.restore(p.timeArg()), p.tree, exact)
			}
			same(t, "the latest", b.restore(), points[5].tree, exact)
		})
	}
}
