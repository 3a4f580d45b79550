package collection

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"tklbam/chain/filename"
)

func timeCompare(a, b time.Time) int { return a.Compare(b) }

func TestDecide(t *testing.T) {
	tests := []struct {
		name     string
		list     list
		now      time.Time
		every    string
		full     bool
		reason   string
		warnings []string // parts of each
	}{
		{"nothing", nil, day(12), "1M", true, "there is no backup yet", nil},
		{"only an unfinished set", list{}.volumes(0, 1, 1, ""), day(12), "1M", true, "there is no complete backup to build on", nil},
		{"young", twoChains(), day(12), "1M", false, "full backup of 2020-01-10T00:00:00Z is 2 days old, and the next one is due after 1M", nil},
		{"just young enough", twoChains(), day(12), "2D", false, "is 2 days old", nil},
		{"too old", twoChains(), day(12).Add(time.Second), "2D", true, "is 2 days old, and one is due every 2D", nil},
		{"asked for", twoChains(), day(12), "now", true, "a full backup was asked for", nil},
		{"in the future", twoChains(), day(9), "1m", false, "is 0 seconds old", []string{"dated 1 day in the future"}},
		{"last signatures lost", twoChains().without("to.20200111T000000Z.sigtar"), day(12), "1M", true, "newest chain cannot be extended",
			[]string{"incremental backup of 2020-01-11T00:00:00Z: its signature file is missing"}},
		{"first signatures lost", twoChains().without("full-signatures.20200110"), day(12), "1M", true, "newest chain cannot be extended",
			[]string{"full backup of 2020-01-10T00:00:00Z: its signature file is missing"}},
		{"volume lost", twoChains().without("full.20200110T000000Z.vol1"), day(12), "1M", true, "newest chain cannot be extended",
			[]string{"full backup of 2020-01-10T00:00:00Z: volumes are missing: 1"}},
		{"old chain's signatures do not matter", twoChains().without("full-signatures.20200101"), day(12), "1M", false, "2 days old", nil},
		{"stored otherwise", twoChains().set(11, 12, 1, ".gz"), day(13), "1M", true, "newest chain cannot be extended",
			[]string{"it is stored as .gz, its chain's full backup as .zst.age"}},
		{"newest chain lost its manifest", twoChains().without("full.20200110T000000Z.manifest"), day(12), "1M", false, "11 days old",
			[]string{"full backup of 2020-01-10T00:00:00Z: its manifest was lost", "2020-01-11T00:00:00Z: the backup of 2020-01-10T00:00:00Z, on which it builds, has no manifest"}},
		{"unfinished set", twoChains().volumes(11, 12, 1, ".zst.age"), day(13), "1M", false, "3 days old", nil},
		{"asked for, and damaged", twoChains().without("full-signatures.20200110"), day(12), "now", true, "asked for", []string{"signature file"}},
	}
	for _, tt := range tests {
		c := tt.list.sort()
		d := c.Decide(tt.now, frequency(tt.every))
		if d.Full != tt.full || (d.Chain == nil) != tt.full || !strings.Contains(d.Reason, tt.reason) {
			t.Errorf("%s: %+v, want full %v because %q", tt.name, d, tt.full, tt.reason)
		}
		if !slices.EqualFunc(d.Warnings, tt.warnings, strings.Contains) {
			t.Errorf("%s: warnings %q, want %q", tt.name, d.Warnings, tt.warnings)
		}
		if d.Chain != nil && d.Chain != &c.Chains[len(c.Chains)-1] {
			t.Errorf("%s: not the newest chain", tt.name)
		}
	}
}

func TestNextTime(t *testing.T) {
	noon := day(5).Add(12 * time.Hour)
	tests := []struct {
		now, last, want time.Time
		bumped          bool
	}{
		{noon, time.Time{}, noon, false},
		{noon.Add(999 * time.Millisecond), day(5), noon, false},
		{noon.In(time.FixedZone("", 3600)), noon.Add(-time.Second), noon, false},
		{noon, noon, noon.Add(time.Second), true},
		{noon.Add(999 * time.Millisecond), noon, noon.Add(time.Second), true},
		{noon, day(9), day(9).Add(time.Second), true},
	}
	for _, tt := range tests {
		got, bumped, err := NextTime(tt.now, tt.last)
		if err != nil || got != tt.want || bumped != tt.bumped {
			t.Errorf("NextTime(%v, %v) = %v, %v, %v", tt.now, tt.last, got, bumped, err)
		}
	}
	if got, _, err := NextTime(noon, time.Unix(filename.LastSecond, 0)); err == nil {
		t.Errorf("NextTime after the last second = %v", got)
	}
}

