package limit_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"tklbam/backends/limit"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]limit.Rate{
		"off": limit.Unlimited, "OFF": limit.Unlimited, "0": limit.Unlimited, "0M": limit.Unlimited,
		"1": 1 << 10, "666": 666 << 10, "1B": 1, "100b": 100,
		"1k": 1 << 10, "1K": 1 << 10, "1Ki": 1 << 10, "1KiB": 1 << 10, "1kib": 1 << 10,
		"2M": 2 << 20, "1.5M": 3 << 19, "0.5k": 512, "1.5": 1536, "3G": 3 << 30, "1T": 1 << 40, "1P": 1 << 50,
		"1.3k": 1331, "1024P": 1 << 60,
	} {
		if got, err := limit.ParseRate(text); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "M", "-1", "+1", "1 M", "1kB", "1KB", "1MB", "1kbit", "1Bi", "1.M", ".5M", "1e3", "0x10", "1_000", "inf", "NaN",
		"1M:2M", "off:1M", "0.0001B", "1025P", "999999999999999P", "9999999999999999", "1,5M", "1M\n", "unlimited",
	} {
		if got, err := limit.ParseRate(text); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}

func TestParseSchedule(t *testing.T) {
	for text, want := range map[string]string{
		"1M": "1M", " 512 ": "512k", "off": "off", "0": "off",
		"08:00,512 12:00,10M 23:00,off": "08:00,512k 12:00,10M 23:00,off",
		"mon-08:00,1M":                  "Mon-08:00,1M",
		"Sunday-08:00,1M;SAT-9:30,2M":   "", // rclone wants two digits
		"Sunday-08:00,1M;SAT-09:30,2M":  "Sun-08:00,1M Sat-09:30,2M",
		" 08:00,1M   ; 09:00,1.5M ":     "08:00,1M 09:00,1536k",
		"08:00,1M":                      "1M",
		"":                              "", ",": "", " , ": "", ";": "", "1M 2M": "", "08:00,1M 2M": "", "24:00,1M": "", "08:60,1M": "",
		"8:00,1M": "", "0800,1M": "", "08:00,": "", "08:00,1M,2M": "", "08:00,1M:2M": "", "Mo-08:00,1M": "",
		"Mon-Tue-08:00,1M": "", "-08:00,1M": "", "Mon-,1M": "", "08:00,x": "", "1M:off": "",
	} {
		s, err := limit.ParseSchedule(text)
		if (err == nil) != (want != "") || err == nil && s.String() != want {
			t.Errorf("%q is read as %q, %v, want %q", text, s, err, want)
		}
	}
	if s := (limit.Schedule{}).String(); s != "off" {
		t.Errorf("no schedule reads %q", s)
	}
}

// monday returns a time in a week that begins with a Monday.
func monday(days, hour, minute int) time.Time {
	return time.Date(2026, 6, 1+days, hour, minute, 59, 0, time.UTC)
}

func TestAt(t *testing.T) {
	for _, c := range []struct {
		schedule string
		at       time.Time
		want     string
	}{
		{"1M", monday(0, 3, 0), "1M"},
		{"off", monday(0, 3, 0), "off"},
		{"12:00,2M", monday(0, 3, 0), "2M"},
		{"08:00,1M 18:00,2M", monday(0, 7, 59), "2M"},
		{"08:00,1M 18:00,2M", monday(0, 8, 0), "1M"},
		{"08:00,1M 18:00,2M", monday(0, 17, 59), "1M"},
		{"08:00,1M 18:00,2M", monday(0, 18, 0), "2M"},
		{"18:00,2M 08:00,1M", monday(0, 7, 0), "2M"}, // the order of the text is no matter
		{"Mon-00:00,1M Fri-18:00,off", monday(0, 0, 0), "1M"},
		{"Mon-00:00,1M Fri-18:00,off", monday(4, 17, 59), "1M"},
		{"Mon-00:00,1M Fri-18:00,off", monday(4, 18, 0), "off"},
		{"Mon-00:00,1M Fri-18:00,off", monday(6, 23, 59), "off"},
		{"Tue-10:00,1M Thu-10:00,2M", monday(0, 0, 0), "2M"},
		{"12:00,1M Sun-20:00,off", monday(6, 19, 0), "1M"},
		{"12:00,1M Sun-20:00,off", monday(6, 21, 0), "off"},
		{"12:00,1M Sun-20:00,off", monday(7, 11, 59), "off"},
		{"12:00,1M Sun-20:00,off", monday(7, 12, 0), "1M"},
		{"12:00,1M 12:00,2M", monday(0, 13, 0), "2M"},
		{"Mon-12:00,2M 12:00,1M", monday(0, 13, 0), "1M"},
	} {
		s := schedule(t, c.schedule)
		if got := s.At(c.at).String(); got != c.want {
			t.Errorf("%q on %s: %s, want %s", c.schedule, c.at.Format("Mon 15:04"), got, c.want)
		}
	}
	if got := (limit.Schedule{}).At(monday(0, 0, 0)); got != limit.Unlimited {
		t.Errorf("no schedule limits to %s", got)
	}
}

