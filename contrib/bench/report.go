package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// results are what a run measured.
type results struct {
	machine  *machine
	table    map[point]figures
	order    []point // of the table's rows
	caches   map[point]int64
	growths  []growth
	failures []error
}

// A point is one measurement: of a part, with a tool.
type point struct{ part, tool string }

func newResults() *results {
	return &results{table: map[point]figures{}, caches: map[point]int64{}}
}

func (r *results) add(part string, t *tool, f figures) {
	p := point{part, t.name}
	r.table[p] = f
	r.order = append(r.order, p)
}

// A grid is a table, for people.
type grid struct {
	title string
	head  []string
	rows  [][]string
}

// grids are all tables that have something in them.
func (r *results) grids() []grid {
	var list []grid
	for _, g := range []grid{r.measurements(), r.ratios(), r.cacheSizes(), r.growthGrid(), r.limitGrid()} {
		if len(g.rows) > 0 {
			list = append(list, g)
		}
	}
	return list
}

func (r *results) measurements() grid {
	g := grid{title: "Measurements", head: []string{"scenario", "tool", "time", "CPU time", "peak memory", "stored", "CPU time of others"}}
	for _, p := range r.order {
		f := r.table[p]
		g.rows = append(g.rows, []string{titles[p.part], p.tool, seconds(f.Wall), seconds(f.CPU), amount(f.Peak), storedCell(p.part, f), seconds(f.Others)})
	}
	return g
}

// ratios divides ours by every other tool's.
func (r *results) ratios() grid {
	g := grid{title: "Ratios", head: []string{"scenario", "ours", "to", "time", "CPU time", "peak memory", "stored"}}
	for _, mine := range r.order {
		if !isOurs(mine.tool) {
			continue
		}
		for _, against := range []string{nameDuplicity, nameRestic, nameBorg} {
			theirs, ok := r.table[point{mine.part, against}]
			if !ok {
				continue
			}
			f := r.table[mine]
			g.rows = append(g.rows, []string{
				titles[mine.part], mine.tool, against, decimal(ratio(int64(f.Wall), int64(theirs.Wall))),
				decimal(ratio(int64(f.CPU), int64(theirs.CPU))), decimal(ratio(f.Peak, theirs.Peak)), storedRatio(mine.part, f, theirs),
			})
		}
	}
	return g
}

func (r *results) cacheSizes() grid {
	g := grid{title: "Kept on the machine", head: []string{"tool", "after the full backup", "after the changes"}}
	for _, name := range toolNames {
		first, ok := r.caches[point{partFull, name}]
		last, also := r.caches[point{partChanged, name}]
		row := []string{name, amount(first), ""}
		if also {
			row[2] = amount(last)
		}
		if ok {
			g.rows = append(g.rows, row)
		}
	}
	return g
}

func (r *results) growthGrid() grid {
	g := grid{title: "Growth of tklbam's memory", head: []string{"what grows", "command", "peak before", "peak after", "ratio", "time before", "time after"}}
	for _, w := range r.growths {
		g.rows = append(g.rows, []string{
			w.grown, w.command, amount(w.before.Peak), amount(w.after.Peak), decimal(w.ratio()), seconds(w.before.Wall), seconds(w.after.Wall),
		})
	}
	return g
}

func (r *results) limitGrid() grid {
	g := grid{title: "Limits", head: []string{"limit", "measured", ""}}
	for _, v := range r.verdicts() {
		g.rows = append(g.rows, []string{v.limit, v.figures, v.word()})
	}
	return g
}

// text prints everything for a terminal. What failed is an error after all
// that was measured is shown.
func (r *results) text(out io.Writer) error {
	w := bufio.NewWriter(out)
	for _, line := range r.machine.lines() {
		fmt.Fprintln(w, line)
	}
	for _, g := range r.grids() {
		fmt.Fprintf(w, "\n%s\n\n", g.title)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{g.head}, g.rows...) {
			fmt.Fprintln(t, "  "+strings.Join(row, "\t"))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return errors.Join(append(r.failures, w.Flush())...)
}

// markdown writes the same for the documentation. The writer keeps the first
// error until it is flushed.
func (r *results) markdown(w *bufio.Writer) error {
	fmt.Fprint(w, "# Performance\n\n", method, "\n")
	for _, line := range r.machine.lines() {
		fmt.Fprintf(w, "- %s\n", line)
	}
	fmt.Fprint(w, "\nThe command lines, with the directories of each tool shortened:\n\n")
	for _, line := range r.machine.usage {
		fmt.Fprintf(w, "    %s\n", line)
	}
	for _, g := range r.grids() {
		fmt.Fprintf(w, "\n## %s\n\n", g.title)
		for i, cells := range append([][]string{g.head}, g.rows...) {
			fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
			if i == 0 {
				fmt.Fprintln(w, strings.Repeat("|---", len(g.head))+"|")
			}
		}
	}
	return nil
}

// storedCell is empty for what stores nothing.
func storedCell(part string, f figures) string {
	if part == partRestore {
		return ""
	}
	return amount(f.Stored)
}

func storedRatio(part string, f, theirs figures) string {
	if part == partRestore {
		return ""
	}
	return decimal(ratio(f.Stored, theirs.Stored))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// amount shows bytes with what digits tell something.
func amount(n int64) string {
	switch {
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 10_000_000:
		return fmt.Sprintf("%.2f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func decimal(r float64) string { return fmt.Sprintf("%.2f", r) }

// ratio is a / b, where nothing of nothing is all of it.
func ratio(a, b int64) float64 {
	if a == b {
		return 1
	}
	return float64(a) / float64(b)
}
