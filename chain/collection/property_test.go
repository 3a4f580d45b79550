package collection

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tklbam/chain/filename"
	"tklbam/chain/timeexpr"
)

// checkInvariants checks what is true of every listing.
func checkInvariants(t *testing.T, l list) {
	t.Helper()
	c := l.sort()
	checkPartition(t, l, c)
	checkChains(t, c)
	checkCleanup(t, l, c)
	checkAt(t, c)
	shuffled := slices.Clone(l)
	r := rand.New(rand.NewPCG(uint64(len(l)), 1))
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if !reflect.DeepEqual(shuffled.sort(), c) {
		t.Fatalf("order matters for %q", names(l))
	}
	if d := c.Decide(day(12), frequency("1Y")); !d.Full && len(d.Chain.Unfit()) > 0 {
		t.Errorf("an unfit chain is extended: %q", d.Chain.Unfit())
	}
}

func frequency(s string) timeexpr.Frequency {
	f, err := timeexpr.ParseFrequency(s)
	if err != nil {
		panic(err)
	}
	return f
}

func names(l list) []string {
	var list []string
	for _, f := range l {
		list = append(list, f.Name)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// checkPartition: every name is in exactly one place.
func checkPartition(t *testing.T, l list, c *Collection) {
	t.Helper()
	got := slices.Clone(c.Foreign)
	take := func(s Set) {
		for _, f := range s.Files() {
			got = append(got, f.Name)
		}
	}
	for i := range c.Chains {
		for _, s := range c.Chains[i].Sets() {
			take(s)
		}
	}
	for _, s := range slices.Concat(c.Incomplete, c.Orphans) {
		take(s.Set)
	}
	for _, f := range c.Leftovers {
		got = append(got, f.File.Name)
	}
	slices.Sort(got)
	if want := names(l); !slices.Equal(got, want) {
		t.Errorf("names came out as\n%q\nwent in as\n%q", got, want)
	}
}

func checkChains(t *testing.T, c *Collection) {
	t.Helper()
	for i := range c.Chains {
		ch := &c.Chains[i]
		if i > 0 && ch.End().Before(c.Chains[i-1].End()) {
			t.Error("chains are not in order")
		}
		end := ch.Full.End
		for k, s := range ch.Sets() {
			if !s.Complete() || s.Full != (k == 0) {
				t.Errorf("%v is set %d of a chain", s, k)
			}
			if k > 0 && (!s.Start.Equal(end) || !s.End.After(end)) {
				t.Errorf("%v does not follow a set of %v", s, end)
			}
			end = s.End
		}
	}
	for _, s := range slices.Concat(c.Incomplete, c.Orphans) {
		if s.Reason == "" {
			t.Errorf("%v is a stray without reason", s.Set)
		}
	}
}

// checkCleanup: wherever the deletions stop, the chains are what they were;
// at the end, nothing is left to do.
func checkCleanup(t *testing.T, l list, c *Collection) {
	t.Helper()
	rest := slices.Clone(l)
	for _, d := range c.Cleanup() {
		before := len(rest)
		rest = slices.DeleteFunc(rest, func(f File) bool { return f.Name == d.File.Name })
		if len(rest) == before || slices.Contains(c.Foreign, d.File.Name) || d.Reason == "" {
			t.Fatalf("bad deletion %+v", d)
		}
		if got := rest.sort().Chains; !reflect.DeepEqual(got, c.Chains) {
			t.Fatalf("deleting %q changed the chains", d.File.Name)
		}
	}
	if plan := rest.sort().Cleanup(); len(plan) > 0 {
		t.Fatalf("after cleanup of %q there is %+v", names(l), plan)
	}
}

func checkAt(t *testing.T, c *Collection) {
	t.Helper()
	times := c.Times()
	for n := 1; n < 20; n++ {
		i, found := slices.BinarySearchFunc(times, day(n), timeCompare)
		if found {
			i++
		}
		p, err := c.At(day(n))
		var early *TooEarlyError
		switch {
		case len(times) == 0:
			if err != ErrEmpty {
				t.Fatalf("At of nothing = %v", err)
			}
		case i == 0:
			if !errors.As(err, &early) || !errors.Is(err, fs.ErrNotExist) || !slices.Equal(early.Available, times) {
				t.Fatalf("At(%v) = %v", day(n), err)
			}
		case err != nil || !p.Time().Equal(times[i-1]):
			t.Fatalf("At(%v) = %v, %v", day(n), p.Time(), err)
		}
	}
}

// checkEachLoss: without any one file, what uses a healthy collection is told.
func checkEachLoss(t *testing.T, l list) {
	t.Helper()
	whole := l.sort()
	volumes := make(map[string][]int) // of the whole sets, as their manifests say
	for i := range whole.Chains {
		for _, s := range whole.Chains[i].Sets() {
			for _, v := range s.Volumes {
				volumes[s.String()] = append(volumes[s.String()], v.Number)
			}
		}
	}
	for i, lost := range l {
		rest := slices.Delete(slices.Clone(l), i, i+1)
		checkInvariants(t, rest)
		if c := rest.sort(); !tells(c, whole, lost, volumes) {
			t.Errorf("the loss of %q is not noticed: %s", lost.Name, outline(c))
		}
	}
}

// tells reports whether c shows the loss of one file.
func tells(c, whole *Collection, lost File, volumes map[string][]int) bool {
	n, err := filename.Parse(lost.Name)
	if err != nil {
		return true
	}
	for i := range c.Chains {
		for _, s := range c.Chains[i].Sets() {
			if !s.End.Equal(n.End) {
				continue
			}
			switch n.Kind {
			case filename.Volume:
				return len(s.Damage) > 0 || len(s.MissingVolumes(volumes[s.String()])) > 0
			case filename.Signatures:
				return s.Signatures == nil && slices.ContainsFunc(c.Chains[i].Unfit(), func(text string) bool {
					return strings.HasPrefix(text, s.String())
				})
			}
			return false
		}
	}
	// The set is in no chain any more; a restore of its time says so.
	last := whole.Chains[len(whole.Chains)-1]
	p, err := c.At(last.End())
	stray := slices.ContainsFunc(slices.Concat(c.Incomplete, c.Orphans), func(s Stray) bool { return s.Set.End.Equal(n.End) })
	alone := slices.ContainsFunc(c.Leftovers, func(l Leftover) bool { return l.Time.Equal(n.End) })
	return err != nil || len(p.Skipped) > 0 || stray || alone
}

func TestEachLoss(t *testing.T) {
	checkEachLoss(t, twoChains())
	checkEachLoss(t, list{}.set(0, 1, 2, ".gz").set(1, 2, 3, ".gz"))
}

func TestRandomListings(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 500 {
		data := make([]byte, r.IntN(120))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		checkInvariants(t, listFrom(data))
	}
}

// listFrom makes a listing of three bytes per name, with few enough times that
// many of them link, fork or collide.
func listFrom(data []byte) list {
	var l list
	for ; len(data) >= 3; data = data[3:] {
		n := filename.Name{
			Kind:    filename.Kind(1 + data[0]%3),
			Full:    data[0]>>2%4 == 0,
			Partial: data[0]>>4 == 7,
			Suffix:  []string{".gpg", ".gz", "", ".zst.age"}[max(int(data[2]>>4)-12, 0)],
			End:     day(1 + int(data[1]%8)),
		}
		if data[2]>>3%8 == 0 {
			n.Prefix = "x"
		}
		if !n.Full {
			n.Start = day(1 + int(data[1]>>3%8))
		}
		if n.Kind == filename.Volume {
			n.Volume = 1 + int(data[2]%4)
		}
		l = append(l, File{n.String(), int64(data[2])})
	}
	return l
}

func FuzzListing(f *testing.F) {
	f.Add([]byte("\x00\x01\x01\x01\x01\x01\x02\x01\x01"))
	f.Add([]byte("\x00\x01\x01\x01\x01\x01\x04\x0a\x01\x05\x0a\x01\x05\x0b\x01\x04\x0b\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 300 {
			return
		}
		checkInvariants(t, listFrom(data))
	})
}
