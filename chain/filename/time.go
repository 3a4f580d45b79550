package filename

import (
	"strings"
	"time"
)

// takeTime reads the time that s begins with and notes the old form in n.
func (n *Name) takeTime(s string) (t time.Time, rest string, ok bool) {
	size := len(timeLayout)
	parse := parseTime
	if len(s) >= oldSize && s[4] == '-' {
		n.Form = Old
		parse = parseOldTime
		if size = oldSize; s[oldSize-1] != 'Z' {
			size = oldZoneSize
		}
	}
	if len(s) < size {
		return time.Time{}, "", false
	}
	t, ok = parse(s[:size])
	return t, s[size:], ok && inRange(t)
}

// inRange reports whether Duplicity would read a name of time t: it takes the
// years from 1901 to 2099.
func inRange(t time.Time) bool {
	return t.Year() > 1900 && t.Unix() <= LastSecond
}

// parseTime reads YYYYMMDDTHHMMSSZ. Of that length, package time accepts
// nothing else.
func parseTime(s string) (time.Time, bool) {
	t, err := time.Parse(timeLayout, s)
	return t.UTC(), err == nil
}

const (
	oldLayout   = "2006-01-02T15:04:05"
	oldSize     = len(oldLayout + "Z")
	oldZoneSize = len(oldLayout + "+00:00")
)

// parseOldTime reads local time with its zone, "2002-04-26T04:22:01-07:00" or
// with a final "Z". Any punctuation can stand in for the colons
// (--time-separator), the same one throughout.
func parseOldTime(s string) (time.Time, bool) {
	sep := s[13]
	if !isSeparator(sep) || s[16] != sep {
		return time.Time{}, false
	}
	clock := s[:13] + ":" + s[14:16] + ":" + s[17:19]
	t, err := time.Parse(oldLayout, clock)
	if err != nil {
		return time.Time{}, false
	}
	if s[19:] == "Z" {
		return t.UTC(), true
	}
	zone, ok := parseOldZone(s[19:], sep)
	return t.Add(-zone).UTC(), ok
}

// parseOldZone reads "+HH:MM" as Duplicity does, which differs from ISO 8601
// west of Greenwich: its writer rounds the hours down and adds the minutes
// back, so that Newfoundland's -3:30 is spelled "-04:30".
func parseOldZone(s string, sep byte) (time.Duration, bool) {
	hours, ok := twoDigits(s[1:3])
	minutes, ok2 := twoDigits(s[4:6])
	if !ok || !ok2 || s[3] != sep || hours > 23 || minutes > 59 {
		return 0, false
	}
	switch s[0] {
	case '+':
	case '-':
		hours = -hours
	default:
		return 0, false
	}
	return time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute, true
}

func twoDigits(s string) (int, bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	return int(s[0]-'0')*10 + int(s[1]-'0'), true
}

// isSeparator accepts the ASCII punctuation that can separate times; "-" is
// refused by Duplicity, "/" cannot be in a name.
func isSeparator(c byte) bool {
	return strings.IndexByte("!#$%&()+,.:;=@[]^_{}~", c) >= 0
}
