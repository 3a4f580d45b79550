package timeexpr

import (
	"fmt"
	"strconv"
	"time"
)

// maxUnix is the last second of the year 9999.
const maxUnix = 253402300799

// Parse reads a time to restore from, to whole seconds, in UTC:
//
//	now
//	2010-08-06            the day's first second
//	2010-08-07T14:00      also with :ss; and with a zone, Z or +02:00
//	20100807T140000Z      as in the files' names
//	5h, 1h30m, 4D         that long ago; units s, m, h, D, W, M (30 days), Y (365 days)
//	1281189600            seconds since 1970
//	2010/08/06, 8/6/2010, 8-6-2010, 20100806Z    a day too; the month before the day
//
// Without a zone the time is UTC, as TKLBAM documents it; Duplicity took the
// machine's zone, but on a backup's times, which are all in UTC, that made the
// same words mean different things from machine to machine.
func Parse(s string, current time.Time) (time.Time, error) {
	current = current.UTC().Truncate(time.Second)
	if s == now {
		return current, nil
	}
	if s != "" && countDigits(s) == len(s) {
		return parseUnix(s)
	}
	if t, ok := parseCalendar(s); ok {
		return t, nil
	}
	if n := countDigits(s); n > 0 && n < len(s) {
		if _, ok := unitSeconds(s[n]); ok {
			return parseAgo(s, current)
		}
	}
	return time.Time{}, fmt.Errorf("parse time %q: want YYYY-MM-DD, YYYY-MM-DDThh:mm:ss, "+
		"or a number with one of m, h, D, W, M, Y", s)
}

func parseUnix(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > maxUnix {
		return time.Time{}, fmt.Errorf("parse time %q: more seconds than the year 9999 has", s)
	}
	return time.Unix(n, 0).UTC(), nil
}

func parseAgo(s string, current time.Time) (time.Time, error) {
	seconds, err := parseInterval(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("parse time: %w", err)
	}
	return time.Unix(current.Unix()-seconds, 0).UTC(), nil
}

// parseCalendar tries the forms that name a day.
func parseCalendar(s string) (time.Time, bool) {
	for _, layout := range [...]string{
		"2006-1-2", "2006/1/2", "1-2-2006", "1/2/2006", "20060102Z", "20060102T150405Z",
		"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00",
		"2006-01-02T15:04:05", "2006-01-02T15:04",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC().Truncate(time.Second), true
		}
	}
	return time.Time{}, false
}
