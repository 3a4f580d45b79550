package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// script reads manifests as Duplicity does and prints what it understood,
// with the text it would write for them itself.
const script = `
import json, sys
from duplicity import log, manifest
log.setup()
def path(index):
    return b"/".join(index).hex()
out = []
for text in json.load(sys.stdin):
    m = manifest.Manifest().from_string(bytes.fromhex(text))
    out.append({
        "hostname": m.hostname or "", "localdir": (m.local_dirname or b"").hex(),
        "volumes": [[str(n), path(v.start_index), str(v.start_block or 0), path(v.end_index), str(v.end_block or 0)]
            + [x for pair in v.hashes.items() for x in pair]
            for n, v in sorted(m.volume_info_dict.items())],
        "text": m.to_string().hex()})
json.dump(out, sys.stdout)
`

// A view is what stock understood of a manifest; its byte strings are in hex.
type view struct {
	Hostname, Localdir string
	Volumes            [][]string
	Text               string
}

func viewOf(m *Manifest, text string) view {
	v := view{Hostname: m.Hostname, Localdir: fmt.Sprintf("%x", m.Localdir), Volumes: [][]string{}}
	for _, vol := range m.Volumes {
		row := []string{fmt.Sprint(vol.Number),
			fmt.Sprintf("%x", vol.Start.Path), fmt.Sprint(vol.Start.Piece),
			fmt.Sprintf("%x", vol.End.Path), fmt.Sprint(vol.End.Piece)}
		for _, h := range vol.Hashes {
			row = append(row, h.Type, h.Hex)
		}
		v.Volumes = append(v.Volumes, row)
	}
	v.Text = fmt.Sprintf("%x", text)
	return v
}

func stockViews(t *testing.T, texts []string) []view {
	t.Helper()
	python := stockPython(t)
	encoded := make([]string, len(texts))
	for i, s := range texts {
		encoded[i] = fmt.Sprintf("%x", s)
	}
	in, err := json.Marshal(encoded)
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
	if err := json.Unmarshal(out, &views); err != nil || len(views) != len(texts) {
		t.Fatalf("read answer of %d bytes: %v", len(out), err)
	}
	return views
}

// every path a test can think of: each byte but the slash and zero, alone and
// between others.
func oddPaths() []string {
	paths := []string{"", "a/b", "a b/c", "...", ".hidden", "a\u00a0b", "\xff\xfe", `"`, `\x20`, "'", "usr/share/doc"}
	for c := 1; c < 256; c++ {
		if c != '/' && c != '.' {
			paths = append(paths, string([]byte{byte(c)}), "x"+string([]byte{byte(c)})+"y/z")
		}
	}
	return paths
}

func randomManifest(r *rand.Rand) *Manifest {
	paths := oddPaths()
	position := func() Position {
		p := Position{Path: paths[r.IntN(len(paths))]}
		if r.IntN(2) == 0 {
			p.Piece = 1 + r.IntN(1<<31-1)
		}
		return p
	}
	m := &Manifest{Hostname: "vm", Localdir: "/" + paths[r.IntN(len(paths))]}
	for n := range 1 + r.IntN(20) {
		m.Volumes = append(m.Volumes, Volume{Number: n + 1, Start: position(), End: position(),
			Hashes: []Hash{{"SHA1", fmt.Sprintf("%040x", r.Uint64())}}})
	}
	return m
}

// Stock understands what we write, writes the same itself (but for its list
// of files), and we read that.
func TestStockAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	manifests := []*Manifest{sampleManifest(), {Hostname: "a b", Localdir: "/x\ny", Volumes: sampleManifest().Volumes}}
	for _, p := range oddPaths() {
		manifests = append(manifests, &Manifest{Volumes: []Volume{{Number: 1, Start: Position{p, 0}, End: Position{p, 7}}}})
	}
	for range 200 {
		manifests = append(manifests, randomManifest(r))
	}
	texts := make([]string, len(manifests))
	for i, m := range manifests {
		texts[i] = text(t, m)
	}
	for i, got := range stockViews(t, texts) {
		stockText := fromHex(t, got.Text)
		got.Text = fmt.Sprintf("%x", strings.Replace(stockText, "Filelist 0\n", "", 1))
		want := viewOf(manifests[i], texts[i])
		if i == 1 { // stock reads a quoted hostname but does not quote it itself
			got.Text, want.Text = "", ""
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: stock reads\n%+v, want\n%+v", texts[i], got, want)
		}
		if again := read(t, stockText); i != 1 && !reflect.DeepEqual(again, manifests[i]) {
			t.Errorf("%q: we read\n%+v, want\n%+v", stockText, again, manifests[i])
		}
	}
}

