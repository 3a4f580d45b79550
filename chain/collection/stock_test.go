package collection

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tklbam/chain/filename"
)

// script sorts listings as Duplicity does and prints of each the chains as
// lists of times, the times of orphaned sets and those of incomplete ones.
const script = `
import json, sys
from duplicity import dup_collections, dup_time, log
log.setup()
dup_time.setcurtime(1700000000)
status = dup_collections.CollectionsStatus(None, None, "replicate")
out = []
for names in json.load(sys.stdin):
    chains, orphans, incomplete = status.get_backup_chains([n.encode() for n in names])
    out.append([sorted([s.get_time() for s in c.get_all_sets()] for c in chains),
        sorted(s.get_time() for s in orphans), sorted(s.get_time() for s in incomplete)])
json.dump(out, sys.stdout)
`

// A view is what Duplicity sees in a listing, in Unix times. Sets that lost a
// fork are in none of its lists.
type view struct {
	Chains              [][]int64
	Orphans, Incomplete []int64
}

// UnmarshalJSON reads the script's triple.
func (v *view) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&v.Chains, &v.Orphans, &v.Incomplete})
}

func viewOf(c *Collection) view {
	v := view{Chains: [][]int64{}, Orphans: []int64{}, Incomplete: []int64{}}
	for i := range c.Chains {
		var times []int64
		for _, s := range c.Chains[i].Sets() {
			times = append(times, s.End.Unix())
		}
		v.Chains = append(v.Chains, times)
	}
	slices.SortFunc(v.Chains, slices.Compare[[]int64])
	for _, s := range c.Orphans {
		if !strings.Contains(s.Reason, "continued by the newer") {
			v.Orphans = append(v.Orphans, s.Set.End.Unix())
		}
	}
	for _, s := range c.Incomplete {
		v.Incomplete = append(v.Incomplete, s.Set.End.Unix())
	}
	return v
}

func stockViews(t *testing.T, listings []list) []view {
	t.Helper()
	python := stockPython(t)
	var question [][]string
	for _, l := range listings {
		question = append(question, append([]string{}, names(l)...))
	}
	in, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", script)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", python, err, stderr.Bytes())
	}
	var views []view
	if err := json.Unmarshal(out, &views); err != nil || len(views) != len(listings) {
		t.Fatalf("read answer of %d bytes: %v", len(out), err)
	}
	return views
}

// randomSessions makes sets that link, fork and fail. Each has a time of its
// own (stock makes no promise for two of one time), one suffix (stock stops at
// copies) and a volume (stock does not list a full set without).
func randomSessions(r *rand.Rand) list {
	var l list
	for end := 2; end < 12; end++ {
		if r.IntN(4) == 0 {
			continue
		}
		start := 0
		if r.IntN(5) > 0 {
			start = 1 + r.IntN(end-1)
		}
		if r.IntN(12) == 0 {
			start = end + 1
		}
		l = l.volumes(start, end, 1+r.IntN(3), ".gpg")
		if r.IntN(6) > 0 {
			l = l.signatures(start, end, ".gpg")
		}
		if r.IntN(6) > 0 {
			l = l.manifest(start, end, ".gpg")
		}
	}
	return l.add("unrelated")
}

func TestSortsLikeStock(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	var listings []list
	for range 400 {
		listings = append(listings, randomSessions(r))
	}
	forks := 0
	for i, want := range stockViews(t, listings) {
		c := listings[i].sort()
		if got := viewOf(c); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q:\nwe see %v\nstock  %v", names(listings[i]), got, want)
		}
		forks += len(c.Orphans) - len(want.Orphans)
		checkInvariants(t, listings[i])
	}
	if forks == 0 {
		t.Error("no listing with a fork")
	}
}

