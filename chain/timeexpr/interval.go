// Package timeexpr reads the times and intervals that users give: when to
// restore from, and how often to make a full backup. The forms are those of
// Duplicity's dup_time module and of TKLBAM's documentation.
package timeexpr

import (
	"fmt"
	"strconv"
)

// Seconds in the units of an interval. Months and years have a fixed length,
// as they have in Duplicity.
const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
	week   = 7 * day
	month  = 30 * day
	year   = 365 * day
)

// maxInterval is the longest interval accepted, in seconds: sums of times and
// intervals stay far from any overflow.
const maxInterval = 100_000 * year

func unitSeconds(unit byte) (int64, bool) {
	switch unit {
	case 's':
		return 1, true
	case 'm':
		return minute, true
	case 'h':
		return hour, true
	case 'D':
		return day, true
	case 'W':
		return week, true
	case 'M':
		return month, true
	case 'Y':
		return year, true
	}
	return 0, false
}

// parseInterval reads one or more pairs of number and unit, "1h30m", as a
// number of seconds.
func parseInterval(s string) (int64, error) {
	total := int64(0)
	rest := s
	for first := true; first || rest != ""; first = false {
		digits := countDigits(rest)
		if digits == 0 || digits == len(rest) {
			return 0, errorInterval(s)
		}
		unit, ok := unitSeconds(rest[digits])
		if !ok {
			return 0, errorInterval(s)
		}
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil || n > (maxInterval-total)/unit {
			return 0, fmt.Errorf("parse interval %q: longer than %d years", s, maxInterval/year)
		}
		total += n * unit
		rest = rest[digits+1:]
	}
	return total, nil
}

func errorInterval(s string) error {
	return fmt.Errorf("parse interval %q: want numbers, each with one of s, m, h, D, W, M, Y", s)
}

// countDigits returns the length of the run of decimal digits that s begins
// with.
func countDigits(s string) int {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return i
		}
	}
	return len(s)
}
