package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// smallBench makes its corpus from two directories of its own.
func smallBench(t *testing.T) (*bench, []string) {
	t.Helper()
	dir := t.TempDir()
	docs, sources := filepath.Join(dir, "share/doc"), filepath.Join(dir, "share")
	must(t, writeSmallFiles(docs, 20, 7))
	must(t, writeSmallFiles(filepath.Join(sources, "src"), 30, 8))
	must(t, os.Symlink("doc", filepath.Join(sources, "link")))
	return &bench{options: options{seed: 1, scale: 1, runs: 1}, ctx: context.Background(), dir: dir}, []string{docs, filepath.Join(dir, "absent"), sources}
}

func TestCopier(t *testing.T) {
	_, sources := smallBench(t)
	for _, tc := range []struct {
		name         string
		files, bytes int64
		least, most  int64 // of files copied
	}{
		{"a part", 10, 50_000, 4, 10},
		{"everything", 50, 250_000, 45, 50},
		{"further copies", 130, 650_000, 130, 130},
		{"few bytes", 50, 20_000, 4, 20},
	} {
		t.Run(tc.name, func(t *testing.T) {
			one, two := t.TempDir(), t.TempDir()
			for _, dir := range []string{one, two} {
				c := &copier{into: dir, seed: 1, files: tc.files, bytes: tc.bytes}
				must(t, c.run(context.Background(), sources))
			}
			got, err := takeCensus(one)
			must(t, err)
			if got.files < tc.least || got.files > tc.most {
				t.Errorf("%d files", got.files)
			}
			must(t, sameTrees(one, two, 1))
		})
	}
	c := &copier{into: t.TempDir(), files: 1, bytes: 1}
	if err := c.run(context.Background(), []string{t.TempDir()}); err == nil {
		t.Error("nothing to copy is no error")
	}
}

// Further copies are no duplicates.
func TestCopierHeader(t *testing.T) {
	_, sources := smallBench(t)
	into := t.TempDir()
	must(t, (&copier{into: into, seed: 1, files: 100, bytes: 500_000}).run(context.Background(), sources))
	name := filepath.Join(sources[0], "00000/00.csv")
	first, err := os.ReadFile(filepath.Join(into, "0", name))
	must(t, err)
	second, err := os.ReadFile(filepath.Join(into, "1", name))
	must(t, err)
	head, rest, _ := bytes.Cut(second, []byte("\n"))
	if !bytes.HasPrefix(head, []byte("# copy 1 of ")) || !bytes.Equal(rest, first) {
		t.Errorf("second copy begins with %q", head)
	}
}

// The edit changes what it should and no size, and undoes itself.
func TestEdit(t *testing.T) {
	dir := t.TempDir()
	c := &corpus{dir: filepath.Join(dir, corpusName), marker: filepath.Join(dir, markerName), state: corpusState{Seed: 3, Scale: 1}}
	must(t, writeSmallFiles(filepath.Join(c.dir, filesName), 300, 3))
	must(t, os.WriteFile(filepath.Join(c.dir, filesName, "empty"), nil, 0o600))
	must(t, writeTable(filepath.Join(c.dir, tableName), 1<<20, 3))
	before := t.TempDir()
	must(t, os.CopyFS(before, os.DirFS(c.dir)))
	at := time.Now().Truncate(time.Second)
	must(t, c.edit(at))
	changed := differing(t, before, c.dir)
	if len(changed) != 4 { // three of three hundred, and the table
		t.Errorf("changed: %q", changed)
	}
	for _, name := range changed {
		st, err := os.Stat(filepath.Join(c.dir, name))
		must(t, err)
		if !st.ModTime().Equal(at) {
			t.Errorf("%s is of %s", name, st.ModTime())
		}
	}
	if n := differingBytes(t, filepath.Join(before, tableName), filepath.Join(c.dir, tableName)); n < tableSpots*spotLen/2 {
		t.Errorf("only %d bytes of the table changed", n)
	}
	again := &corpus{dir: c.dir, marker: c.marker, state: corpusState{Seed: 3, Scale: 1}}
	reused, err := again.reuse()
	must(t, err)
	if changed := differing(t, before, c.dir); !reused || len(changed) > 0 || again.state.Edited {
		t.Errorf("undone: %v %+v, differing: %q", reused, again.state, changed)
	}
	other := &corpus{dir: c.dir, marker: c.marker, state: corpusState{Seed: 4, Scale: 1}}
	if reused, err := other.reuse(); reused || err != nil {
		t.Errorf("reused with another seed: %v", err)
	}
}

// differing lists the files of equal names and sizes whose content differs.
func differing(t *testing.T, a, b string) (list []string) {
	t.Helper()
	files, err := regularFiles(a)
	must(t, err)
	for _, path := range files {
		name, err := filepath.Rel(a, path)
		must(t, err)
		if differingBytes(t, path, filepath.Join(b, name)) > 0 {
			list = append(list, name)
		}
	}
	return list
}