func TestAt(t *testing.T) {
	tests := []struct {
		name   string
		list   list
		t      time.Time
		days   []int
		damage string
		skip   string
	}{
		{"on the second", twoChains(), day(2), []int{1, 2}, "", ""},
		{"before it", twoChains(), day(3).Add(-time.Second), []int{1, 2}, "", ""},
		{"between chains", twoChains(), day(9), []int{1, 2, 3}, "", ""},
		{"second chain", twoChains(), day(10), []int{10}, "", ""},
		{"newest", twoChains(), day(31), []int{10, 11}, "", ""},
		{"overlapping chains", list{}.set(0, 1, 1, "").set(0, 2, 1, "").set(1, 3, 1, "").set(2, 4, 1, ""), day(3), []int{1, 3}, "", ""},
		{"two of one time", list{}.set(0, 1, 1, "").set(1, 2, 1, "").set(0, 2, 1, ""), day(2), []int{2}, "", ""},
		{"damaged base", twoChains().without("full.20200101T000000Z.vol1."), day(3), []int{1, 2, 3}, "full backup of 2020-01-01T00:00:00Z: volumes are missing: 1", ""},
		{"damage after it", twoChains().without("to.20200103T000000Z.vol"), day(2), []int{1, 2}, "", ""},
		{"unusable", twoChains().without("full.20200110T000000Z.manifest"), day(10), []int{1, 2, 3}, "", "full backup of 2020-01-10T00:00:00Z: its manifest was lost"},
		{"unusable later on", twoChains().without("to.20200111T000000Z.manifest"), day(10), []int{10}, "", ""},
	}
	for _, tt := range tests {
		p, err := tt.list.sort().At(tt.t)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var days []int
		for _, s := range p.Sets() {
			days = append(days, s.End.Day())
		}
		if !slices.Equal(days, tt.days) {
			t.Errorf("%s: sets of %v, want %v", tt.name, days, tt.days)
		}
		if got := strings.Join(p.Damage(), ";"); got != tt.damage {
			t.Errorf("%s: damage %q, want %q", tt.name, got, tt.damage)
		}
		if got := strings.Join(p.Skipped, ";"); !strings.HasPrefix(got, tt.skip) || tt.skip == "" && got != "" {
			t.Errorf("%s: skipped %q, want %q", tt.name, got, tt.skip)
		}
	}
}

func TestAtErrors(t *testing.T) {
	if _, err := (&Collection{}).At(day(1)); !errors.Is(err, ErrEmpty) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("At of nothing = %v", err)
	}
	_, err := twoChains().sort().At(day(1).Add(-time.Second))
	want := "there is no backup as old as 2019-12-31T23:59:59Z; there are: 2020-01-01T00:00:00Z, 2020-01-02T00:00:00Z, " +
		"2020-01-03T00:00:00Z, 2020-01-10T00:00:00Z, 2020-01-11T00:00:00Z"
	if err == nil || err.Error() != want {
		t.Errorf("At = %v", err)
	}
	var long list
	for n := range 25 {
		long = long.set(0, n+2, 1, "")
	}
	_, err = long.sort().At(day(1))
	if err == nil || strings.Count(err.Error(), "2020-") != 11 || !strings.Contains(err.Error(), "06T00:00:00Z, …, 2020-01-22") {
		t.Errorf("At = %v", err)
	}
}

func TestCleanup(t *testing.T) {
	l := twoChains().
		volumes(0, 12, 2, ".gpg").signatures(0, 12, ".gpg"). // unfinished
		set(20, 21, 2, ".gz").set(21, 22, 1, ".gz").         // their full set is gone
		signatures(11, 13, ".gpg").                          // alone
		add("duplicity-full.20200114T000000Z.manifest.part", "notes.txt")
	c := l.sort()
	var got []string
	for _, d := range c.Cleanup() {
		got = append(got, d.File.Name)
	}
	want := []string{
		"duplicity-full.20200114T000000Z.manifest.part",
		"duplicity-new-signatures.20200111T000000Z.to.20200113T000000Z.sigtar.gpg",
		"duplicity-inc.20200121T000000Z.to.20200122T000000Z.manifest",
		"duplicity-new-signatures.20200121T000000Z.to.20200122T000000Z.sigtar.gz",
		"duplicity-inc.20200121T000000Z.to.20200122T000000Z.vol1.difftar.gz",
		"duplicity-inc.20200120T000000Z.to.20200121T000000Z.manifest",
		"duplicity-new-signatures.20200120T000000Z.to.20200121T000000Z.sigtar.gz",
		"duplicity-inc.20200120T000000Z.to.20200121T000000Z.vol2.difftar.gz",
		"duplicity-inc.20200120T000000Z.to.20200121T000000Z.vol1.difftar.gz",
		"duplicity-full-signatures.20200112T000000Z.sigtar.gpg",
		"duplicity-full.20200112T000000Z.vol2.difftar.gpg",
		"duplicity-full.20200112T000000Z.vol1.difftar.gpg",
	}
	if !slices.Equal(got, want) {
		t.Errorf("plan\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	reason := c.Cleanup()[2].Reason
	if reason != "of the incremental backup of 2020-01-22T00:00:00Z: the backup of 2020-01-21T00:00:00Z, on which it builds, is in no chain itself" {
		t.Errorf("reason %q", reason)
	}
	checkInvariants(t, l)
}
