package limit

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A Rate is a number of bytes a second.
type Rate int64

// Unlimited is no limit.
const Unlimited Rate = 0

// units are the letters behind a number, in steps of 1024.
const units = "bkmgtp"

var rateForm = regexp.MustCompile(`^([0-9]{1,15}(?:\.[0-9]{1,9})?)(?:(b)|([kmgtp])(?:i|ib)?)?$`)

// maxRate is far above any network, and far below what an int64 holds.
const maxRate = 1 << 60

// ParseRate reads a rate as rclone does: a number with a unit behind it, all
// of them powers of 1024 (k, M, G, T or P, with "i" or "iB" if one likes), or
// "B" for bytes. A number without a unit counts KiB, as for rclone and restic
// (for curl it would be bytes). "off" and 0 are no limit. "kB", "MB" and the
// like are refused, since one takes them for 1000 and another for 1024.
func ParseRate(text string) (Rate, error) {
	lower := strings.ToLower(text)
	if lower == "off" {
		return Unlimited, nil
	}
	m := rateForm.FindStringSubmatch(lower)
	if m == nil {
		return 0, fmt.Errorf("%.20q is no rate: it takes a number with B, k, M or G behind it, or off", text)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, err
	}
	unit := m[2] + m[3]
	if unit == "" {
		unit = "k"
	}
	n *= float64(int64(1) << (10 * strings.Index(units, unit)))
	switch {
	case n > maxRate:
		return 0, fmt.Errorf("the rate %q is too large", text)
	case n > 0 && n < 1:
		return 0, errors.New("the rate is below a byte a second")
	}
	return Rate(n), nil
}

// String returns the rate in the form that ParseRate reads, in the largest
// unit that shows it exactly.
func (r Rate) String() string {
	if r == Unlimited {
		return "off"
	}
	names := [...]string{"B", "k", "M", "G", "T", "P"}
	unit := 0
	for ; r%1024 == 0 && unit < len(names)-1; unit++ {
		r /= 1024
	}
	return strconv.FormatInt(int64(r), 10) + names[unit]
}
