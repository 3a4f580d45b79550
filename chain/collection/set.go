package collection

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Set is what one session stored.
type Set struct {
	Full       bool
	Start, End time.Time // as in filename.Name: Start is zero for a full set
	Suffix     string    // of its volumes, or of most of them
	Manifest   *File     // nil: the session did not finish, or the file was lost
	Signatures *File     // nil: lost
	Volumes    []Volume  // by number

	// Damage lists, as sentences about "it", what a restore of the set cannot
	// get or cannot rely on. Names don't tell of volumes lost at the end: see
	// MissingVolumes.
	Damage []string
	// Oddities lists what makes the set unfit to be built on although it
	// restores.
	Oddities []string

	spares []File // further candidates for the roles above
}

// A Volume is one difftar of a set.
type Volume struct {
	Number int
	File   File
	Suffix string
}

// Complete reports whether the set has a manifest, the last file that a
// session stores.
func (s *Set) Complete() bool { return s.Manifest != nil }

// Files returns the set's files in the order a session stores them: volumes,
// signatures, manifest.
func (s *Set) Files() []File {
	files := make([]File, 0, len(s.Volumes)+2)
	for _, v := range s.Volumes {
		files = append(files, v.File)
	}
	for _, f := range []*File{s.Signatures, s.Manifest} {
		if f != nil {
			files = append(files, *f)
		}
	}
	return files
}

// Size returns the bytes stored for the set.
func (s *Set) Size() int64 {
	total := int64(0)
	for _, f := range s.Files() {
		total += f.Size
	}
	return total
}

// MissingVolumes returns those of the numbers, which are the manifest's, that
// have no file.
func (s *Set) MissingVolumes(listed []int) []int {
	var missing []int
	for _, n := range listed {
		if _, ok := s.Volume(n); !ok {
			missing = append(missing, n)
		}
	}
	return missing
}

// Volume returns the volume with a number.
func (s *Set) Volume(number int) (Volume, bool) {
	i, ok := slices.BinarySearchFunc(s.Volumes, number, func(v Volume, n int) int { return v.Number - n })
	if !ok {
		return Volume{}, false
	}
	return s.Volumes[i], true
}

// String names the set in a sentence: "full backup of 2020-06-05T00:52:24Z".
func (s *Set) String() string {
	if s.Full {
		return "full backup of " + stamp(s.End)
	}
	return "incremental backup of " + stamp(s.End)
}

// stamp writes a time as a restore accepts it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// noteVolumes reports gaps in the numbers and volumes stored unlike the rest.
func (s *Set) noteVolumes() {
	var gaps, mixed []string
	next := 1
	for _, v := range s.Volumes {
		switch {
		case v.Number == next+1:
			gaps = append(gaps, fmt.Sprint(next))
		case v.Number > next:
			gaps = append(gaps, fmt.Sprintf("%d to %d", next, v.Number-1))
		}
		next = v.Number + 1
		if v.Suffix != s.Suffix {
			mixed = append(mixed, fmt.Sprintf("%d as %s", v.Number, encoding(v.Suffix)))
		}
	}
	switch {
	case len(s.Volumes) == 0:
		s.Damage = append(s.Damage, "none of its volumes is here")
	case len(gaps) > 0:
		s.Damage = append(s.Damage, "volumes are missing: "+shorten(gaps))
	}
	if len(mixed) > 0 {
		s.Oddities = append(s.Oddities, fmt.Sprintf("volumes are stored unlike the others, which are %s: %s",
			encoding(s.Suffix), shorten(mixed)))
	}
}

// shorten joins a list that a damaged listing can make very long.
func shorten(list []string) string {
	const most = 5
	if len(list) > most {
		list = append(list[:most:most], fmt.Sprintf("and %d more", len(list)-most))
	}
	return strings.Join(list, ", ")
}
