package limits

import (
	"strings"
	"unicode/utf8"
)

// Patterns are those of the shell, for one component of a path: "*" matches
// any characters, "?" one, "[a-z]" one of a set and "[!a-z]" one that is not in
// the set. A bracket without its partner stands for itself, and so does a
// backslash. A dot at the start of a name is matched by a dot only. A
// character is a UTF-8 sequence, or a byte that is part of none.

func isPattern(component string) bool { return strings.ContainsAny(component, "*?[") }

// matchName reports whether the pattern matches the whole name, in time
// proportional to the product of their lengths at worst.
func matchName(pattern, name string) bool {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(pattern, ".") {
		return false
	}
	// After a mismatch the last star takes one more character and the match
	// goes on from behind it; earlier stars never need to change.
	var afterStar, starred string
	star := false
	for pattern != "" || name != "" {
		if strings.HasPrefix(pattern, "*") {
			pattern = pattern[1:]
			afterStar, starred, star = pattern, name, true
			continue
		}
		if rest, ok := matchFirst(pattern, name); ok {
			pattern, name = rest, name[len(first(name)):]
			continue
		}
		if !star || starred == "" {
			return false
		}
		starred = starred[len(first(starred)):]
		pattern, name = afterStar, starred
	}
	return true
}

// matchFirst matches the first element of the pattern, which is no star,
// against the first character of the name, and returns the pattern after it.
func matchFirst(pattern, name string) (rest string, ok bool) {
	if pattern == "" || name == "" {
		return "", false
	}
	char := first(name)
	switch pattern[0] {
	case '?':
		return pattern[1:], true
	case '[':
		if set, rest, ok := cutSet(pattern); ok {
			set, negated := strings.CutPrefix(set, "!")
			return rest, inSet(set, char) != negated
		}
	}
	return strings.CutPrefix(pattern, char)
}

// cutSet cuts the set off a pattern that starts with a bracket. A closing
// bracket that comes first in the set is a member of it.
func cutSet(pattern string) (set, rest string, ok bool) {
	start := 1
	if strings.HasPrefix(pattern[start:], "!") {
		start++
	}
	if strings.HasPrefix(pattern[start:], "]") {
		start++
	}
	n := strings.IndexByte(pattern[start:], ']')
	if n < 0 {
		return "", "", false
	}
	return pattern[1 : start+n], pattern[start+n+1:], true
}

// inSet looks for a character among single ones and ranges. Strings compare as
// their characters do, since UTF-8 keeps the order.
func inSet(set, char string) bool {
	for set != "" {
		low := first(set)
		set = set[len(low):]
		high := low
		if len(set) > 1 && set[0] == '-' {
			high = first(set[1:])
			set = set[1+len(high):]
		}
		if low <= char && char <= high {
			return true
		}
	}
	return false
}

// first returns the first character of a string that is not empty.
func first(s string) string {
	_, size := utf8.DecodeRuneInString(s)
	return s[:size]
}