// FuzzParseSchedule: what is read is printed in a form that reads the same,
// and each rate holds from its minute on.
func FuzzParseSchedule(f *testing.F) {
	for _, text := range []string{"off", "1.3k", "08:00,512k 12:00,10M 23:00,off", "Mon-00:00,512;sat-10:00,1B", "10:00,1 Tue-10:00,2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := limit.ParseSchedule(text)
		if err != nil {
			return
		}
		again, err := limit.ParseSchedule(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q is printed as %q, which is read as %q, %v", text, s, again, err)
		}
		for minute := 0; minute < 7*24*60; minute += 7 {
			at := monday(0, 0, minute)
			if a, b := s.At(at), again.At(at); a != b || a < 0 {
				t.Fatalf("%q at %s: %d, as %q %d", text, at, a, s, b)
			}
		}
		fields := strings.FieldsFunc(s.String(), func(r rune) bool { return r == ' ' })
		last := fields[len(fields)-1]
		when, rate, ok := strings.Cut(last, ",")
		if !ok {
			return
		}
		at, err := time.Parse("15:04", when[len(when)-5:])
		if err != nil {
			t.Fatal(err)
		}
		for days := range 7 {
			now := monday(days, at.Hour(), at.Minute())
			if strings.Contains(when, "-") && !strings.HasPrefix(when, now.Weekday().String()[:3]) {
				continue
			}
			if got := s.At(now).String(); got != rate {
				t.Fatalf("%q on %s: %s, want %s", s, now, got, rate)
			}
		}
	})
}

// needs skips a test where a program it needs is absent, or fails it in CI.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
}

func TestRatesOfRclone(t *testing.T) {
	needs(t, "rclone")
	for _, text := range []string{"666", "10b", "1k", "1KiB", "1.5M", "1.3k", "2Gi", "off", "1kB", "1MB", "x"} {
		out, err := exec.CommandContext(t.Context(), "rclone", "rc", "--loopback", "core/bwlimit", "rate="+text).Output()
		got, gotErr := limit.ParseRate(text)
		if (err == nil) != (gotErr == nil) {
			t.Errorf("%q: rclone says %v, we say %v", text, err, gotErr)
		}
		if err != nil {
			continue
		}
		var answer struct{ BytesPerSecond int64 }
		if err := json.Unmarshal(out, &answer); err != nil {
			t.Fatal(err)
		}
		if want := max(answer.BytesPerSecond, 0); int64(got) != want {
			t.Errorf("%q: %d, rclone has %d", text, got, want)
		}
	}
}

func TestTimetablesOfRclone(t *testing.T) {
	needs(t, "rclone")
	starting := regexp.MustCompile(`limiter at (\d+[KMG])i`)
	for _, text := range []string{
		"00:00,1M 06:00,2M 12:00,3M 18:00,4M",
		"Sun-00:00,1M Mon-00:00,2M Tue-00:00,3M Wed-00:00,4M Thu-00:00,5M Fri-00:00,6M Sat-00:00,7M",
		"Sun-00:01,1M 12:00,3M",
	} {
		s := schedule(t, text)
		before := s.At(time.Now())
		out, err := exec.CommandContext(t.Context(), "rclone", "--bwlimit", text, "-v", "lsf", t.TempDir()).CombinedOutput()
		m := starting.FindStringSubmatch(string(out))
		if err != nil || m == nil {
			t.Fatalf("run rclone: %v\n%s", err, out)
		}
		if after := s.At(time.Now()); m[1] != before.String() && m[1] != after.String() {
			t.Errorf("%q now: %s, rclone has %s", text, after, m[1])
		}
	}
}
