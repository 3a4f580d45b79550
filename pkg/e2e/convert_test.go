package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAgeChainToStock turns one of our chains into one that stock reads, with
// the stock programs age and zstd alone.
func TestAgeChainToStock(t *testing.T) {
	needs(t, "age", "zstd", "script")
	b := newBox(t, "volsize 1")
	g := newGardener(t, 50)
	g.subtle = true
	g.grow()
	points := sessions(t, g, 2, func() point { return b.point(g) })
	plain := b.path("plain")
	ok(t, os.Mkdir(plain, 0o755))
	escrow := strings.Fields(b.must("escrow", "--format=age", "--no-passphrase", "-").stdout)
	key := escrow[len(escrow)-1]
	for name := range stored(t, b.storage) {
		to, isOurs := strings.CutSuffix(name, ".zst.age")
		if !isOurs {
			t.Fatalf("%s in a chain of age", name)
		}
		unseal(t, filepath.Join(b.storage, name), filepath.Join(plain, to), key)
	}
	d := newDuplicity(t, plain, "", "--no-compression")
	for i, p := range points {
		same(t, fmt.Sprintf("stock's of set %d", i), d.restore(&p), p.tree, stock)
	}
	d.status(len(points))

	// What came of it is a chain for us too, with all that stock doesn't see.
	b.storage = plain
	for i, p := range points {
		same(t, fmt.Sprintf("ours of set %d", i), b.restore(p.timeArg()), p.tree, exact)
	}
}

// unseal decrypts a file with age, which takes a passphrase from a terminal
// only, and decompresses it with zstd.
func unseal(t *testing.T, from, to, passphrase string) {
	t.Helper()
	cmd := exec.Command("script", "-qec", fmt.Sprintf("age -d -o '%s.zst' '%s'", to, from), "/dev/null")
	cmd.Stdin = strings.NewReader(passphrase + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	cmd = exec.Command("zstd", "-q", "-d", "--rm", to+".zst", "-o", to)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// TestRealChains restores chains that other programs made years ago, as stock
// restores them.
func TestRealChains(t *testing.T) {
	shared, err := filepath.Abs("../../../shared/chains")
	ok(t, err)
	for _, c := range []struct {
		name, passphrase string
		sets             int
	}{{"dejadup-2020-plain", "", 1}, {"dejadup-2020-gpg", "test", 3}} {
		t.Run(c.name, func(t *testing.T) {
			b := newBox(t)
			b.storage = filepath.Join(shared, c.name)
			if _, err := os.Stat(b.storage); err != nil {
				t.Skip("the chain is not here:", err)
			}
			d := newDuplicity(t, b.storage, c.passphrase)
			var secret []string
			if c.passphrase != "" {
				secret = append(secret, b.secretFile(c.passphrase))
			}
			st := b.status(0, secret...)
			if len(st.Chains) != 1 || len(st.Chains[0].Sets) != c.sets {
				t.Fatalf("status %+v", st)
			}
			for _, s := range st.Chains[0].Sets {
				p := point{at: s.Time}
				got, want := b.restore(append(secret, p.timeArg())...), d.restore(&p)
				if len(want) < 2 {
					t.Errorf("stock restores %d files", len(want))
				}
				same(t, "set of "+s.Time.String(), got, want, stock)
			}
		})
	}
}
