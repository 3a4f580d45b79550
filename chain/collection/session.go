package collection

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tklbam/chain/filename"
)

// A sessionKey identifies a session: two names are of the same one when kind
// of set and times agree. Times are Unix seconds.
type sessionKey struct {
	full       bool
	start, end int64
}

func keyOf(n filename.Name) sessionKey {
	return sessionKey{n.Full, n.Start.Unix(), n.End.Unix()}
}

// A session holds every file that claims to be of it, before one is chosen
// for each role.
type session struct {
	full       bool
	start, end time.Time
	volumes    map[int][]candidate
	manifests  []candidate
	signatures []candidate
}

type candidate struct {
	File
	name filename.Name
}

func newSession(n filename.Name) *session {
	return &session{full: n.Full, start: n.Start, end: n.End, volumes: make(map[int][]candidate)}
}

func (s *session) add(c candidate) {
	switch c.name.Kind {
	case filename.Volume:
		s.volumes[c.name.Volume] = append(s.volumes[c.name.Volume], c)
	case filename.Manifest:
		s.manifests = append(s.manifests, c)
	case filename.Signatures:
		s.signatures = append(s.signatures, c)
	}
}

// inOrder returns the sessions as they have to be linked, by end time, so that
// each comes after the one it builds on. The second key only makes the order
// a fixed one.
func inOrder(sessions map[sessionKey]*session) []*session {
	keys := slices.SortedFunc(maps.Keys(sessions), func(a, b sessionKey) int {
		return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.start, b.start))
	})
	list := make([]*session, len(keys))
	for i, k := range keys {
		list[i] = sessions[k]
	}
	return list
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// set chooses a file for each role.
func (s *session) set() Set {
	set := Set{Full: s.full, Start: s.start, End: s.end, Suffix: s.mainSuffix()}
	for _, number := range slices.Sorted(maps.Keys(s.volumes)) {
		c := set.choose(s.volumes[number])
		set.Volumes = append(set.Volumes, Volume{number, c.File, c.name.Suffix})
	}
	set.noteVolumes()
	set.Manifest = set.chooseOne("manifest", s.manifests)
	set.Signatures = set.chooseOne("signature file", s.signatures)
	if set.Complete() && set.Signatures == nil {
		set.Oddities = append(set.Oddities, "its signature file is missing")
	}
	return set
}

// choose takes one of the candidates for a role. Where there are several, as
// when somebody put decrypted copies beside a set, it is the one that fits the
// bulk of the volumes, and the others become spares. Duplicity stops at such a
// listing.
func (s *Set) choose(list []candidate) candidate {
	slices.SortFunc(list, func(a, b candidate) int { return compareFit(a, b, s.Suffix) })
	for _, c := range list[1:] {
		s.spares = append(s.spares, c.File)
	}
	return list[0]
}

// chooseOne is choose for a role that one file of the set has, or none. A file
// that is encrypted otherwise than the volumes is noted.
func (s *Set) chooseOne(role string, list []candidate) *File {
	if len(list) == 0 {
		return nil
	}
	c := s.choose(list)
	if suffix := c.name.Suffix; len(s.Volumes) > 0 && protection(suffix) != protection(s.Suffix) {
		s.Oddities = append(s.Oddities, fmt.Sprintf("its %s is stored as %s, its volumes as %s",
			role, encoding(suffix), encoding(s.Suffix)))
	}
	return &c.File
}

// mainSuffix returns the suffix of most volumes, or of the manifest or the
// signatures when there are no volumes.
func (s *session) mainSuffix() string {
	count := make(map[string]int)
	for _, list := range s.volumes {
		for _, c := range list {
			count[c.name.Suffix]++
		}
	}
	if len(count) == 0 {
		for _, c := range slices.Concat(s.manifests, s.signatures) {
			count[c.name.Suffix]++
		}
	}
	best := ""
	for suffix, n := range count {
		if cmp.Or(cmp.Compare(n, count[best]), compareRank(best, suffix)) > 0 {
			best = suffix
		}
	}
	return best
}

// compareFit orders the candidates for one role, the best first: those
// protected as the volumes are, those with the very suffix, and then by what
// is least likely to be a copy that somebody made.
func compareFit(a, b candidate, suffix string) int {
	return cmp.Or(
		-compareBool(protection(a.name.Suffix) == protection(suffix), protection(b.name.Suffix) == protection(suffix)),
		-compareBool(a.name.Suffix == suffix, b.name.Suffix == suffix),
		compareRank(a.name.Suffix, b.name.Suffix),
		cmp.Compare(a.name.Form, b.name.Form),
		cmp.Compare(a.Name, b.Name),
	)
}

// protection returns the encryption that a suffix stands for. An unencrypted
// set has manifests without suffix beside volumes and signatures with ".gz".
func protection(suffix string) string {
	return strings.TrimSuffix(suffix, ".gz")
}

// compareRank orders suffixes, those that only a session writes first.
func compareRank(a, b string) int {
	const order = ".zst.age .gpg .gz" // and "" last
	rank := func(s string) int {
		if s == "" {
			return len(order)
		}
		return strings.Index(order, s)
	}
	return cmp.Compare(rank(a), rank(b))
}

// encoding names a suffix in a sentence.
func encoding(suffix string) string {
	if suffix == "" {
		return "plain files"
	}
	return suffix
}
