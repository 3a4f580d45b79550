package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// A census is what a tree has of everything.
type census struct {
	files, dirs, others, bytes int64
}

func takeCensus(dir string) (c census, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			c.dirs++
			return nil
		case !d.Type().IsRegular():
			c.others++
			return nil
		}
		info, err := d.Info()
		if err == nil {
			c.files++
			c.bytes += info.Size()
		}
		return err
	})
	return c, err
}

// compared is how many small files of a restored tree are compared byte by
// byte; large ones all are.
const (
	compared  = 500
	largeFile = 10 << 20
)

// sameTrees checks that a restored tree is what was backed up: by its totals,
// and by some of its files.
func sameTrees(want, got string, seed uint64) error {
	wanted, err := takeCensus(want)
	if err != nil {
		return err
	}
	have, err := takeCensus(got)
	if err != nil {
		return err
	}
	if wanted != have {
		return fmt.Errorf("restored tree: %+v where %+v were backed up", have, wanted)
	}
	r := rand.New(rand.NewPCG(seed, 5))
	share := compared / float64(max(1, wanted.files))
	return filepath.WalkDir(want, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if r.Float64() >= share && info.Size() < largeFile {
			return nil
		}
		name, err := filepath.Rel(want, path)
		if err != nil {
			return err
		}
		return sameFiles(path, filepath.Join(got, name))
	})
}

// sameFiles checks content, mode and modification time, the latter to the
// second, as all formats have it.
func sameFiles(want, got string) error {
	w, err := os.Open(want)
	if err != nil {
		return err
	}
	defer w.Close()
	g, err := os.Open(got)
	if err != nil {
		return err
	}
	defer g.Close()
	ws, werr := w.Stat()
	gs, gerr := g.Stat()
	if err := errors.Join(werr, gerr); err != nil {
		return err
	}
	if ws.Mode() != gs.Mode() || ws.ModTime().Unix() != gs.ModTime().Unix() {
		return fmt.Errorf("restored %q: mode %s of %s where %s of %s was backed up", got, gs.Mode(), gs.ModTime(), ws.Mode(), ws.ModTime())
	}
	return sameContent(w, g, got)
}

func sameContent(want, got io.Reader, name string) error {
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, aerr := io.ReadFull(want, a)
		m, berr := io.ReadFull(got, b)
		if n != m || !bytes.Equal(a[:n], b[:m]) {
			return fmt.Errorf("restored %q: its content differs", name)
		}
		switch {
		case aerr == io.EOF || aerr == io.ErrUnexpectedEOF:
			return nil
		case aerr != nil || berr != nil:
			return errors.Join(aerr, berr)
		}
	}
}
