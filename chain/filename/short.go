package filename

import (
	"strconv"
	"strings"
	"time"
)

// firstShort is the earliest time believed in a short name, 2002-01-01, the
// year of the first Duplicity. Short names are so short that other files can
// look like them ("df.x.m"); a plausible time is the best evidence there is.
// For the same reason no prefix is accepted before them.
const firstShort = 1009843200

// parseShort reads the names Duplicity writes with --short-filenames: times
// and volume numbers in base 36, one to three letters for the role.
func parseShort(s string) (Name, bool) {
	n := Name{Form: Short}
	head, rest, ok := strings.Cut(s, ".")
	if !ok || !n.setShortHead(head) {
		return Name{}, false
	}
	if !n.Full {
		if n.Start, rest, ok = takeShortTime(rest); !ok {
			return Name{}, false
		}
	}
	if n.End, rest, ok = takeShortTime(rest); !ok {
		return Name{}, false
	}
	if rest, ok = n.takeShortRole(rest); !ok {
		return Name{}, false
	}
	rest, n.Partial = strings.CutPrefix(rest, ".p")
	n.Suffix, ok = shortSuffix(rest)
	return n, ok
}

func (n *Name) setShortHead(head string) bool {
	switch head {
	case "df":
		n.Full = true
	case "di":
	case "dfs":
		n.Full, n.Kind = true, Signatures
	case "dns":
		n.Kind = Signatures
	default:
		return false
	}
	return true
}

func takeShortTime(s string) (t time.Time, rest string, ok bool) {
	token, rest, ok := strings.Cut(s, ".")
	if !ok {
		return time.Time{}, "", false
	}
	v, err := strconv.ParseInt(token, 36, 64)
	if err != nil || v < firstShort || v > LastSecond || strconv.FormatInt(v, 36) != token {
		return time.Time{}, "", false
	}
	return time.Unix(v, 0).UTC(), rest, true
}

// takeShortRole reads "st", "m" or "NUMBER.dt".
func (n *Name) takeShortRole(s string) (rest string, ok bool) {
	token := s
	if dot := strings.IndexByte(s, '.'); dot >= 0 {
		token, rest = s[:dot], s[dot:]
	}
	switch {
	case n.Kind == Signatures:
		return rest, token == "st"
	case token == "m":
		n.Kind = Manifest
		return rest, true
	}
	n.Kind = Volume
	if n.Volume, ok = parseNumber(token, 36); !ok {
		return "", false
	}
	return strings.CutPrefix(rest, ".dt")
}

func shortSuffix(s string) (string, bool) {
	switch s {
	case "":
		return "", true
	case ".z":
		return ".gz", true
	case ".g":
		return ".gpg", true
	}
	return "", false
}