// Odd texts that no session writes are understood alike.
func TestReadLikeStock(t *testing.T) {
	v := func(n int, p string) string { return volume(n, p, p) }
	texts := []string{
		v(1, "a") + v(2, "b") + v(3, "c") + v(2, "d"),
		v(2, "a") + v(1, "b"),
		"Filelist 1\n    new      Volume\n" + v(1, "a"),
		v(1, "a") + "Filelist 2\n    new      a\n    deleted  Hostname\n",
		"HOSTNAME x\nlocaldir /\n" + strings.ToUpper(v(1, "A")),
		"Hostname x\nHostname y\n" + v(1, "a") + "Localdir late\nLocaldir later\n",
		"Hostname \"q\\x20r\"\n" + v(1, `"a\x0ab"`) + "    Hash SHA1 00\n    Hash SHA1 11\n    Hash MD5 22 trailing\n\n",
		"Volume 1: trailing\n\tStartingPath\ta\t5\t6\n\t\x0bEndingPath\x0cb\n",
		"Volume 007:\n StartingPath a\n EndingPath b\n Unknown thing\n",
		"Volume 1:\n StartingPath x\n StartingPath a\n EndingPath b\n Unknown\n",
	}
	for i, want := range stockViews(t, texts) {
		m := read(t, texts[i])
		got := viewOf(m, "")
		want.Text = ""
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: we read\n%+v, stock\n%+v", texts[i], got, want)
		}
	}
}

func fromHex(t *testing.T, s string) string {
	t.Helper()
	var b []byte
	if _, err := fmt.Sscanf(s, "%x", &b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A chain goes through: stock writes it, we rewrite its manifest (without the
// list of files), stock with an empty archive directory restores and extends it.
func TestStockUsesOurManifest(t *testing.T) {
	needs(t, "duplicity")
	dir := t.TempDir()
	source, target := filepath.Join(dir, "source"), filepath.Join(dir, "target")
	writeTree(t, source)
	duplicity(t, dir, "a", "1600000000", "full", "--volsize", "1", source, "file://"+target)
	path := filepath.Join(target, "duplicity-full.20200913T122640Z.manifest")
	original := readFile(t, path)
	m := read(t, original)
	if len(m.Volumes) < 3 || m.Files == 0 || m.Check() != nil {
		t.Fatalf("test chain is too plain: %+v", m)
	}
	checkPieces(t, target, m)
	rewritten := text(t, m)
	if before, _, _ := strings.Cut(original, "Filelist"); rewritten != before {
		t.Errorf("stock wrote\n%s\nwe\n%s", before, rewritten)
	}
	writeFile(t, path, rewritten)

	restored := filepath.Join(dir, "restored")
	duplicity(t, dir, "b", "1600001000", "restore", "--file-to-restore", "big", "file://"+target, restored)
	if readFile(t, restored) != readFile(t, filepath.Join(source, "big")) {
		t.Error("big was restored with a difference")
	}
	writeFile(t, filepath.Join(source, "new"), "new")
	duplicity(t, dir, "b", "1600002000", "incr", source, "file://"+target)
	out := duplicity(t, dir, "c", "1600003000", "verify", "--compare-data", "file://"+target, source)
	if !strings.Contains(out, "0 differences found") {
		t.Errorf("verify: %s", out)
	}
}

// checkPieces compares the numbers at the volumes' edges with the names in
// their tars.
func checkPieces(t *testing.T, target string, m *Manifest) {
	t.Helper()
	needs(t, "tar")
	seen := 0
	for _, v := range m.Volumes {
		file := filepath.Join(target, fmt.Sprintf("duplicity-full.20200913T122640Z.vol%d.difftar.gz", v.Number))
		out, err := exec.Command("tar", "-tzf", file).Output()
		if err != nil {
			t.Fatalf("tar: %v", err)
		}
		names := strings.Fields(string(out))
		for p, name := range map[Position]string{v.Start: names[0], v.End: names[len(names)-1]} {
			if p.Piece == 0 {
				continue
			}
			seen++
			if want := fmt.Sprintf("multivol_snapshot/%s/%d", p.Path, p.Piece); name != want {
				t.Errorf("volume %d: %q at the edge, manifest says %q", v.Number, name, want)
			}
		}
	}
	if seen == 0 {
		t.Error("no piece at any edge")
	}
}

func writeTree(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "with space"), 0o755); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 2_600_000)
	r := rand.New(rand.NewPCG(5, 6))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	writeFile(t, filepath.Join(dir, "big"), string(noise))
	writeFile(t, filepath.Join(dir, "with space", "it's"), "quoted")
	writeFile(t, filepath.Join(dir, "zz"), string(noise[:1_000_000]))
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// duplicity runs the program unencrypted at the given Unix time with the named
// archive directory.
func duplicity(t *testing.T, dir, archive, now string, args ...string) string {
	t.Helper()
	common := []string{"--no-encryption", "--allow-source-mismatch", "--current-time", now,
		"--archive-dir", filepath.Join(dir, "archive-"+archive), "--name", "test"}
	cmd := exec.Command("duplicity", append(args[:1:1], append(common, args[1:]...)...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("duplicity %s: %v\n%s", args[0], err, out)
	}
	return string(out)
}

// stockPython returns the interpreter that has Duplicity's modules: the one
// its program is run by.
func stockPython(t *testing.T) string {
	t.Helper()
	program := needs(t, "duplicity")
	line, _, _ := strings.Cut(readFile(t, program), "\n")
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
