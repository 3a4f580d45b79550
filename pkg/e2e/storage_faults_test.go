package e2e

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tklbam/backends/backendtest/faultproxy"
	"tklbam/backends/backendtest/servers"
)

// A link is what stands between a box and a site.
type link []*faultproxy.Proxy

// behind puts proxies before a site's server.
func (s *site) behind(t testing.TB) link {
	t.Helper()
	var proxies link
	var far string
	if strings.HasPrefix(s.address, "ftp:") {
		p, address := faultproxy.StartFTP(t, s.addr)
		proxies, far = link{p.Data, p.Control}, address
	} else {
		p, address := faultproxy.Start(t, s.addr)
		proxies, far = link{p}, address
	}
	s.address = strings.Replace(s.address, s.addr, far, 1)
	return proxies
}

// heal ends faults and forgets what was said.
func (l link) heal() {
	for _, p := range l {
		p.Set(faultproxy.None)
	}
}

// A trouble is a fault of one of the proxies.
type trouble struct {
	proxy int
	faultproxy.Fault
}

// said tells how many bytes either side sent through each proxy since heal.
func (l link) said() (n [][2]int64) {
	for _, p := range l {
		var sides [2]int64
		for _, turn := range p.Turns() {
			sides[turn.Side] += turn.Len
		}
		n = append(n, sides)
	}
	return n
}

// choose returns a fault at any of the bytes that were said.
func choose(rnd *rand.Rand, said [][2]int64) trouble {
	tr := trouble{proxy: rnd.IntN(len(said))}
	tr.Do = []faultproxy.Action{faultproxy.Cut, faultproxy.Reset}[rnd.IntN(2)]
	tr.Side = []faultproxy.Side{faultproxy.Client, faultproxy.Server}[rnd.IntN(2)]
	tr.Stays = rnd.IntN(3) == 0
	tr.After = rnd.Int64N(max(said[tr.proxy][tr.Side], 1))
	return tr
}

// befall has trouble happen, and end after a second where it would
// stay.
func (l link) befall(t testing.TB, tr trouble) {
	l.heal()
	l[tr.proxy].Set(tr.Fault)
	if tr.Stays {
		timer := time.AfterFunc(time.Second, func() { l[tr.proxy].Set(faultproxy.None) })
		t.Cleanup(func() { timer.Stop() })
	}
}

// TestFaults ends connections at some byte of a backup, and of a restore. The
// command succeeds or says what is wrong, the next one completes it, and what
// is restored is right.
func TestFaults(t *testing.T) {
	for i, k := range []struct {
		name  string
		start starter
	}{
		{"sftp", sftpSite},
		{"ftp", ftpSite(servers.User, servers.Password)},
		{"webdav", webdavSite(servers.User, servers.Password, 60)},
		{"s3", s3Site},
	} {
		t.Run(k.name, func(t *testing.T) {
			b := newBox(t, "volsize 1")
			s := k.start(t, b)
			l := s.behind(t)
			b.write(b.path("home/.ssh/config"), "StrictHostKeyChecking accept-new\n")
			g := newGardener(t, uint64(400+i))
			g.file("big", g.noise(2<<20))
			g.names()
			b.use(s, "calm")
			l.heal()
			b.backup(g.root)
			up := l.said()
			l.heal()
			b.restore()
			down := l.said()
			troubled := 0
			for round := range 3 {
				b.use(s, fmt.Sprint("round", round))
				rnd := rand.New(rand.NewPCG(uint64(i), uint64(round)))
				l.befall(t, choose(rnd, up))
				troubled += b.survives(l, g.root)
				l.befall(t, choose(rnd, down))
				troubled += b.restoresOrFails(l, look(t, g.root))
			}
			if troubled == 0 {
				t.Error("no command met a fault")
			}
		})
	}
}

// survives runs a backup in trouble, and the next one without. It returns how
// often something was tried again or given up.
func (b *box) survives(l link, root string) (troubled int) {
	b.t.Helper()
	args := []string{"--json", "--raw-upload=" + root, b.address()}
	troubled = b.clear(b.run("backup", args...), 0, 1)
	l.heal()
	b.clear(b.run("backup", args...), 0)
	if st := b.status(0); len(st.Chains) != 1 || st.Damaged || len(st.Chains[0].Unfit) > 0 {
		b.t.Errorf("status %+v", st)
	}
	return troubled
}

// restoresOrFails runs a restore in trouble, and the next one without. It
// returns how often something was tried again or given up.
func (b *box) restoresOrFails(l link, want tree) (troubled int) {
	b.t.Helper()
	dst := filepath.Join(tempDir(b.t), "out")
	r := b.run("restore", "--json", "--raw-download="+dst, b.address())
	troubled = b.clear(r, 0, 1)
	if r.code == 0 {
		same(b.t, "restored in trouble", look(b.t, dst), want, exact)
	}
	l.heal()
	same(b.t, "restored", b.restore(), want, exact)
	return troubled
}

// clear checks that a command ended with one of the statuses, and where it
// failed said so in one line. It returns how often something was tried again or
// given up.
func (b *box) clear(r result, codes ...int) int {
	b.t.Helper()
	if !slices.Contains(codes, r.code) {
		b.t.Errorf("exit status %d, want %d:\n%s", r.code, codes, r.output())
	}
	if r.code != 0 && (!strings.HasPrefix(r.stderr, "error: ") || strings.Count(r.stderr, "\n") > 3) {
		b.t.Errorf("the error is not clear:\n%s", r.output())
	}
	return r.code + strings.Count(r.output(), ": attempt ")
}
