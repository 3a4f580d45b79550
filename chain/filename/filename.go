// Package filename reads and writes the names of a chain's files.
//
// A name says all that a listing can tell about a file: the session it
// belongs to, its role there, and how its content is stored. Duplicity's
// file_naming module is the source of the grammar.
package filename

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Kind is the role of a file in its set.
type Kind uint8

// The roles.
const (
	Volume     Kind = iota + 1 // a difftar
	Manifest                   // the list of the volumes; its presence makes a set complete
	Signatures                 // a sigtar
)

// String returns the kind as a noun for messages.
func (k Kind) String() string {
	switch k {
	case Volume:
		return "volume"
	case Manifest:
		return "manifest"
	case Signatures:
		return "signatures"
	}
	return "unknown kind"
}

// A Form is the way a name is spelled.
type Form uint8

// The forms. Only Long is ever written; the others are what Duplicity writes
// when asked for --old-filenames, --time-separator or --short-filenames.
const (
	Long  Form = iota // duplicity-full.20200605T005224Z.manifest
	Old               // duplicity-full.2020-06-05T02:52:24+02:00.manifest
	Short             // df.qbfsfc.m
)

// A Name is the parsed name of a chain's file. Names are comparable with ==.
type Name struct {
	Prefix  string // what stands before "duplicity-": Duplicity's --file-prefix options
	Kind    Kind
	Full    bool      // of a full set; else of an incremental one
	Start   time.Time // incremental: end of the set it builds on; full: zero. UTC, whole seconds
	End     time.Time // the session's time, for full sets too. UTC, whole seconds
	Volume  int       // from 1; 0 unless Kind is Volume
	Partial bool      // marked ".part": unfinished
	Suffix  string    // how the content is stored: "", ".gz", ".gpg" or ".zst.age"
	Form    Form
}

// ErrNotChainFile is wrapped by Parse's error for every name that no chain
// contains.
var ErrNotChainFile = errors.New("not the name of a chain's file")

// LastSecond is the latest session time a name can carry, in Unix time: the
// end of 2099. Duplicity reads no year after that.
const LastSecond = 4102444799

const (
	mark       = "duplicity-"
	timeLayout = "20060102T150405Z"
)

// Parse reads a name of any form. It is strict: what it accepts in the long
// form is exactly what String writes.
func Parse(s string) (Name, error) {
	if n, ok := parseLong(s); ok {
		return n, nil
	}
	if n, ok := parseShort(s); ok {
		return n, nil
	}
	return Name{}, fmt.Errorf("parse name %q: %w", s, ErrNotChainFile)
}

// String returns the long form, whatever the form n was read from.
func (n Name) String() string {
	var b strings.Builder
	b.WriteString(n.Prefix + mark)
	switch {
	case n.Kind != Signatures && n.Full:
		b.WriteString("full.")
	case n.Kind != Signatures:
		b.WriteString("inc.")
	case n.Full:
		b.WriteString("full-signatures.")
	default:
		b.WriteString("new-signatures.")
	}
	if !n.Full {
		b.WriteString(n.Start.UTC().Format(timeLayout) + ".to.")
	}
	b.WriteString(n.End.UTC().Format(timeLayout))
	switch n.Kind {
	case Volume:
		b.WriteString(".vol" + strconv.Itoa(n.Volume) + ".difftar")
	case Manifest:
		b.WriteString(".manifest")
	case Signatures:
		b.WriteString(".sigtar")
	}
	if n.Partial {
		b.WriteString(".part")
	}
	return b.String() + n.Suffix
}

// parseLong reads the long form and the old one, which differ in their times.
// The last mark counts: the grammar after it has no room for another.
func parseLong(s string) (Name, bool) {
	at := strings.LastIndex(s, mark)
	if at < 0 {
		return Name{}, false
	}
	n := Name{Prefix: s[:at]}
	head, rest, ok := strings.Cut(s[at+len(mark):], ".")
	if !ok || !n.setHead(head) {
		return Name{}, false
	}
	if rest, ok = n.takeTimes(rest); !ok {
		return Name{}, false
	}
	if rest, ok = n.takeRole(rest); !ok {
		return Name{}, false
	}
	rest, n.Partial = strings.CutPrefix(rest, ".part")
	n.Suffix = rest
	return n, isSuffix(rest)
}

func (n *Name) setHead(head string) bool {
	switch head {
	case "full":
		n.Full = true
	case "inc":
	case "full-signatures":
		n.Full, n.Kind = true, Signatures
	case "new-signatures":
		n.Kind = Signatures
	default:
		return false
	}
	return true
}

// takeTimes reads "T" or "T0.to.T1" and returns what follows.
func (n *Name) takeTimes(s string) (rest string, ok bool) {
	if !n.Full {
		if n.Start, s, ok = n.takeTime(s); !ok {
			return "", false
		}
		if s, ok = strings.CutPrefix(s, ".to."); !ok {
			return "", false
		}
	}
	n.End, s, ok = n.takeTime(s)
	return s, ok
}

// takeRole reads what makes the file a volume, a manifest or signatures.
func (n *Name) takeRole(s string) (rest string, ok bool) {
	if n.Kind == Signatures {
		return strings.CutPrefix(s, ".sigtar")
	}
	if rest, ok = strings.CutPrefix(s, ".manifest"); ok {
		n.Kind = Manifest
		return rest, true
	}
	if s, ok = strings.CutPrefix(s, ".vol"); !ok {
		return "", false
	}
	number, rest, ok := strings.Cut(s, ".difftar")
	if !ok {
		return "", false
	}
	n.Kind = Volume
	n.Volume, ok = parseNumber(number, 10)
	return rest, ok
}

// parseNumber reads a volume number: from 1, within 32 bits, no padding.
func parseNumber(s string, base int) (int, bool) {
	v, err := strconv.ParseInt(s, base, 32)
	if err != nil || v < 1 || strconv.FormatInt(v, base) != s {
		return 0, false
	}
	return int(v), true
}

func isSuffix(s string) bool {
	switch s {
	case "", ".gz", ".gpg", ".zst.age":
		return true
	}
	return false
}
