package e2e

import (
	"fmt"
	"os"
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

// TestLateNames gives a file more names after it was backed up, and restores
// some of them without the first.
func TestLateNames(t *testing.T) {
	b := newBox(t)
	g := newGardener(t, 5)
	g.file("a/first", g.content(5000))
	g.mkdir("b")
	link := func(name string) { ok(t, os.Link(g.path("a/first"), g.path(name))) }
	link("a/second")
	b.backup(g.root)
	link("b/third")
	link("b/fourth")
	b.backup(g.root)
	all := look(t, g.root)
	same(t, "all names", b.restore(), all, exact)
	same(t, "the late ones", b.restore("--limits=/b").without("."), all.without(".", "a"), exact)
}

// TestTargetInside backs a tree up into a directory of its own, with the cache
// there too: both are left out.
func TestTargetInside(t *testing.T) {
	b := newBox(t)
	g := small(t, 6)
	b.storage = g.path("a/storage")
	cache := "--cache-dir=" + g.path("cache")
	for range 2 {
		b.backup(g.root, cache)
		got := b.restore()
		if _, there := got["a/storage"]; there || got["a/two"].sum == "" {
			t.Errorf("restored %v", got)
		}
	}
	if sum := b.backup(g.root, cache); sum.New != 0 || sum.Deleted != 0 {
		t.Errorf("a backup of nothing new: %+v", sum)
	}
}
