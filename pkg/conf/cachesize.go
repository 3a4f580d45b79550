package conf

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// A CacheSize is a size in bytes or a share of the free space.
type CacheSize struct {
	Percent int   // of the free space, to 100; 0 when Bytes counts
	Bytes   int64 // a multiple of 1 MB
}

const (
	megabyte = 1 << 20
	gigabyte = 1 << 30
)

var cacheSize = regexp.MustCompile(`^([0-9]+)(%|mb?|gb?)?$`)

// ParseCacheSize reads a number with "%", "M", "MB", "G" or "GB" behind it, in
// either case. A bare number counts megabytes.
func ParseCacheSize(s string) (CacheSize, error) {
	m := cacheSize.FindStringSubmatch(strings.ToLower(s))
	if m == nil {
		return CacheSize{}, errors.New("it is not a number with %, MB or GB behind it")
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return CacheSize{}, errors.New("the number is too large")
	}
	if m[2] == "%" {
		if n > 100 {
			return CacheSize{}, errors.New("it is more than 100%")
		}
		return CacheSize{Percent: int(n)}, nil
	}
	unit := int64(megabyte)
	if strings.HasPrefix(m[2], "g") {
		unit = gigabyte
	}
	if n > math.MaxInt64/unit {
		return CacheSize{}, errors.New("the number is too large")
	}
	return CacheSize{Bytes: n * unit}, nil
}

// String returns the size in the form that ParseCacheSize reads.
func (s CacheSize) String() string {
	switch {
	case s.Percent > 0:
		return fmt.Sprintf("%d%%", s.Percent)
	case s.Bytes > 0 && s.Bytes%gigabyte == 0:
		return fmt.Sprintf("%dGB", s.Bytes/gigabyte)
	}
	return fmt.Sprintf("%dMB", s.Bytes/megabyte)
}

// Of returns the size in bytes where free bytes of space are left.
func (s CacheSize) Of(free int64) int64 {
	if s.Percent > 0 {
		return free/100*int64(s.Percent) + free%100*int64(s.Percent)/100
	}
	return s.Bytes
}