// Chains of the real program, one .gz and one .gpg, with an interrupted
// session after each.
func TestRealChains(t *testing.T) {
	needs(t, "duplicity")
	needs(t, "gpg")
	dir := t.TempDir()
	source, target := filepath.Join(dir, "source"), filepath.Join(dir, "target")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	grow := func(name string, size int) {
		b := make([]byte, size)
		r := rand.New(rand.NewPCG(uint64(size), 0))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if err := os.WriteFile(filepath.Join(source, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := stock{t, dir, source, "file://" + target}
	t.Cleanup(s.stopAgent)
	grow("a", 1_200_000)
	s.run("--no-encryption", "1600000000", "full")
	grow("b", 100)
	s.run("--no-encryption", "1600001000", "incr")
	grow("c", 1000)
	s.run("--no-encryption", "1600002000", "incr")
	s.run("", "1600010000", "full")
	grow("d", 1000)
	s.run("", "1600011000", "incr")
	grow("e", 1_200_000)
	s.interrupt("", "1600012000", "incr")

	l := listDir(t, target)
	c := l.sort()
	want := view{Orphans: []int64{}, Incomplete: []int64{1600012000},
		Chains: [][]int64{{1600000000, 1600001000, 1600002000}, {1600010000, 1600011000}}}
	if got := viewOf(c); !reflect.DeepEqual(got, want) {
		t.Fatalf("%q:\nwe see %v\nwant   %v", names(l), got, want)
	}
	for i, suffix := range []string{".gz", ".gpg"} {
		if ch := &c.Chains[i]; ch.Suffix() != suffix || len(ch.Unfit()) > 0 || len(ch.Full.Volumes) < 2 {
			t.Errorf("chain stored as %q, unfit for %q, of %d volumes", ch.Suffix(), ch.Unfit(), len(ch.Full.Volumes))
		}
	}
	if got := stockViews(t, []list{l})[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("stock sees %v, want %v", got, want)
	}
	checkEachLoss(t, l.without("20200913T154640Z"))
	checkInvariants(t, l)
	s.cleanAsPlanned(target, c)
}

// cleanAsPlanned removes what Cleanup says, after which stock finds nothing
// left to clean.
func (s stock) cleanAsPlanned(target string, c *Collection) {
	s.t.Helper()
	plan := c.Cleanup()
	if len(plan) == 0 {
		s.t.Error("nothing to clean")
	}
	for _, d := range plan {
		if n, err := filename.Parse(d.File.Name); err != nil || n.End.Unix() != 1600012000 {
			s.t.Errorf("%q would be deleted", d.File.Name)
		}
		if err := os.Remove(filepath.Join(target, d.File.Name)); err != nil {
			s.t.Fatal(err)
		}
	}
	out, err := s.command("", "1600020000", "collection-status", "--archive-dir", filepath.Join(s.dir, "other"), s.url).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No orphaned or incomplete backup sets found.") {
		s.t.Errorf("collection-status: %v\n%s", err, out)
	}
}

// stock runs the real program, at given Unix times.
type stock struct {
	t                *testing.T
	dir, source, url string
}

func (s stock) command(encryption, now, action string, args ...string) *exec.Cmd {
	all := []string{action, "--current-time", now, "--allow-source-mismatch", "--volsize", "1", "--name", "test"}
	if encryption != "" {
		all = append(all, encryption)
	}
	cmd := exec.Command("duplicity", append(all, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+s.dir, "GNUPGHOME="+s.dir, "PASSPHRASE=test")
	return cmd
}

func (s stock) backup(encryption, now, action string, args ...string) ([]byte, error) {
	args = append(args, "--archive-dir", filepath.Join(s.dir, "archive"), s.source, s.url)
	return s.command(encryption, now, action, args...).CombinedOutput()
}

func (s stock) run(encryption, now, action string) {
	s.t.Helper()
	if out, err := s.backup(encryption, now, action); err != nil {
		s.t.Fatalf("duplicity %s: %v\n%s", action, err, out)
	}
}

// stopAgent ends the agent that gpg starts for the test's home directory.
func (s stock) stopAgent() {
	cmd := exec.Command("gpgconf", "--kill", "gpg-agent")
	cmd.Env = append(os.Environ(), "GNUPGHOME="+s.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Logf("gpgconf: %v\n%s", err, out)
	}
}

// interrupt makes the session die after its second volume.
func (s stock) interrupt(encryption, now, action string) {
	s.t.Helper()
	if out, err := s.backup(encryption, now, action, "--fail-on-volume", "2"); err == nil {
		s.t.Fatalf("duplicity %s finished\n%s", action, out)
	}
}

// stockPython returns the interpreter that has Duplicity's modules: the one
// its program is run by.
func stockPython(t *testing.T) string {
	t.Helper()
	program := needs(t, "duplicity")
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	python, ok := strings.CutPrefix(line, "#!")
	if !ok {
		t.Skipf("%s is not a script", program)
	}
	return python
}

// needs returns the path of a program without which the test has no oracle.
func needs(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
	return ""
}
