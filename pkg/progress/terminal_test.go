package progress

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// A screen shows what a terminal of the given width would, each rune one
// column wide. It knows only what the renderer may send, and fails the test at
// the rest and when a line would wrap.
type screen struct {
	t     *testing.T
	width int
	lines []string
	col   int
	sgr   int // colour sequences met
	wrote int // calls of Write
}

func newScreen(t *testing.T, width int) *screen {
	return &screen{t: t, width: width, lines: []string{""}}
}

func (s *screen) Write(p []byte) (int, error) {
	s.wrote++
	for rest := string(p); rest != ""; {
		rest = s.step(rest)
	}
	return len(p), nil
}

func (s *screen) step(rest string) string {
	line := &s.lines[len(s.lines)-1]
	r, n := utf8.DecodeRuneInString(rest)
	switch {
	case r == '\r':
		s.col = 0
	case r == '\n':
		s.lines = append(s.lines, "")
		s.col = 0
	case r == 0x1b:
		return s.sequence(rest)
	case !isPrintable(rest[:n]):
		s.t.Errorf("unprintable %q reached the screen", rest[:n])
	default:
		if s.col != utf8.RuneCountInString(*line) {
			s.t.Errorf("%q written over %q", rest, *line)
		}
		*line += rest[:n]
		if s.col++; s.col >= s.width {
			s.t.Errorf("%q fills %d columns", *line, s.width)
		}
	}
	return rest[n:]
}

func (s *screen) sequence(rest string) string {
	if after, ok := strings.CutPrefix(rest, "\x1b[K"); ok {
		s.lines[len(s.lines)-1] = s.lines[len(s.lines)-1][:s.col]
		return after
	}
	for _, sgr := range []string{"\x1b[1m", "\x1b[33m", "\x1b[m"} {
		if after, ok := strings.CutPrefix(rest, sgr); ok {
			s.sgr++
			return after
		}
	}
	s.t.Errorf("escape sequence in %q", rest)
	return ""
}

func (s *screen) String() string { return strings.Join(s.lines, "\n") }

func (s *screen) columns() int { return s.width }

func TestTerminal(t *testing.T) {
	scr := newScreen(t, 100)
	st := newStage(Terminal(scr, scr.columns, false))
	st.Notice("before")
	st.Phase("scanning")
	equal(t, scr.String(), "before\n")
	st.AddFiles(1)
	st.SetPath("usr/share/doc/x")
	st.pass(200 * time.Millisecond)
	equal(t, scr.String(), "before\nscanning  1 file  usr/share/doc/x")

	st.Phase("backing up")
	st.SetTotal(Total{Bytes: 1_400_000_000})
	st.AddFiles(12_341)
	st.work(4*time.Second, 103_000_000, 1)
	const status = "backing up  412 MB of 1.40 GB  29%  12,345 files  103 MB/s  10 s left"
	equal(t, scr.String(), "before\n"+status)

	st.SetPath("usr/share/doc/libnet-ssleay-perl/README")
	st.pass(0)
	equal(t, scr.String(), "before\n"+status+"  usr/share…ssleay-perl/README")

	wrote := scr.wrote
	st.Notice("a notice")
	equal(t, scr.String(), "before\na notice\n"+status+"  usr/share…ssleay-perl/README")
	if scr.wrote != wrote+1 {
		t.Error("the line was gone between two writes")
	}
	st.Warn(`skipped "a": is gone`)
	st.pass(0)
	equal(t, scr.String(), "before\na notice\nwarning: skipped \"a\": is gone\n"+status+"  1 warning  usr/s…perl/README")

	if err := st.Stop(); err != nil {
		t.Fatal(err)
	}
	equal(t, scr.String(), "before\na notice\nwarning: skipped \"a\": is gone\n")
	if scr.sgr > 0 {
		t.Error("colours were not asked for")
	}
}

func TestTerminalEstimatesAndUnknownTotals(t *testing.T) {
	scr := newScreen(t, 100)
	st := newStage(Terminal(scr, scr.columns, false))
	st.Phase("backing up")
	st.work(10*time.Second, 1_000_000, 1)
	equal(t, scr.String(), "backing up  10.0 MB  10 files  1.00 MB/s")
	st.SetTotal(Total{Bytes: 40_000_000, Files: 1000, Estimated: true})
	st.AddStored(3_000_000)
	st.AddRetry()
	st.pass(0)
	equal(t, scr.String(),
		"backing up  10.0 MB of ~40.0 MB  ~25%  10 of ~1,000 files  1.00 MB/s  30 s left  1 retry")
	scr.width = 120
	st.pass(0)
	equal(t, scr.String(),
		"backing up  10.0 MB of ~40.0 MB  ~25%  10 of ~1,000 files  1.00 MB/s  30 s left  3.00 MB stored  1 retry")
	st.AddBytes(90_000_000)
	st.pass(0)
	if got := scr.String(); !strings.HasPrefix(got, "backing up  100 MB of ~40.0 MB  ~100%") || strings.Contains(got, "left") {
		t.Errorf("beyond the total: %q", got)
	}
}

