package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// spotLen is how many bytes an edit turns round.
const spotLen = 64

// writeTo writes a file whole and reports whatever goes wrong with that.
func writeTo(path string, write func(*bufio.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 256<<10)
	return errors.Join(write(w), w.Flush(), f.Close())
}

// writeTable makes a text file of rows as a database dump or a log has them.
func writeTable(path string, size int64, seed uint64) error {
	t := table{rand: rand.New(rand.NewPCG(seed, 2))}
	err := writeTo(path, func(w *bufio.Writer) error {
		for written := int64(0); written < size; {
			row := t.next()
			row = row[:min(int64(len(row)), size-written)]
			if _, err := w.Write(row); err != nil {
				return err
			}
			written += int64(len(row))
		}
		return nil
	})
	return errors.Join(err, os.Chtimes(path, past, past))
}

// A table yields rows, always the same from the same seed.
type table struct {
	rand *rand.Rand
	id   int64
	row  []byte
}

var (
	givenNames  = []string{"Ada", "Bruno", "Chiara", "David", "Elif", "Farid", "Greta", "Hanna", "Igor", "Jana", "Kofi", "Lena", "Maria", "Noor", "Olga", "Pavel"}
	familyNames = []string{"Andersen", "Berger", "Costa", "Dumont", "Eriksson", "Fischer", "Garcia", "Haddad", "Ivanova", "Jansen", "Kowalski", "Lindqvist", "Moreau", "Novak", "Okafor", "Petrov"}
	statuses    = []string{"open", "paid", "shipped", "returned", "cancelled"}
)

func (t *table) next() []byte {
	t.id++
	b := strconv.AppendInt(t.row[:0], 1_000_000+t.id, 10)
	b = append(b, ',')
	b = past.Add(time.Duration(t.id*7+t.rand.Int64N(7))*time.Second).AppendFormat(b, time.DateTime)
	for _, list := range [][]string{givenNames, familyNames, statuses} {
		b = append(b, ',')
		b = append(b, list[t.rand.IntN(len(list))]...)
	}
	b = append(b, ',')
	b = strconv.AppendInt(b, t.rand.Int64N(100_000), 10)
	b = append(b, '.', byte('0'+t.rand.IntN(10)), byte('0'+t.rand.IntN(10)), ',')
	b = strconv.AppendUint(b, t.rand.Uint64(), 16)
	t.row = append(b, '\n')
	return t.row
}

// writeNoise makes a file that nothing compresses.
func writeNoise(path string, size int64, seed uint64) error {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	err := writeTo(path, func(w *bufio.Writer) error {
		_, err := io.CopyN(w, rand.NewChaCha8(key), size)
		return err
	})
	return errors.Join(err, os.Chtimes(path, past, past))
}

// writeSmallFiles makes a tree of n text files of a few hundred bytes to a
// few kilobytes, a hundred to a directory.
func writeSmallFiles(dir string, n int64, seed uint64) error {
	t := table{rand: rand.New(rand.NewPCG(seed, 3))}
	for i := range n {
		path := filepath.Join(dir, fmt.Sprintf("%05d", i/100), fmt.Sprintf("%02d.csv", i%100))
		if i%100 == 0 {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
		}
		var content []byte
		for range 3 + t.rand.IntN(50) {
			content = append(content, t.next()...)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
		if err := os.Chtimes(path, past, past); err != nil {
			return err
		}
	}
	return nil
}

// reverseMiddle turns a few bytes in the middle of a file round. Neither this
// nor reverseSpots changes a size, and doing either twice undoes it.
func reverseMiddle(path string, at time.Time) error {
	return editFile(path, at, func(f *os.File, size int64) error {
		n := min(spotLen, size)
		return reverse(f, (size-n)/2, n)
	})
}

// reverseSpots turns bytes round in n spots all over a file, which don't
// overlap.
func reverseSpots(path string, n int64, seed uint64, at time.Time) error {
	return editFile(path, at, func(f *os.File, size int64) error {
		r := rand.New(rand.NewPCG(seed, 4))
		stripe := size / n
		if stripe < spotLen {
			return fmt.Errorf("edit %q: %d bytes are too few for %d spots", path, size, n)
		}
		for i := range n {
			if err := reverse(f, i*stripe+r.Int64N(stripe-spotLen+1), spotLen); err != nil {
				return err
			}
		}
		return nil
	})
}

func editFile(path string, at time.Time, edit func(f *os.File, size int64) error) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		err = edit(f, info.Size())
	}
	return errors.Join(err, f.Close(), os.Chtimes(path, at, at))
}

func reverse(f *os.File, offset, n int64) error {
	b := make([]byte, n)
	if _, err := f.ReadAt(b, offset); err != nil {
		return err
	}
	slices.Reverse(b)
	_, err := f.WriteAt(b, offset)
	return err
}
