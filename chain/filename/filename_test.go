package filename

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func TestParse(t *testing.T) {
	t0, t1 := at("2020-06-05T00:52:24Z"), at("2020-06-07T19:29:40Z")
	tests := map[string]Name{
		"duplicity-full.20200605T005224Z.vol1.difftar.gpg": {
			Kind: Volume, Full: true, End: t0, Volume: 1, Suffix: ".gpg"},
		"duplicity-full.20200605T005224Z.vol2147483647.difftar.zst.age": {
			Kind: Volume, Full: true, End: t0, Volume: 2147483647, Suffix: ".zst.age"},
		"duplicity-full.20200605T005224Z.manifest": {
			Kind: Manifest, Full: true, End: t0},
		"duplicity-full-signatures.20200605T005224Z.sigtar.gz": {
			Kind: Signatures, Full: true, End: t0, Suffix: ".gz"},
		"duplicity-inc.20200605T005224Z.to.20200607T192940Z.vol12.difftar": {
			Kind: Volume, Start: t0, End: t1, Volume: 12},
		"duplicity-inc.20200605T005224Z.to.20200607T192940Z.manifest.part": {
			Kind: Manifest, Start: t0, End: t1, Partial: true},
		"duplicity-new-signatures.20200605T005224Z.to.20200607T192940Z.sigtar.part.gpg": {
			Kind: Signatures, Start: t0, End: t1, Partial: true, Suffix: ".gpg"},
		"vm1-duplicity-full.20200605T005224Z.manifest.gpg": {
			Prefix: "vm1-", Kind: Manifest, Full: true, End: t0, Suffix: ".gpg"},
		"duplicity-duplicity-full.20200605T005224Z.manifest": {
			Prefix: "duplicity-", Kind: Manifest, Full: true, End: t0},

		"duplicity-full.2002-04-26T04:22:01-07:00.manifest": {
			Kind: Manifest, Full: true, End: at("2002-04-26T11:22:01Z"), Form: Old},
		"duplicity-full.2002-04-26T04_22_01+05_30.vol3.difftar.gz": {
			Kind: Volume, Full: true, End: at("2002-04-25T22:52:01Z"), Volume: 3, Suffix: ".gz", Form: Old},
		"duplicity-full.2002-04-26T04.22.01Z.manifest": {
			Kind: Manifest, Full: true, End: at("2002-04-26T04:22:01Z"), Form: Old},
		"duplicity-full.2020-09-13T09:56:40-03:30.manifest": { // written in Newfoundland's summer, -2:30
			Kind: Manifest, Full: true, End: at("2020-09-13T12:26:40Z"), Form: Old},
		"duplicity-inc.2002-04-26T04:22:01Z.to.20020427T042201Z.manifest": {
			Kind: Manifest, Start: at("2002-04-26T04:22:01Z"), End: at("2002-04-27T04:22:01Z"), Form: Old},

		"df.qgljwg.10.dt.z": {
			Kind: Volume, Full: true, End: time.Unix(1600000000, 0).UTC(), Volume: 36, Suffix: ".gz", Form: Short},
		"df.qgljwg.m": {
			Kind: Manifest, Full: true, End: time.Unix(1600000000, 0).UTC(), Form: Short},
		"dfs.qgljwg.st.p.g": {
			Kind: Signatures, Full: true, End: time.Unix(1600000000, 0).UTC(), Partial: true, Suffix: ".gpg", Form: Short},
		"dns.qgljwg.qglqug.st.z": {Kind: Signatures, Suffix: ".gz", Form: Short,
			Start: time.Unix(1600000000, 0).UTC(), End: time.Unix(1600009000, 0).UTC()},
		"di.qgljwg.qglqug.m": {Kind: Manifest, Form: Short,
			Start: time.Unix(1600000000, 0).UTC(), End: time.Unix(1600009000, 0).UTC()},
	}
	for s, want := range tests {
		got, err := Parse(s)
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v, want %+v", s, got, err, want)
		}
		if got.Form == Long && got.String() != s {
			t.Errorf("Parse(%q).String() = %q", s, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	names := []string{
		"", "duplicity-", "duplicity-full", "duplicity-full.", "lost+found", "README", "pdf.qgljwg.m",
		"duplicity-full.20200605T005224Z", "duplicity-full.20200605T005224Z.",
		"duplicity-full.20200605T005224Z.vol.difftar", "duplicity-full.20200605T005224Z.vol0.difftar",
		"duplicity-full.20200605T005224Z.vol01.difftar", "duplicity-full.20200605T005224Z.vol+1.difftar",
		"duplicity-full.20200605T005224Z.vol-1.difftar", "duplicity-full.20200605T005224Z.vol1_0.difftar",
		"duplicity-full.20200605T005224Z.vol2147483648.difftar",
		"duplicity-full.20200605T005224Z.vol1.difftar.bz2", "duplicity-full.20200605T005224Z.vol1.difftar.",
		"duplicity-full.20200605T005224Z.vol1.difftar.gpg.part", "duplicity-full.20200605T005224Z.vol1.difftar.age",
		"duplicity-full.20200605T005224Z.manifest.gpg.sig", "duplicity-full.20200605T005224Z.manifestx",
		"duplicity-full.20200605T005224Z.sigtar.gz", "duplicity-full-signatures.20200605T005224Z.manifest",
		"duplicity-full.20200605T005224Z.to.20200607T192940Z.manifest", "duplicity-inc.20200605T005224Z.manifest",
		"duplicity-full.20200230T005224Z.manifest", "duplicity-full.20201305T005224Z.manifest",
		"duplicity-full.20200605T245224Z.manifest", "duplicity-full.20200605T005260Z.manifest",
		"duplicity-full.20200605T005224.manifest", "duplicity-full.20200605t005224z.manifest",
		"duplicity-full.20200605T005224z.manifest", "duplicity-full.+0200605T005224Z.manifest",
		"duplicity-full.19001231T235959Z.manifest", "duplicity-full.21000101T000000Z.manifest",
		"duplicity-full.2002-04-26T04-22-01-07-00.manifest", "duplicity-full.2002-04-26T04:22_01Z.manifest",
		"duplicity-full.2002-04-26T04:22:01+25:00.manifest", "duplicity-full.2002-04-26T04:22:01*07:00.manifest",
		"duplicity-full.2002-04-26T04:22:01+0a:00.manifest", "duplicity-full.2002-02-30T04:22:01Z.manifest",
		"duplicity-full.2002-04-26T04:22:01.manifest", "duplicity-full.2002-04-26T04:22:01-07",
		"duplicity-FULL.20200605T005224Z.manifest", "duplicity-full.1600000000.manifest",
		"df.x.m", "df.QGLJWG.m", "df.0qgljwg.m", "df.qgljwg.0.dt", "df.qgljwg.01.dt", "df.qgljwg.m.gpg", "df.qgljwg",
		"df.qgljwg.", "di.qgljwg.m", "dfs.qgljwg.m", "df.qgljwg.st", "df.zzzzzzzzzzzzzzz.m", "df.qgljwg.1", "a-df.qgljwg.m",
	}
	for _, s := range names {
		if n, err := Parse(s); !errors.Is(err, ErrNotChainFile) {
			t.Errorf("Parse(%q) = %+v, %v, want ErrNotChainFile", s, n, err)
		}
	}
}

// Real listings, when they are beside the repository.
func TestRealListings(t *testing.T) {
	names, err := filepath.Glob("../../../shared/chains/*/*")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Skip("no real chains in ../shared/chains")
	}
	for _, path := range names {
		if s := filepath.Base(path); mustParse(t, s).String() != s {
			t.Errorf("%q does not survive parsing", s)
		}
	}
}

func mustParse(t *testing.T, s string) Name {
	t.Helper()
	n, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"duplicity-full.20200605T005224Z.vol1.difftar.zst.age",
		"p-duplicity-inc.20200605T005224Z.to.20200607T192940Z.manifest.part.gpg",
		"duplicity-new-signatures.2020-06-05T00:52:24-04:30.to.2020-06-07T19:29:40Z.sigtar.gz",
		"df.qgljwg.10.dt.z", "dns.qgljwg.qglqug.st.p",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			if !errors.Is(err, ErrNotChainFile) || n != (Name{}) {
				t.Fatalf("Parse(%q) = %+v, %v", s, n, err)
			}
			return
		}
		long := n
		long.Form = Long
		if again, err := Parse(n.String()); err != nil || again != long {
			t.Fatalf("Parse(%q) = %+v, but its string %q gives %+v, %v", s, n, n, again, err)
		}
		if n.Form == Long && n.String() != s {
			t.Fatalf("Parse(%q).String() = %q", s, n)
		}
		if n.Form == Short && strings.Contains(s, mark) {
			t.Fatalf("Parse(%q) read a short name with a prefix", s)
		}
	})
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
