package progress

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bytes returns n in three significant figures and decimal units: "999 B",
// "1.40 GB", "412 MB".
func Bytes(n int64) string {
	if -1000 < n && n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		v /= 1000
		if math.Abs(v) < 999.5 {
			break
		}
	}
	return threeFigures(v) + " " + unit
}

// threeFigures formats 1 <= |v| < 999.5. The bounds lie where rounding would
// yield a fourth figure.
func threeFigures(v float64) string {
	decimals := 0
	switch a := math.Abs(v); {
	case a < 9.995:
		decimals = 2
	case a < 99.95:
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// Rate returns a rate in bytes per second as "103 MB/s"; one that is no
// number or beyond all measure is "0 B/s".
func Rate(bytesPerSecond float64) string {
	if !(math.Abs(bytesPerSecond) < math.MaxInt64) { // true of NaN as well
		bytesPerSecond = 0
	}
	return Bytes(int64(bytesPerSecond)) + "/s"
}

// Count returns n with a comma at every thousand: "12,345".
func Count[N int | int64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// Duration returns d in its two largest units: "0.4 s", "9 s", "3 min 20 s",
// "2 h 05 min", "3 d 04 h". A negative d counts as zero.
func Duration(d time.Duration) string {
	switch {
	case d <= 0:
		return "0 s"
	case d < 950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d.Round(time.Second) < time.Minute:
		return fmt.Sprintf("%d s", d.Round(time.Second)/time.Second)
	case d.Round(time.Second) < time.Hour:
		return pair(d, time.Minute, "min", time.Second, "s")
	case d.Round(time.Minute) < 24*time.Hour:
		return pair(d, time.Hour, "h", time.Minute, "min")
	}
	return pair(d, 24*time.Hour, "d", time.Hour, "h")
}

func pair(d, big time.Duration, bigName string, small time.Duration, smallName string) string {
	d = d.Round(small)
	return fmt.Sprintf("%d %s %02d %s", d/big, bigName, d%big/small, smallName)
}

// Escape returns a file name in a form that is safe and unmistakable on a
// terminal and in a log: the name itself when all of it is printable, else
// quoted as a Go string with \n, \x1b, \u202e and the like, bytes that are no
// UTF-8 as \xHH. Quoted are also names that begin with a quote, begin or end
// with a space, or are empty; so a result that begins with a quote is always
// quoted, and [strconv.Unquote] gives the name back.
func Escape(name string) string {
	if name != "" && name[0] != '"' && strings.Trim(name, " ") == name && isPrintable(name) {
		return name
	}
	return strconv.Quote(name)
}

// printable returns text with only what is not printable escaped: it stays
// one line and cannot steer a terminal.
func printable(text string) string {
	if isPrintable(text) {
		return text
	}
	var b strings.Builder
	for text != "" {
		_, n := utf8.DecodeRuneInString(text)
		if char := text[:n]; isPrintable(char) {
			b.WriteString(char)
		} else {
			quoted := strconv.Quote(char)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[n:]
	}
	return b.String()
}

func isPrintable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}