func differingBytes(t *testing.T, a, b string) (n int) {
	t.Helper()
	x, err := os.ReadFile(a)
	must(t, err)
	y, err := os.ReadFile(b)
	must(t, err)
	if len(x) != len(y) {
		t.Fatalf("%q: %d and %d bytes", a, len(x), len(y))
	}
	for i := range x {
		if x[i] != y[i] {
			n++
		}
	}
	return n
}

func TestSameTrees(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"content": func(dir string) error { return os.WriteFile(filepath.Join(dir, "00000/00.csv"), []byte("x"), 0o644) },
		"missing": func(dir string) error { return os.Remove(filepath.Join(dir, "00000/07.csv")) },
		"one bit": func(dir string) error {
			path := filepath.Join(dir, "00000/11.csv")
			return reverseMiddle(path, past)
		},
		"mode": func(dir string) error { return os.Chmod(filepath.Join(dir, "00000/01.csv"), 0o600) },
		"time": func(dir string) error {
			return os.Chtimes(filepath.Join(dir, "00000/01.csv"), past, past.Add(time.Second))
		},
		"extra": func(dir string) error { return os.Mkdir(filepath.Join(dir, "new"), 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			want, got := t.TempDir(), t.TempDir()
			must(t, writeSmallFiles(want, 40, 1)) // few enough that all are compared
			must(t, writeSmallFiles(got, 40, 1))
			must(t, sameTrees(want, got, 1))
			must(t, damage(got))
			if err := sameTrees(want, got, 1); err == nil {
				t.Error("not noticed")
			}
		})
	}
}

// A child process counts, in time and in memory.
func TestMeasure(t *testing.T) {
	const script = `x=$(head -c 60000000 /dev/zero | tr '\0' x); i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done`
	output := filepath.Join(t.TempDir(), "output")
	f, err := command{[]string{"/bin/sh", "-c", "(" + script + "; true); true"}, ""}.run(t.Context(), os.Environ(), output)
	must(t, err)
	if f.Peak < 60_000_000 || f.Peak > 600_000_000 {
		t.Errorf("peak of %s", amount(f.Peak))
	}
	if f.CPU <= 0 || f.Wall <= 0 || f.CPU > 10*f.Wall {
		t.Errorf("%s in %s", f.CPU, f.Wall)
	}
	_, err = command{[]string{"/bin/sh", "-c", "echo reason; exit 3"}, ""}.run(t.Context(), nil, output)
	if err == nil || !strings.Contains(err.Error(), "reason") || !strings.Contains(err.Error(), "status 3") {
		t.Errorf("got %v", err)
	}
}

// A tool that another run locks out is run again, and only the run that
// succeeds is measured.
func TestLockedOut(t *testing.T) {
	s := &subject{ctx: t.Context(), dir: t.TempDir(), tool: &tool{
		program: "/bin/sh", busy: "wait for it", env: func(*subject) []string { return nil },
	}}
	args := []string{"-c", "test -e mark || { touch mark; echo wait for it; exit 1; }"}
	if _, err := s.run(args, s.dir); err != nil {
		t.Error(err)
	}
	if _, err := s.run([]string{"-c", "echo wait; exit 1"}, s.dir); err == nil {
		t.Error("another failure is no error")
	}
}

func TestVerdicts(t *testing.T) {
	r := newResults()
	r.machine = &machine{}
	put := func(part, name string, f figures) { r.add(part, &tool{name: name}, f) }
	put(partFull, nameOurs, figures{Wall: 6 * time.Second, Stored: 100, Peak: 149e6})
	put(partFull, nameDuplicity, figures{Wall: 36 * time.Second, Stored: 100})
	put(partFull, nameRestic, figures{Wall: 9 * time.Second, Peak: 900e6})
	put(partRestore, nameOurs, figures{Wall: 5 * time.Second})
	r.growths = []growth{{"files", "full", figures{Peak: 100e6}, figures{Peak: 111e6}}}
	want := map[string]bool{
		"full backup: time at most 0.167 of duplicity's":     true,
		"full backup: time at most 0.6 of restic's":          false,
		"full backup: stored bytes at most 1 of duplicity's": true,
		"peak memory below 150.0 MB everywhere":              true,
		"peak memory flat, files: full":                      false,
	}
	got := r.verdicts()
	for _, v := range got {
		if met, ok := want[v.limit]; !ok || met != v.met {
			t.Errorf("%+v", v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d verdicts", len(got))
	}
	var text bytes.Buffer
	must(t, r.text(&text))
	if !strings.Contains(text.String(), "NOT MET") {
		t.Error(text.String())
	}
}

func TestParse(t *testing.T) {
	for _, args := range []string{"-only nothing", "-tools tar", "-scale 0", "-scale NaN", "-runs 0", "-keep", "extra", "-tklbam /absent"} {
		if _, err := parse(strings.Fields("-tklbam /dev/null "+args), &bytes.Buffer{}); err == nil {
			t.Errorf("%s: accepted", args)
		}
	}
	o, err := parse(strings.Fields("-tklbam /dev/null -only full,memory -tools restic,borg"), &bytes.Buffer{})
	must(t, err)
	b := &bench{options: o}
	if !b.wants(comparisons...) || !b.wants(partMemory) || b.wants(partRestore) || len(o.tools) != 2 {
		t.Errorf("%+v", o)
	}
}
