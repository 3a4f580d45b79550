package faultproxy

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"tklbam/backends"
)

// A Suite has the faults of this package happen to a driver, each at the
// beginning, near it, in the middle and at the last byte of what the two sides
// say in turn.
type Suite struct {
	// Open returns an empty target of its own, behind proxies of its own.
	Open func(t *testing.T) Site

	// Stall is the time after which the driver gives a silent connection up,
	// and Limit the time in which a call must end.
	Stall, Limit time.Duration

	// Size is that of the files in bytes, and Cases how many faults each of
	// Put, Open and List meets.
	Size, Cases int

	// Fresh has Put store under a new name each time, where a request that
	// was given up may come later than the next and undo what that did.
	Fresh bool

	// Blind says that a listing may end early without an error where a proxy
	// closes a connection in order in the middle of it, which no network
	// does: FTP tells no length.
	Blind bool
}

// A Site is a target with the proxies before it.
type Site struct {
	Backend backends.Backend
	Proxies []*Proxy // that it goes through
	Dir     string   // where the server has its files
}

const (
	// workers is how many sites are tested at a time, so that stalls are
	// waited for together.
	workers = 16

	// dripped is how many bytes come slowly: for longer than a stall lasts.
	dripped = 30

	// seed makes the choice of faults and contents repeatable.
	seed = 1
)

// Run checks that after a fault no stored file is wrong, what was read is
// right and a listing is whole, or else that there is an error: in time, and
// backends.ErrUnavailable where a connection failed. Without the fault the
// call then works.
func (s Suite) Run(t *testing.T) {
	var sites []*site
	for i := range workers {
		x := &site{Site: s.Open(t), suite: s, name: stores, earlier: make(map[string][sha256.Size]byte)}
		x.content = rand.NewChaCha8([32]byte{seed, byte(i)})
		x.fill(t)
		sites = append(sites, x)
	}
	var fates []fate
	for _, call := range []string{"Put", "Open", "List"} {
		plain := fate{call: call}
		sites[0].meet(t, plain) // on the connections there are, like those to come
		fates = append(fates, s.choose(call, sites[0].turns)...)
	}
	if !t.Failed() {
		meetAll(t, sites, fates)
	}
}

// A fate is a fault of one of a site's proxies.
type fate struct {
	Fault
	call  string // what meets it
	proxy int
	place string // where in a turn
}

func (f fate) String() string {
	return fmt.Sprintf("%s, proxy %d: %s, %s of a turn", f.call, f.proxy, f.Fault, f.place)
}

// places are the offsets in a turn.
var places = [...]string{"beginning", "head", "middle", "last byte"}

// meetAll has the sites meet fates, as many at a time as there are sites.
func meetAll(t *testing.T, sites []*site, fates []fate) {
	next := make(chan fate)
	var all sync.WaitGroup
	for _, x := range sites {
		all.Go(func() {
			for f := range next {
				x.meet(t, f)
			}
		})
	}
	for _, i := range rand.New(rand.NewPCG(seed, seed)).Perm(len(fates)) {
		next <- fates[i]
	}
	close(next)
	all.Wait()
}

// isConnection reports whether it is a failure of connections alone.
func (f fate) isConnection() bool {
	return f.Do == Cut || f.Do == Reset || f.Do == Stall || f.Do == Drip
}

// isHarmless reports whether bytes keep coming to the driver. That those it
// sends arrive slowly looks to it like a server that does not answer.
func (f fate) isHarmless() bool {
	return f.Do == Nothing || f.Do == Stall && f.For > 0 || f.Do == Drip && f.Side == Server
}

// choose returns as many fates of a call as there are to be cases, evenly of
// every kind at every place, over the turns of each proxy.
func (s Suite) choose(call string, turns [][]Turn) []fate {
	var kinds []string
	groups := make(map[string][]fate)
	for i, said := range turns {
		for _, turn := range said {
			for _, f := range s.fates(turn) {
				f.call, f.proxy = call, i
				kind := fmt.Sprint(f.Do, f.Stays, f.For, f.Side, f.place, i)
				if groups[kind] == nil {
					kinds = append(kinds, kind)
				}
				groups[kind] = append(groups[kind], f)
			}
		}
	}
	var chosen []fate
	random := rand.New(rand.NewPCG(seed, seed))
	for len(kinds) > 0 && len(chosen) < s.Cases {
		var more []string
		for _, kind := range kinds {
			g := groups[kind]
			n := random.IntN(len(g))
			chosen = append(chosen, g[n])
			if groups[kind] = slices.Delete(g, n, n+1); len(g) > 1 {
				more = append(more, kind)
			}
		}
		kinds = more
	}
	return chosen[:min(len(chosen), s.Cases)]
}

// fates returns what can happen to a turn.
func (s Suite) fates(turn Turn) (all []fate) {
	for i, offset := range []int64{0, 10, turn.Len / 2, turn.Len - 1} {
		if offset >= turn.Len {
			continue
		}
		add := func(f Fault) {
			f.Side, f.After = turn.Side, turn.Start+offset
			all = append(all, fate{Fault: f, place: places[i]})
		}
		add(Fault{Do: Cut})
		add(Fault{Do: Reset})
		add(Fault{Do: Stall})
		add(Fault{Do: Stall, For: s.Stall / 3})
		add(Fault{Do: Reset, Stays: true})
		add(Fault{Do: Stall, Stays: true})
		add(Fault{Do: Drip, Len: dripped, For: s.Stall * 3 / 2 / dripped})
		if turn.Side == Server {
			add(Fault{Do: Drop, Len: turn.Len - offset})
		}
		if turn.Side == Server && offset == 0 {
			add(Fault{Do: Duplicate, Len: turn.Len})
		}
	}
	return all
}
