package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// What the memory part grows, at scale 1, each tenfold.
const (
	smallTree  = 6000 // files
	oneFile    = 300_000_000
	fewSpots   = 100 // overwritten in the large file
	shortChain = 5   // increments
	longChain  = 100
	tenfold    = 10

	// The peak of a short command is as much a matter of when the collector
	// ran as of what was in use: that of the median run counts.
	growthRuns = 5
)

// A growth is the peak memory of a command before and after something grew.
type growth struct {
	grown   string
	command string
	before  figures
	after   figures
}

// memory measures how the peak memory of our commands grows: with the number
// of files, with the size of a file, with the length of a chain.
func (b *bench) memory() error {
	for _, part := range []func() error{b.growFiles, b.growFile, b.growChain} {
		if err := part(); err != nil {
			return fmt.Errorf("measure memory: %w", err)
		}
	}
	return nil
}

// memorySubject sets ours up for a tree that is made by make.
func (b *bench) memorySubject(name string, make func(tree string) error) (*subject, error) {
	dir := b.scratch(filepath.Join("memory", name))
	tree := filepath.Join(dir, "tree")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return nil, err
	}
	if err := make(tree); err != nil {
		return nil, err
	}
	return newSubject(b.ctx, ours(nameOurs, b.tklbam), filepath.Join(dir, "ours"), tree)
}

// A step is something to measure of a subject.
type step struct {
	command string
	runs    int
	run     func(s *subject) (figures, error)
}

func (b *bench) stepFull() step { return step{"full backup", growthRuns, (*subject).startOver} }

func (b *bench) stepUnchanged() step { return step{"nothing changed", growthRuns, (*subject).backUp} }

func (b *bench) stepRestore() step {
	return step{"restore", growthRuns, func(s *subject) (figures, error) { return s.bringBack(b.seed) }}
}

// median runs the step on s and returns the run with the median peak.
func (st step) median(s *subject) (figures, error) {
	var runs []figures
	for range st.runs {
		f, err := st.run(s)
		if err != nil {
			return figures{}, fmt.Errorf("%s: %w", st.command, err)
		}
		runs = append(runs, f)
	}
	slices.SortFunc(runs, func(a, b figures) int { return cmp.Compare(a.Peak, b.Peak) })
	return runs[len(runs)/2], nil
}

// measureSteps takes a subject through steps.
func (b *bench) measureSteps(s *subject, steps []step) ([]figures, error) {
	var all []figures
	for _, st := range steps {
		f, err := st.median(s)
		if err != nil {
			return nil, err
		}
		b.say("memory: %-40s %8s wall %7s peak", st.command, seconds(f.Wall), amount(f.Peak))
		all = append(all, f)
	}
	return all, nil
}

// grow measures the same steps with something small and something large.
func (b *bench) grow(grown string, steps []step, small, large func(tree string) error) error {
	var sizes [2][]figures
	for i, make := range []func(string) error{small, large} {
		s, err := b.memorySubject(fmt.Sprintf("%d", len(b.results.growths)+i), make)
		if err != nil {
			return err
		}
		if sizes[i], err = b.measureSteps(s, steps); err != nil {
			return err
		}
		if err := shed(filepath.Dir(s.dir)); err != nil {
			return err
		}
	}
	for i, st := range steps {
		b.results.growths = append(b.results.growths, growth{grown, st.command, sizes[0][i], sizes[1][i]})
	}
	return nil
}

func (b *bench) growFiles() error {
	n := b.scaled(smallTree)
	files := func(n int64) func(string) error {
		return func(tree string) error { return writeSmallFiles(tree, n, b.seed) }
	}
	return b.grow(fmt.Sprintf("%d → %d files", n, tenfold*n),
		[]step{b.stepFull(), b.stepUnchanged(), b.stepRestore()}, files(n), files(tenfold*n))
}

func (b *bench) growFile() error {
	size := b.scaled(oneFile)
	file := func(size int64) func(string) error {
		return func(tree string) error { return writeTable(filepath.Join(tree, tableName), size, b.seed) }
	}
	edited := step{fmt.Sprintf("%d spots changed", fewSpots), growthRuns, func(s *subject) (figures, error) {
		if err := reverseSpots(filepath.Join(s.tree, tableName), fewSpots, b.seed, time.Now()); err != nil {
			return figures{}, err
		}
		return s.backUp()
	}}
	return b.grow(fmt.Sprintf("a file of %s → %s", amount(size), amount(tenfold*size)),
		[]step{b.stepFull(), edited, b.stepRestore()}, file(size), file(tenfold*size))
}

// growChain measures an increment and a restore when the chain is short, and
// again when it is long.
func (b *bench) growChain() error {
	s, err := b.memorySubject("chain", func(tree string) error { return writeSmallFiles(tree, b.scaled(smallTree), b.seed) })
	if err != nil {
		return err
	}
	steps := []step{{"an increment", growthRuns, b.tinyIncrement}, b.stepRestore()}
	if _, err := s.backUp(); err != nil {
		return err
	}
	var sizes [2][]figures
	for i, length := range []int{shortChain, longChain} {
		for s.sessions < length { // the full one, and the one to be measured, make up the rest
			if _, err := b.tinyIncrement(s); err != nil {
				return err
			}
		}
		if sizes[i], err = b.measureSteps(s, steps); err != nil {
			return err
		}
	}
	for i, st := range steps {
		b.results.growths = append(b.results.growths,
			growth{fmt.Sprintf("%d → %d increments", shortChain, longChain), st.command, sizes[0][i], sizes[1][i]})
	}
	return nil
}

// tinyIncrement edits one file, each time another one, and backs up.
func (b *bench) tinyIncrement(s *subject) (figures, error) {
	files, err := regularFiles(s.tree)
	if err != nil {
		return figures{}, err
	}
	if err := reverseMiddle(files[s.sessions*7%len(files)], time.Now()); err != nil {
		return figures{}, err
	}
	return s.backUp()
}
