package e2e

import (
	"fmt"
	"testing"
	"time"
)

// TestStockReadsOurs has stock Duplicity restore every state of our chains.
func TestStockReadsOurs(t *testing.T) {
	for i, encryption := range []string{"gpg", "none"} {
		t.Run(encryption, func(t *testing.T) {
			b := newBox(t, "encryption "+encryption, "volsize 1")
			d := newDuplicity(t, b.storage, map[string]string{"gpg": b.secret()}[encryption])
			g := newGardener(t, uint64(10+i))
			g.subtle = true
			g.grow()
			points := sessions(t, g, 3, func() point { return b.point(g) })
			for i, p := range points {
				same(t, fmt.Sprintf("set %d", i), d.restore(&p), p.tree, stock)
			}
			d.status(len(points))
			d.verify(g, points[len(points)-1])
		})
	}
}

// TestOursReadsStock restores every state of stock chains.
func TestOursReadsStock(t *testing.T) {
	for i, c := range []struct {
		name, passphrase, encoding string
		options                    []string
	}{
		{"as TKLBAM made them", "the secret", ".gpg", []string{"--gpg-options=--cipher-algo=aes"}},
		{"default", "the secret", ".gpg", nil},
		{"no encryption", "", ".gz", nil},
		{"no compression", "", "none", []string{"--no-compression"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBox(t)
			d := newDuplicity(t, b.storage, c.passphrase, c.options...)
			g := newGardener(t, uint64(20+i))
			g.grow()
			at, kind := time.Now().Truncate(time.Second), "full"
			points := sessions(t, g, 2, func() point {
				p := d.backup(kind, g, at)
				at, kind = at.Add(5*time.Second), "incr"
				return p
			})
			var secret []string // the registry's does where none is needed
			if c.passphrase != "" {
				secret = append(secret, b.secretFile(c.passphrase))
			}
			for i, p := range points {
				same(t, fmt.Sprintf("set %d", i), b.restore(append(secret, p.timeArg())...), p.tree, stock)
			}
			st := b.status(0, secret...)
			if len(st.Chains) != 1 || len(st.Chains[0].Sets) != len(points) || st.Damaged || !st.Checked ||
				len(st.Incomplete)+len(st.Orphans)+len(st.Leftovers)+len(st.Foreign) > 0 {
				t.Fatalf("status %+v", st)
			}
			for i, s := range st.Chains[0].Sets {
				if want := []string{"full", "incremental"}[min(i, 1)]; s.Type != want || s.Encoding != c.encoding || !s.Time.Equal(points[i].at) {
					t.Errorf("set %d: %+v, want %s, %s, %v", i, s, want, c.encoding, points[i].at)
				}
			}
		})
	}
}

// TestAlternating builds a chain with both programs in turn, and has both
// restore every state.
func TestAlternating(t *testing.T) {
	for i, encryption := range []string{"gpg", "none"} {
		for first, name := range []string{"ours first", "stock first"} {
			t.Run(encryption+" "+name, func(t *testing.T) {
				b := newBox(t, "encryption "+encryption, "volsize 1")
				d := newDuplicity(t, b.storage, map[string]string{"gpg": b.secret()}[encryption])
				g := newGardener(t, uint64(30+2*i+first))
				g.grow()
				turn := first
				var last time.Time
				points := sessions(t, g, 4, func() (p point) {
					if turn%2 == 0 {
						p = b.point(g)
					} else {
						at := time.Now().Truncate(time.Second)
						if !at.After(last) {
							at = last.Add(time.Second)
						}
						p = d.backup([]string{"full", "incr"}[min(turn-first, 1)], g, at)
					}
					turn, last = turn+1, p.at
					return p
				})
				for i, p := range points {
					what := fmt.Sprintf("set %d", i)
					same(t, "ours of "+what, b.restore(p.timeArg()), p.tree, stock)
					same(t, "stock's of "+what, d.restore(&p), p.tree, stock)
				}
				d.status(len(points))
				d.verify(g, points[len(points)-1])
				if st := b.status(0); len(st.Chains) != 1 || len(st.Chains[0].Sets) != len(points) || len(st.Chains[0].Unfit) > 0 {
					t.Errorf("status %+v", st)
				}
			})
		}
	}
}

// A status is the program's, as --json prints it.
type status struct {
	Checked bool `json:"manifests_checked"`
	Damaged bool
	Chains  []struct {
		Start, End time.Time
		Unfit      []string
		Sets       []struct {
			Type, Encoding string
			Time           time.Time
			Volumes        int
			Size           int64
			Damage         []string
		}
	}
	Incomplete, Orphans, Leftovers []any
	Foreign                        []string
}

// secretFile keeps a secret where --secretfile finds it, and returns that.
func (b *box) secretFile(secret string) string {
	b.t.Helper()
	path := b.path("given")
	b.write(path, secret+"\nnot this line\n")
	return "--secretfile=" + path
}

func (b *box) status(code int, args ...string) (st status) {
	b.t.Helper()
	r := b.run("status", append([]string{"--json", b.address()}, args...)...)
	if r.code != code {
		b.t.Errorf("exit status %d, want %d", r.code, code)
	}
	unmarshal(b.t, r.stdout, &st)
	return st
}
