package collection

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tklbam/chain/filename"
)

// day returns midnight of a day in January 2020.
func day(n int) time.Time { return time.Date(2020, 1, n, 0, 0, 0, 0, time.UTC) }

func name(kind filename.Kind, start, end, volume int, suffix string) string {
	n := filename.Name{Kind: kind, Full: start == 0, End: day(end), Volume: volume, Suffix: suffix}
	if start != 0 {
		n.Start = day(start)
	}
	return n.String()
}

// A list is a listing under construction. Sessions are given by their days; a
// start of 0 makes a full one. Sizes are 1000 per volume, 100 for signatures
// and 10 for a manifest.
type list []File

func (l list) volumes(start, end, n int, suffix string) list {
	for v := range n {
		l = append(l, File{name(filename.Volume, start, end, v+1, suffix), 1000})
	}
	return l
}

func (l list) signatures(start, end int, suffix string) list {
	return append(l, File{name(filename.Signatures, start, end, 0, suffix), 100})
}

func (l list) manifest(start, end int, suffix string) list {
	return append(l, File{name(filename.Manifest, start, end, 0, suffix), 10})
}

func (l list) set(start, end, n int, suffix string) list {
	return l.volumes(start, end, n, suffix).signatures(start, end, suffix).
		manifest(start, end, strings.TrimSuffix(suffix, ".gz"))
}

func (l list) add(names ...string) list {
	for _, n := range names {
		l = append(l, File{n, 1})
	}
	return l
}

func (l list) without(part string) list {
	return slices.DeleteFunc(slices.Clone(l), func(f File) bool { return strings.Contains(f.Name, part) })
}

func (l list) sort() *Collection { return New(l, Prefixes{}) }

// twoChains is a healthy collection of five sets.
func twoChains() list {
	return list{}.set(0, 1, 3, ".gpg").set(1, 2, 1, ".gpg").set(2, 3, 2, ".gpg").
		set(0, 10, 2, ".zst.age").set(10, 11, 1, ".zst.age")
}

// outline writes a collection in one line: chains as the days of their sets,
// then what else there is, with a "!" on what cleanup leaves alone.
func outline(c *Collection) string {
	var words []string
	for i := range c.Chains {
		var days []string
		for _, s := range c.Chains[i].Sets() {
			days = append(days, fmt.Sprint(s.End.Day()))
		}
		words = append(words, strings.Join(days, "-"))
	}
	item := func(label string, t time.Time, removable bool) {
		mark := "!"
		if removable {
			mark = ""
		}
		words = append(words, fmt.Sprintf("%s %d%s", label, t.Day(), mark))
	}
	for _, s := range c.Incomplete {
		item("incomplete", s.Set.End, s.Removable)
	}
	for _, s := range c.Orphans {
		item("orphan", s.Set.End, s.Removable)
	}
	for _, l := range c.Leftovers {
		item("left", l.Time, l.Removable)
	}
	if len(c.Foreign) > 0 {
		words = append(words, fmt.Sprintf("foreign %d", len(c.Foreign)))
	}
	return strings.Join(words, ", ")
}

