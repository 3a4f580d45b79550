package timeexpr

import (
	"strings"
	"testing"
	"time"
)

func current() time.Time {
	return time.Date(2010, 8, 31, 12, 0, 0, 999, time.FixedZone("", 3600)) // 11:00 UTC
}

func TestParse(t *testing.T) {
	tests := map[string]string{
		"now":                       "2010-08-31T11:00:00Z",
		"2010-08-06":                "2010-08-06T00:00:00Z",
		"2010-8-6":                  "2010-08-06T00:00:00Z",
		"2010/08/06":                "2010-08-06T00:00:00Z",
		"8/6/2010":                  "2010-08-06T00:00:00Z",
		"08-06-2010":                "2010-08-06T00:00:00Z",
		"20100806Z":                 "2010-08-06T00:00:00Z",
		"2010-08-07T14:00":          "2010-08-07T14:00:00Z",
		"2010-08-07T14:00Z":         "2010-08-07T14:00:00Z",
		"2010-08-07T14:00+02:00":    "2010-08-07T12:00:00Z",
		"2010-08-07T14:00:59":       "2010-08-07T14:00:59Z",
		"2010-08-07T14:00:59Z":      "2010-08-07T14:00:59Z",
		"2010-08-07T14:00:59-03:30": "2010-08-07T17:30:59Z",
		"2010-08-07T14:00:59.9":     "2010-08-07T14:00:59Z",
		"20100807T140059Z":          "2010-08-07T14:00:59Z",
		"1281189600":                "2010-08-07T14:00:00Z",
		"0":                         "1970-01-01T00:00:00Z",
		"253402300799":              "9999-12-31T23:59:59Z",
		"30s":                       "2010-08-31T10:59:30Z",
		"6m":                        "2010-08-31T10:54:00Z",
		"5h":                        "2010-08-31T06:00:00Z",
		"4D":                        "2010-08-27T11:00:00Z",
		"3W":                        "2010-08-10T11:00:00Z",
		"2M":                        "2010-07-02T11:00:00Z",
		"1Y":                        "2009-08-31T11:00:00Z",
		"1h30m":                     "2010-08-31T09:30:00Z",
		"0D":                        "2010-08-31T11:00:00Z",
		"0D0h1m":                    "2010-08-31T10:59:00Z",
	}
	for s, want := range tests {
		got, err := Parse(s, current())
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("Parse(%q) = %v, %v, want %s", s, got, err, want)
		}
		if got.Nanosecond() != 0 || got.Location() != time.UTC {
			t.Errorf("Parse(%q) = %v, want whole seconds in UTC", s, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]string{
		"":                       "want YYYY-MM-DD",
		"yesterday":              "want YYYY-MM-DD",
		"2010-02-30":             "want YYYY-MM-DD",
		"2010-08-07 14:00":       "want YYYY-MM-DD",
		"2010-08-07T25:00":       "want YYYY-MM-DD",
		"2010-08-07T14:00+0200":  "want YYYY-MM-DD",
		"13/1/2010":              "want YYYY-MM-DD",
		"-5h":                    "want YYYY-MM-DD",
		"5x":                     "want YYYY-MM-DD",
		"5h3":                    "want numbers",
		"5hh":                    "want numbers",
		"5h 3m":                  "want numbers",
		"1h99999999999999999999": "want numbers",
		"253402300800":           "year 9999",
		"99999999999999999999":   "year 9999",
		"100001Y":                "longer than 100000 years",
		"100000Y1s":              "longer than 100000 years",
		"99999999999999999999D":  "longer than 100000 years",
	}
	for s, want := range tests {
		if got, err := Parse(s, current()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, %v, want %q", s, got, err, want)
		}
	}
}

func TestFrequency(t *testing.T) {
	tests := map[string]int64{
		"now": 0, "0m": 0, "5m": 300, "12h": 43200, "1D": 86400, "2W": 14 * 86400,
		"1M": 30 * 86400, "1Y": 365 * 86400, "1W12h": 7*86400 + 43200, "9999Y": 9999 * 365 * 86400,
	}
	for s, want := range tests {
		f, err := ParseFrequency(s)
		if err != nil || f.Seconds() != want || f.String() != s || f.Now() != (s == "now") {
			t.Errorf("ParseFrequency(%q) = %v of %d seconds, %v, want %d", s, f, f.Seconds(), err, want)
		}
	}
	if f := (Frequency{}); f.String() != "now" || !f.Now() {
		t.Errorf("the zero value is %v", f)
	}
	for _, s := range []string{"", "Now", "M", "1", "1d", "30s", "1m30s", "1M ", " 1M", "1.5D", "-1D", "100001Y"} {
		if f, err := ParseFrequency(s); err == nil || !strings.Contains(err.Error(), "parse frequency") {
			t.Errorf("ParseFrequency(%q) = %v, %v", s, f, err)
		}
	}
}

// A time that was read can be written as RFC 3339 and read again, years that
// format has no room for aside.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"now", "2010-08-07T14:00", "2010-08-07T14:00:59-03:30", "1h30m", "1281189600", "8/6/2010"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Parse(s, current())
		if err != nil {
			return
		}
		if got.Year() < 0 || got.Year() > 9999 {
			return
		}
		again, err := Parse(got.Format(time.RFC3339), current())
		if err != nil || again != got {
			t.Fatalf("Parse(%q) = %v, which reads as %v, %v", s, got, again, err)
		}
	})
}
