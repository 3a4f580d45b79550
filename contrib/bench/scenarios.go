package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// The parts of a run. Every other one needs the full backup, which is always
// made and measured with them.
const (
	partFull      = "full"
	partUnchanged = "unchanged"
	partChanged   = "changed"
	partRestore   = "restore"
	partMemory    = "memory"
)

var (
	comparisons = []string{partFull, partUnchanged, partChanged, partRestore}
	parts       = append(comparisons[:len(comparisons):len(comparisons)], partMemory)
)

// titles are what the tables call the parts.
var titles = map[string]string{
	partFull:      "full backup",
	partUnchanged: "nothing changed",
	partChanged:   "1 % of files and 1,000 spots changed",
	partRestore:   "restore of the latest",
}

// compare takes every tool through the scenarios, one scenario after another,
// so that all tools see the same states of the tree.
func (b *bench) compare(tools []*tool) error {
	c, err := b.corpus()
	if err != nil {
		return err
	}
	b.results.machine.corpus = c.census
	var subjects []*subject
	for _, t := range tools {
		s, err := newSubject(b.ctx, t, b.scratch(t.name), c.dir)
		if err != nil {
			return err
		}
		subjects = append(subjects, s)
	}
	backUp := func(s *subject) (figures, error) { return b.warm(c.dir, s.backUp) }
	subjects = b.scenario(partFull, subjects, backUp)
	b.caches(subjects, partFull)
	if b.wants(partUnchanged) {
		subjects = b.scenario(partUnchanged, subjects, b.bestOf(backUp))
	}
	if b.wants(partChanged) {
		if err := c.edit(time.Now()); err != nil {
			return fmt.Errorf("edit corpus: %w", err)
		}
		subjects = b.scenario(partChanged, subjects, backUp)
		b.caches(subjects, partChanged)
	}
	if b.wants(partRestore) {
		b.settleDown()
		b.scenario(partRestore, subjects, b.bestOf(func(s *subject) (figures, error) { return s.bringBack(b.seed) }))
	}
	return errors.Join(b.ctx.Err(), shed(b.scratch("")))
}

// settleDown waits until what was removed before this run, or at its start, no
// longer makes ext4 slow.
func (b *bench) settleDown() {
	wait := time.Until(b.began.Add(b.settle))
	if wait > 0 {
		b.say("waiting %s before restores", wait.Round(time.Second))
	}
	select {
	case <-b.ctx.Done():
	case <-time.After(wait):
	}
}

// scenario measures one scenario with every tool and returns those that can
// go on: one that fails is out, and reported.
func (b *bench) scenario(part string, subjects []*subject, measure func(*subject) (figures, error)) []*subject {
	var rest []*subject
	for _, s := range subjects {
		if b.ctx.Err() != nil {
			return nil
		}
		f, err := measure(s)
		if err != nil {
			err = fmt.Errorf("%s, %s: %w", titles[part], s.name, err)
			b.say("%v", err)
			b.results.failures = append(b.results.failures, err)
			continue
		}
		b.say("%-40s %-12s %8s wall %8s CPU %7s peak %9s stored", titles[part], s.name,
			seconds(f.Wall), seconds(f.CPU), amount(f.Peak), amount(f.Stored))
		b.results.add(part, s.tool, f)
		rest = append(rest, s)
	}
	return rest
}

// bestOf repeats a short scenario for the tools that it is short for. Time and
// memory are those of the fastest run, what was stored that of the first.
func (b *bench) bestOf(measure func(*subject) (figures, error)) func(*subject) (figures, error) {
	return func(s *subject) (figures, error) {
		best, err := measure(s)
		stored := best.Stored
		for i := 1; i < b.runs && s.repeat && err == nil; i++ {
			var f figures
			if f, err = measure(s); f.Wall < best.Wall {
				best = f
			}
		}
		best.Stored = stored
		return best, err
	}
}

// warm measures with the tree in the page cache.
func (b *bench) warm(tree string, measure func() (figures, error)) (figures, error) {
	if err := readThrough(tree); err != nil {
		return figures{}, err
	}
	return measure()
}

func readThrough(tree string) error {
	return filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(struct{ io.Writer }{io.Discard}, f)
		return err
	})
}

// caches notes what the tools keep on the machine that is backed up.
func (b *bench) caches(subjects []*subject, part string) {
	for _, s := range subjects {
		size, err := treeSize(s.cache())
		if err != nil {
			b.results.failures = append(b.results.failures, fmt.Errorf("cache of %s: %w", s.name, err))
			continue
		}
		b.results.caches[point{part, s.name}] = size
	}
}
