package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// The corpus at scale 1.
const (
	corpusFiles = 60_000
	corpusBytes = 800_000_000 // of those files; the table and the noise come on top
	tableBytes  = 300_000_000
	noiseBytes  = 300_000_000
	tableSpots  = 1000 // overwritten in place by the edit
	editedShare = 100  // one file in so many is edited
)

const (
	corpusName  = "corpus"
	markerName  = "corpus.json"
	scratchName = "scratch"
	filesName   = "files"
	tableName   = "table.csv"
	noiseName   = "noise.bin"
)

// past is the modification time of generated files: well before any session.
var past = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// A corpus is the tree that is backed up.
type corpus struct {
	dir    string
	marker string
	census
	state corpusState
}

// A corpusState is what the marker beside a corpus says of it.
type corpusState struct {
	Seed   uint64
	Scale  float64
	Edited bool
}

// corpus makes the tree, or takes the one that an earlier run left.
func (b *bench) corpus() (*corpus, error) {
	c := &corpus{
		dir: filepath.Join(b.dir, corpusName), marker: filepath.Join(b.dir, markerName),
		state: corpusState{Seed: b.seed, Scale: b.scale},
	}
	reused, err := c.reuse()
	if err == nil && !reused {
		b.say("making the corpus in %s", c.dir)
		err = b.makeCorpus(c)
	}
	if err != nil {
		return nil, fmt.Errorf("make corpus: %w", err)
	}
	c.census, err = takeCensus(c.dir)
	b.say("the corpus has %d files of %s", c.files, amount(c.bytes))
	return c, err
}

// reuse reports whether the corpus is there. An edit of the run before is
// undone.
func (c *corpus) reuse() (bool, error) {
	raw, err := os.ReadFile(c.marker)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var have corpusState
	if err := json.Unmarshal(raw, &have); err != nil {
		return false, fmt.Errorf("read %q: %w", c.marker, err)
	}
	if have.Seed != c.state.Seed || have.Scale != c.state.Scale {
		return false, nil
	}
	if !have.Edited {
		return true, nil
	}
	c.state.Edited = true
	return true, c.edit(past)
}

// makeCorpus builds the tree. Its marker goes first and comes last: a tree
// without one counts for nothing.
func (b *bench) makeCorpus(c *corpus) error {
	if err := errors.Join(removeFile(c.marker), os.RemoveAll(c.dir)); err != nil {
		return err
	}
	cp := &copier{
		into: filepath.Join(c.dir, filesName), seed: b.seed,
		files: b.scaled(corpusFiles), bytes: b.scaled(corpusBytes),
	}
	if err := cp.run(b.ctx, systemSources(b.ctx)); err != nil {
		return err
	}
	if err := writeTable(filepath.Join(c.dir, tableName), b.scaled(tableBytes), b.seed); err != nil {
		return err
	}
	if err := writeNoise(filepath.Join(c.dir, noiseName), b.scaled(noiseBytes), b.seed); err != nil {
		return err
	}
	return c.mark()
}

func (c *corpus) mark() error {
	raw, err := json.Marshal(c.state)
	if err != nil {
		return err
	}
	return os.WriteFile(c.marker, raw, 0o644)
}

// edit changes one file in editedShare in its middle, and the table in many
// spots. The same edit again undoes it. Meanwhile there is no marker: what an
// interruption leaves is made anew.
func (c *corpus) edit(at time.Time) error {
	if err := removeFile(c.marker); err != nil {
		return err
	}
	files, err := regularFiles(filepath.Join(c.dir, filesName))
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(c.state.Seed, 1))
	r.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	for _, path := range files[:(len(files)+editedShare-1)/editedShare] {
		if err := reverseMiddle(path, at); err != nil {
			return err
		}
	}
	if err := reverseSpots(filepath.Join(c.dir, tableName), tableSpots, c.state.Seed, at); err != nil {
		return err
	}
	c.state.Edited = !c.state.Edited
	return c.mark()
}

// regularFiles lists the regular files below dir that have content.
func regularFiles(dir string) ([]string, error) {
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 0 {
			list = append(list, path)
		}
		return err
	})
	return list, err
}

func removeFile(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
