package progress

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0:              "0 B",
		1:              "1 B",
		999:            "999 B",
		1000:           "1.00 kB",
		1005:           "1.00 kB",
		9994:           "9.99 kB",
		9995:           "10.0 kB",
		99949:          "99.9 kB",
		99950:          "100 kB",
		999499:         "999 kB",
		999500:         "1.00 MB",
		412300000:      "412 MB",
		1400000000:     "1.40 GB",
		12345678901234: "12.3 TB",
		math.MaxInt64:  "9.22 EB",
		-1:             "-1 B",
		-1500:          "-1.50 kB",
		math.MinInt64:  "-9.22 EB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestRate(t *testing.T) {
	for rate, want := range map[float64]string{
		0:            "0 B/s",
		0.9:          "0 B/s",
		103.4e6:      "103 MB/s",
		math.Inf(1):  "0 B/s",
		math.Inf(-1): "0 B/s",
		math.NaN():   "0 B/s",
		1e30:         "0 B/s",
	} {
		if got := Rate(rate); got != want {
			t.Errorf("Rate(%v) = %q, want %q", rate, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 12345: "12,345", 123456: "123,456", 1234567: "1,234,567",
		-1: "-1", -999: "-999", -1000: "-1,000", math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
	if got := Count(len("abc")); got != "3" {
		t.Errorf("Count of an int: %q", got)
	}
}

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Hour, "0 s"},
		{0, "0 s"},
		{449 * time.Millisecond, "0.4 s"},
		{949 * time.Millisecond, "0.9 s"},
		{950 * time.Millisecond, "1 s"},
		{9 * time.Second, "9 s"},
		{59400 * time.Millisecond, "59 s"},
		{59500 * time.Millisecond, "1 min 00 s"},
		{200 * time.Second, "3 min 20 s"},
		{time.Hour - 501*time.Millisecond, "59 min 59 s"},
		{time.Hour - 500*time.Millisecond, "1 h 00 min"},
		{125 * time.Minute, "2 h 05 min"},
		{24*time.Hour - 30*time.Second, "1 d 00 h"},
		{76 * time.Hour, "3 d 04 h"},
	} {
		if got := Duration(c.d); got != c.want {
			t.Errorf("Duration(%v) = %q, want %q", c.d, got, c.want)
		}
	}
}

func TestEscape(t *testing.T) {
	for name, want := range map[string]string{
		"":                       `""`,
		"usr/share/doc/x":        "usr/share/doc/x",
		"My Documents/naïve 日本.": "My Documents/naïve 日本.",
		`dev-disk-by\x2dlabel`:   `dev-disk-by\x2dlabel`,
		`say "hi"`:               `say "hi"`,
		`"quoted"`:               `"\"quoted\""`,
		" lead":                  `" lead"`,
		"trail ":                 `"trail "`,
		"two\nlines":             `"two\nlines"`,
		"\x1b[2J\x1b]0;title\a":  `"\x1b[2J\x1b]0;title\a"`,
		"del\x7f":                `"del\x7f"`,
		"c1\u009b31m":            `"c1\u009b31m"`,
		"latin1\xe9":             `"latin1\xe9"`,
		"raw c1 \x9b":            `"raw c1 \x9b"`,
		"fdp.\u202egpj":          `"fdp.\u202egpj"`,
		"line\u2028sep":          `"line\u2028sep"`,
	} {
		if got := Escape(name); got != want {
			t.Errorf("Escape(%q) = %s, want %s", name, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		`read "a b": é`:          `read "a b": é`,
		"read \"a\": \x1b[31m\n": `read "a": \x1b[31m\n`,
		"tab\tbad\xff\\":         `tab\tbad\xff\`,
	} {
		if got := printable(text); got != want {
			t.Errorf("printable(%q) = %s, want %s", text, got, want)
		}
	}
}

// FuzzEscape: the result is printable, tells every name from every other, and
// cut to any width stays within it.
func FuzzEscape(f *testing.F) {
	for _, name := range []string{"", "a", " a", `"a`, "a\x1b[2J", "\xff\xfe", "日本語", "e\u0301", "\u202e", "a/b\\n"} {
		f.Add(name, 5)
	}
	f.Fuzz(func(t *testing.T, name string, room int) {
		escaped := Escape(name)
		if !isPrintable(escaped) || !isPrintable(printable(name)) {
			t.Errorf("%q: not printable: %q", name, escaped)
		}
		back := escaped
		if strings.HasPrefix(escaped, `"`) {
			var err error
			if back, err = strconv.Unquote(escaped); err != nil {
				t.Errorf("%q: %v", escaped, err)
			}
		}
		if back != name {
			t.Errorf("%q came back as %q", name, back)
		}
		room = min(room, 200)
		short := shorten(escaped, room)
		if columns(short) > max(room, 0) || !utf8.ValidString(short) {
			t.Errorf("shorten(%q, %d) = %q", escaped, room, short)
		}
	})
}