// TestTerminalWidths narrows the terminal with the line on it.
func TestTerminalWidths(t *testing.T) {
	scr := newScreen(t, 0)
	st := newStage(Terminal(scr, scr.columns, true))
	st.Phase("backing up")
	st.SetTotal(Total{Bytes: 1_400_000_000})
	st.SetPath("usr/share/doc/libnet-ssleay-perl/examples/README")
	scr.width = 1000
	st.work(4*time.Second, 103_000_000, 3086)
	for _, c := range []struct {
		width int
		want  string
	}{
		{200, "backing up  412 MB of 1.40 GB  29%  12,344 files  103 MB/s  10 s left  usr/share/doc/libnet-ssleay-perl/examples/README"},
		{100, "backing up  412 MB of 1.40 GB  29%  12,344 files  103 MB/s  10 s left  usr/share…rl/examples/README"},
		{83, "backing up  412 MB of 1.40 GB  29%  12,344 files  103 MB/s  10 s left"},
		{70, "backing up  412 MB of 1.40 GB  29%  12,344 files  103 MB/s  10 s left"},
		{69, "backing up  412 MB of 1.40 GB  29%  103 MB/s  10 s left"},
		{40, "backing up  29%  103 MB/s  10 s left"},
		{20, "backing up  29%"},
		{11, "backing up"},
		{10, "ba…ing up"},
		{2, "…"},
		{1, ""},
	} {
		scr.width = c.width
		scr.lines = []string{""}
		st.pass(0)
		equal(t, scr.String(), c.want)
	}
	if scr.sgr == 0 {
		t.Error("colours were asked for")
	}
}

func TestTerminalUnknownWidth(t *testing.T) {
	scr := newScreen(t, 80)
	st := newStage(Terminal(scr, func() int { return 0 }, false))
	st.Phase("restoring")
	st.SetPath(strings.Repeat("long/", 100))
	st.pass(0)
	if n := utf8.RuneCountInString(scr.String()); n != 79 {
		t.Errorf("%d columns of 80 used", n)
	}
}

// TestTerminalHostile sends what must not reach the terminal through every
// door; the screen fails at anything but the renderer's own sequences.
func TestTerminalHostile(t *testing.T) {
	const hostile = "\x1b[2J\x1b]0;owned\a\r\n\b\x9b31m\u009b\u202e\xff\x00"
	for width := range 120 {
		scr := newScreen(t, 1000)
		st := newStage(Terminal(scr, func() int { return width }, true))
		st.Phase(hostile)
		st.SetPath(hostile)
		st.pass(0)
		st.Notice(hostile)
		st.Warn(hostile)
		if len(scr.lines) != 3 {
			t.Fatalf("messages of one line each made %q", scr.lines)
		}
	}
}

// TestWideCharacters: a line of wide characters, each two columns, fits too.
func TestWideCharacters(t *testing.T) {
	for width := 14; width < 60; width++ {
		var out strings.Builder
		st := newStage(Terminal(&out, func() int { return width }, false))
		st.Phase("x")
		st.SetPath(strings.Repeat("日本", 50))
		st.pass(0)
		line := out.String()[strings.LastIndex(out.String(), "\x1b[K")+3:]
		taken := 0
		for _, r := range line {
			taken++
			if r == '日' || r == '本' {
				taken++
			}
		}
		if taken >= width {
			t.Errorf("%d columns in %d: %q", taken, width, line)
		}
	}
}

func TestLines(t *testing.T) {
	scr := newScreen(t, 80)
	st := newStage(Terminal(scr, scr.columns, false))
	st.Phase("restoring")
	st.pass(0)
	out := st.Lines(scr)
	fmt.Fprint(out, "chmod 0755 a\nchown ")
	equal(t, scr.String(), "chmod 0755 a\n")
	st.pass(0)
	equal(t, scr.String(), "chmod 0755 a\nrestoring")
	fmt.Fprint(out, "-h u:g b\n")
	st.Notice("n") // the line stays away until its time comes
	equal(t, scr.String(), "chmod 0755 a\nchown -h u:g b\nn\n")
	st.pass(0)
	if err := st.Stop(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(out, "after\nrest")
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	equal(t, scr.String(), "chmod 0755 a\nchown -h u:g b\nn\nafter\nrest")
}

func TestLinesWithoutEnd(t *testing.T) {
	var out strings.Builder
	w := new(Meter).Lines(&out)
	chunk := strings.Repeat("x", 1000)
	for range 100 {
		fmt.Fprint(w, chunk)
	}
	if n := out.Len(); n <= longestLine || n > longestLine+1000 {
		t.Errorf("%d bytes of an endless line passed on", n)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if out.String() != strings.Repeat(chunk, 100) {
		t.Errorf("%d of 100000 bytes came out", out.Len())
	}
}

func TestLinesKeepTheError(t *testing.T) {
	w := new(Meter).Lines(brokenWriter{})
	if _, err := w.Write([]byte("x\n")); err != errBroken {
		t.Error("write:", err)
	}
	if _, err := w.Write([]byte("x")); err != errBroken {
		t.Error("write again:", err)
	}
	if err := w.Close(); err != errBroken {
		t.Error("close:", err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }
