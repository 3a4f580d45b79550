package filename

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// script prints what Duplicity's own parser makes of each name on standard
// input: null, or type, times, volume, manifest, partial, encrypted, compressed.
const script = `
import json, sys
from duplicity import config, dup_time, file_naming
dup_time.setcurtime(1700000000)
out = []
for name in json.load(sys.stdin):
    p = file_naming.parse(name.encode())
    out.append(p and [p.type, p.start_time or 0, p.time or p.end_time, p.volume_number or 0,
        bool(p.manifest), bool(p.partial), bool(p.encrypted), bool(p.compressed)])
json.dump(out, sys.stdout)
`

// stockParse returns one row per name, nil where stock sees no chain file.
func stockParse(t *testing.T, names []string) [][]any {
	t.Helper()
	python := stockPython(t)
	in, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", script)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", python, err)
	}
	var rows [][]any
	if err := json.Unmarshal(out, &rows); err != nil || len(rows) != len(names) {
		t.Fatalf("read answer %q: %v", out, err)
	}
	return rows
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

// stockRow is what stock should say about a name that we parsed.
func stockRow(n Name) []any {
	kind := map[bool]map[bool]string{
		true:  {true: "full-sig", false: "new-sig"},
		false: {true: "full", false: "inc"},
	}[n.Kind == Signatures][n.Full]
	start := 0.0
	if !n.Full {
		start = float64(n.Start.Unix())
	}
	return []any{kind, start, float64(n.End.Unix()), float64(n.Volume), n.Kind == Manifest,
		n.Partial && n.Kind != Volume, // stock does not look for it in volumes' names
		n.Suffix == ".gpg", n.Suffix == ".gz"}
}

func randomName(r *rand.Rand) Name {
	n := Name{Kind: Kind(1 + r.IntN(3)), Full: r.IntN(2) == 0, Partial: r.IntN(4) == 0}
	n.End = time.Unix(1+r.Int64N(LastSecond), 0).UTC()
	if !n.Full {
		n.Start = time.Unix(1+r.Int64N(LastSecond), 0).UTC()
	}
	if n.Kind == Volume {
		n.Volume = 1 + r.IntN(1<<31-1)
	}
	n.Suffix = []string{"", ".gz", ".gpg"}[r.IntN(3)]
	return n
}

func TestStockReadsOurNames(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var names []string
	for range 1000 {
		names = append(names, randomName(r).String())
	}
	compareWithStock(t, names)
}

func TestWeReadAsStockDoes(t *testing.T) {
	names := []string{
		"df.qgljwg.10.dt.z", "df.qgljwg.m", "di.qgljwg.qglqug.zz.dt.g", "dns.qgljwg.qglqug.st.p.z", "dfs.qgljwg.st",
		"duplicity-full.2002-04-26T04:22:01-07:00.manifest", "duplicity-full.2002-04-26T04:22:01Z.manifest.part",
		"duplicity-full.2020-01-13T09:56:40-04:30.manifest", "duplicity-full.2002-04-26T04:22:01+05:45.manifest",
		"duplicity-full.2002-04-26T04:22:01-00:30.vol7.difftar.gpg",
		"duplicity-inc.2002-04-26T04:22:01Z.to.20020427T042201Z.vol2.difftar",
		"duplicity-full.19010101T000000Z.manifest", "duplicity-full.20991231T235959Z.manifest",
	}
	compareWithStock(t, names)
}

func compareWithStock(t *testing.T, names []string) {
	t.Helper()
	for i, row := range stockParse(t, names) {
		if want := stockRow(mustParse(t, names[i])); fmt.Sprint(row) != fmt.Sprint(want) {
			t.Errorf("%q: stock reads %v, we %v", names[i], row, want)
		}
	}
}

// What stock does not read, we do not either.
func TestStockRefusesToo(t *testing.T) {
	names := []string{
		"duplicity-full.21000101T000000Z.manifest", "duplicity-full.19001231T235959Z.manifest",
		"duplicity-full.20201305T005224Z.manifest", "duplicity-full.20200605T245224Z.manifest",
		"duplicity-full.20200605T005224Z.sigtar.gz", "duplicity-inc.20200605T005224Z.manifest",
		"duplicity-full.20200605T005224Z.manifestx", "df.QGLJWG.m",
	}
	for i, row := range stockParse(t, names) {
		if row != nil {
			t.Errorf("stock reads %q as %v", names[i], row)
		}
		if n, err := Parse(names[i]); err == nil {
			t.Errorf("Parse(%q) = %+v", names[i], n)
		}
	}
}
