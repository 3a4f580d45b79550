// Package manifest reads and writes the text that lists a set's volumes: the
// range of paths in each and the hash of its file.
//
// The manifest is stored last and makes its set complete. Its format is what
// Duplicity's manifest module writes and reads; the encoding around it (none,
// OpenPGP, age) is not this package's business.
package manifest

import (
	"fmt"
	"slices"

	"tklbam/chain/archive"
)

// A Manifest describes one set.
type Manifest struct {
	Hostname string // of the machine that was backed up; "" when not given
	Localdir string // the source directory; "" when not given
	Volumes  []Volume

	// Files counts the lines of the list of changed files that Duplicity
	// since 0.7 puts before or after the volumes. The list itself is not
	// kept, and never written: no reader depends on it.
	Files int
}

// A Volume is one difftar of the set.
type Volume struct {
	Number     int // from 1
	Start, End Position
	Hashes     []Hash
}

// A Position is the first or last entry of a volume. A volume without any
// entry goes from the root to the root.
type Position struct {
	Path string // slash separated, relative to the source; "" is the root

	// Piece is the number at the end of the entry's name in the tar, from 1,
	// where the entry is a piece of a file and not the last one. It is 0, and
	// blank in the text, for whole entries and for a file's last piece.
	Piece int
}

// A Hash is the digest of a volume's file as it is stored.
type Hash struct {
	Type string // "SHA1" is what every writer gives
	Hex  string
}

// Hash returns the digest of the given type, "" if there is none.
func (v *Volume) Hash(kind string) string {
	for _, h := range v.Hashes {
		if h.Type == kind {
			return h.Hex
		}
	}
	return ""
}

// setHash adds a digest or replaces the one of the same type.
func (v *Volume) setHash(h Hash) {
	for i := range v.Hashes {
		if v.Hashes[i].Type == h.Type {
			v.Hashes[i] = h
			return
		}
	}
	v.Hashes = append(v.Hashes, h)
}

// mayHold reports whether the volume's range touches path or what is below it.
// A range in the wrong order says nothing, so the volume has to be looked at.
func (v *Volume) mayHold(path string) bool {
	start, end := v.Start.Path, v.End.Path
	if archive.Compare(start, end) > 0 {
		return true
	}
	begins := archive.Compare(start, path) <= 0 || archive.Within(start, path)
	return begins && archive.Compare(path, end) <= 0
}

// VolumesFor returns the volumes, in order, that may hold an entry for path
// or for anything below it; "" asks for all. A file cut in pieces is in each
// of the volumes it straddles.
func (m *Manifest) VolumesFor(path string) []Volume {
	var found []Volume
	for _, v := range m.Volumes {
		if v.mayHold(path) {
			found = append(found, v)
		}
	}
	return found
}

// Numbers returns the numbers of the volumes, ascending.
func (m *Manifest) Numbers() []int {
	numbers := make([]int, 0, len(m.Volumes))
	for _, v := range m.Volumes {
		numbers = append(numbers, v.Number)
	}
	return numbers
}

// Check reports what a reader of the whole set must not pass over: a manifest
// without volumes, or numbers missing from 1 to the last. Read accepts both,
// since the volumes that are listed can still be used.
func (m *Manifest) Check() error {
	if len(m.Volumes) == 0 {
		return fmt.Errorf("check manifest: no volume is listed")
	}
	next := 1
	for _, v := range m.Volumes {
		if v.Number > next {
			return fmt.Errorf("check manifest: volume %d is listed, volume %d is not", v.Number, next)
		}
		next = v.Number + 1
	}
	return nil
}

// sorted returns the volumes up to number last, by number.
func sorted(volumes map[int]Volume, last int) []Volume {
	list := make([]Volume, 0, len(volumes))
	for _, v := range volumes {
		if v.Number <= last {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b Volume) int { return a.Number - b.Number })
	return list
}