func TestNew(t *testing.T) {
	tests := []struct {
		name string
		list list
		want string
	}{
		{"nothing", nil, ""},
		{"two chains", twoChains(), "1-2-3, 10-11"},
		{"foreign names", twoChains().add("README", "duplicity-full.x", ".htaccess"), "1-2-3, 10-11, foreign 3"},
		{"interleaved chains", list{}.set(0, 1, 1, "").set(0, 2, 1, "").set(1, 3, 1, "").set(2, 4, 1, ""), "1-3, 2-4"},
		{"chain that ends later sorts later", list{}.set(0, 1, 1, "").set(0, 2, 1, "").set(1, 3, 1, ""), "2, 1-3"},
		{"unfinished full", twoChains().volumes(0, 20, 2, ".gpg"), "1-2-3, 10-11, incomplete 20"},
		{"unfinished incremental with signatures",
			twoChains().volumes(11, 20, 2, ".gpg").signatures(11, 20, ".gpg"), "1-2-3, 10-11, incomplete 20"},
		{"signatures alone", twoChains().signatures(11, 20, ".gpg").signatures(0, 21, ".gz"),
			"1-2-3, 10-11, left 20, left 21"},
		{"manifest of a full set lost", twoChains().without("full.20200110T000000Z.manifest"),
			"1-2-3, incomplete 10!, orphan 11!"},
		{"manifest of an incremental set lost", twoChains().without("20200102T000000Z.manifest"),
			"1, 10-11, incomplete 2!, orphan 3!"},
		{"full set lost", twoChains().without("full.20200101").without("full-signatures.20200101"),
			"10-11, orphan 2, orphan 3"},
		{"fork", twoChains().set(2, 4, 1, ".gpg"), "1-2-4, 10-11, orphan 3!"},
		{"what builds on a fork's loser", twoChains().set(2, 4, 1, ".gpg").set(3, 5, 1, ".gpg"),
			"1-2-4, 10-11, orphan 3!, orphan 5!"},
		{"fork further down", twoChains().set(1, 4, 1, ".gpg"), "1-2-3, 10-11, orphan 4!"},
		{"clock set back", twoChains().set(11, 9, 1, ".gpg").set(11, 11, 1, ".gpg"), "1-2-3, 10-11, orphan 9, orphan 11"},
		{"partial files", twoChains().add("duplicity-full.20200120T000000Z.manifest.part",
			"duplicity-inc.20200111T000000Z.to.20200121T000000Z.vol1.difftar.part"), "1-2-3, 10-11, left 20, left 21"},
		{"decrypted copies", twoChains().set(0, 1, 3, ""), "1-2-3, 10-11, left 1!, left 1!, left 1!, left 1!, left 1!"},
		{"decrypted copies of what can go", list{}.set(5, 6, 1, ".gpg").set(5, 6, 1, ""), "orphan 6, left 6, left 6, left 6"},
		{"listed twice", append(twoChains(), twoChains()...), "1-2-3, 10-11"},
		{"short name of the same file", list{}.set(0, 1, 1, ".gz").add("df." + strconv.FormatInt(day(1).Unix(), 36) + ".m"), "1, left 1!"},
		{"prefixed", twoChains().add("vm-duplicity-full.20200101T000000Z.manifest.gpg"), "1-2-3, 10-11, foreign 1"},
	}
	for _, tt := range tests {
		if got := outline(tt.list.sort()); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestSet(t *testing.T) {
	c := twoChains().sort()
	s := c.Chains[0].Full
	if !s.Complete() || s.Size() != 3110 || len(s.Volumes) != 3 || s.Suffix != ".gpg" || !s.Start.IsZero() {
		t.Errorf("full set: %+v", s)
	}
	if got := c.Chains[0].Size(); got != 3110+1110+2110 {
		t.Errorf("chain has %d bytes", got)
	}
	if v, ok := s.Volume(2); !ok || v.File.Name != name(filename.Volume, 0, 1, 2, ".gpg") {
		t.Errorf("volume 2 is %v, %v", v, ok)
	}
	if got := s.MissingVolumes([]int{1, 2, 3, 4, 9}); !slices.Equal(got, []int{4, 9}) {
		t.Errorf("missing volumes %v", got)
	}
	if got := c.Chains[0].Incs[0].String(); got != "incremental backup of 2020-01-02T00:00:00Z" {
		t.Errorf("String = %q", got)
	}
	if got := c.Newest(); !got.Equal(day(11)) {
		t.Errorf("Newest = %v", got)
	}
	later := twoChains().volumes(0, 20, 1, "").signatures(0, 21, "").add("duplicity-full.20200122T000000Z.manifest.part")
	for _, n := range []int{22, 21, 20} {
		if got := later.sort().Newest(); !got.Equal(day(n)) {
			t.Errorf("Newest = %v, want %v", got, day(n))
		}
		later = later[:len(later)-1]
	}
}

func TestDamageAndOddities(t *testing.T) {
	full := list{}.set(0, 1, 9, ".gpg")
	tests := []struct {
		name             string
		list             list
		damage, oddities string
	}{
		{"healthy", full, "", ""},
		{"one volume", full.without("vol3."), "volumes are missing: 3", ""},
		{"the first volumes", full.without("vol1.").without("vol2."), "volumes are missing: 1 to 2", ""},
		{"the last volume", full.without("vol9."), "", ""}, // for the manifest to tell
		{"several", full.without("vol2.").without("vol5.").without("vol6."), "volumes are missing: 2, 5 to 6", ""},
		{"one far out", full.add("duplicity-full.20200101T000000Z.vol2147483647.difftar.gpg"),
			"volumes are missing: 10 to 2147483646", ""},
		{"all volumes", full.without("vol"), "none of its volumes is here", ""},
		{"signatures", full.without("sigtar"), "", "its signature file is missing"},
		{"one volume stored otherwise", full.without("vol3.").add("duplicity-full.20200101T000000Z.vol3.difftar.gz"),
			"", "volumes are stored unlike the others, which are .gpg: 3 as .gz"},
		{"plain manifest", full.without("manifest").manifest(0, 1, ""),
			"", "its manifest is stored as plain files, its volumes as .gpg"},
		{"gzip", list{}.set(0, 1, 2, ".gz"), "", ""},
		{"no compression", list{}.set(0, 1, 2, ""), "", ""},
	}
	for _, tt := range tests {
		c := tt.list.sort()
		if len(c.Chains) != 1 {
			t.Errorf("%s: %s", tt.name, outline(c))
			continue
		}
		s := c.Chains[0].Full
		if d, o := strings.Join(s.Damage, ";"), strings.Join(s.Oddities, ";"); d != tt.damage || o != tt.oddities {
			t.Errorf("%s: damage %q, oddities %q, want %q, %q", tt.name, d, o, tt.damage, tt.oddities)
		}
	}
	many := list{}.set(0, 1, 40, "")
	for n := 2; n < 40; n += 2 {
		many = many.without(fmt.Sprintf("vol%d.", n))
	}
	if got := many.sort().Chains[0].Full.Damage[0]; got != "volumes are missing: 2, 4, 6, 8, 10, and 14 more" {
		t.Errorf("damage %q", got)
	}
}

// The copies that somebody decrypted beside a set are not mixed into it.
func TestCopiesAreNotMixedIn(t *testing.T) {
	l := list{}.set(0, 1, 3, ".gpg").volumes(0, 1, 3, "").manifest(0, 1, "")
	s := l.sort().Chains[0].Full
	for _, f := range s.Files() {
		if !strings.HasSuffix(f.Name, ".gpg") {
			t.Errorf("%q is used", f.Name)
		}
	}
	if len(s.Damage)+len(s.Oddities) > 0 {
		t.Errorf("damage %q, oddities %q", s.Damage, s.Oddities)
	}
	s = list{}.set(0, 1, 3, "").volumes(0, 1, 1, ".gz").sort().Chains[0].Full
	if s.Volumes[0].Suffix != "" || len(s.Oddities) > 0 {
		t.Errorf("volume 1 is %q, oddities %q", s.Volumes[0].File.Name, s.Oddities)
	}
}

func TestTwoBackupsOfOneTime(t *testing.T) {
	c := list{}.set(0, 1, 1, "").set(1, 2, 1, "").set(0, 2, 1, "").set(2, 3, 1, "").sort()
	if got := outline(c); got != "2, 1-2-3" {
		t.Errorf("%q", got)
	}
	if d := c.Chains[1].Incs[1].Damage; len(d) != 1 || !strings.Contains(d[0], "guess") {
		t.Errorf("damage %q", d)
	}
}

func TestPrefixes(t *testing.T) {
	var l list
	for _, f := range twoChains() {
		prefix := "a-"
		if strings.Contains(f.Name, "manifest") {
			prefix = "m-"
		} else if strings.Contains(f.Name, "sigtar") {
			prefix = "s-"
		}
		l = append(l, File{prefix + f.Name, f.Size})
	}
	c := l.sort()
	if got := outline(c); got != fmt.Sprintf("foreign %d", len(l)) || !slices.Equal(c.OtherPrefixes, []string{"a-", "m-", "s-"}) {
		t.Errorf("%q, prefixes %q", got, c.OtherPrefixes)
	}
	c = New(append(l, twoChains()...), Prefixes{"a-", "m-", "s-"})
	if got := outline(c); got != fmt.Sprintf("1-2-3, 10-11, foreign %d", len(l)) || !slices.Equal(c.OtherPrefixes, []string{""}) {
		t.Errorf("%q, prefixes %q", got, c.OtherPrefixes)
	}
}

// Real listings, when they are beside the repository.
func TestRealListings(t *testing.T) {
	want := map[string]int{"dejadup-2020-gpg": 3, "dejadup-2020-plain": 1}
	for dir, sets := range want {
		t.Run(dir, func(t *testing.T) {
			l := listDir(t, filepath.Join("../../../shared/chains", dir))
			if len(l) == 0 {
				t.Skipf("no %s in ../shared/chains", dir)
			}
			c := l.sort()
			if len(c.Chains) != 1 || len(c.Chains[0].Sets()) != sets || len(c.Chains[0].Unfit()) > 0 {
				t.Errorf("%s: unfit for %q", outline(c), c.Chains[0].Unfit())
			}
			checkInvariants(t, l)
			checkEachLoss(t, l)
		})
	}
}

func listDir(t *testing.T, dir string) list {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var l list
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		l = append(l, File{filepath.Base(p), info.Size()})
	}
	return l
}
