package timeexpr

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// script prints, for each line of standard input, the Unix time Duplicity
// reads there, or "refused".
const script = `
import sys
from duplicity import dup_time
dup_time.setcurtime(1283252400)
for line in sys.stdin:
    try:
        print(dup_time.genstrtotime(line.rstrip("\n")))
    except dup_time.TimeException:
        print("refused")
`

func TestReadLikeStock(t *testing.T) {
	words := []string{
		"now", "2010-08-06", "2010-8-6", "2010/08/06", "8/6/2010", "08-06-2010", "20100806Z",
		"2010-08-07T14:00:59", "2010-08-07T14:00:59Z", "2010-08-07T14:00:59+02:00", "20100807T140059Z",
		"1281189600", "30s", "6m", "5h", "4D", "3W", "2M", "1Y", "1h30m", "0D0h1m", "2010-02-28",
		"5h3", "5x", "yesterday", "13/1/2010", "-5h", "2010-08-07T25:00:00", "2010-08-07 14:00:00",
	}
	python := stockPython(t)
	cmd := exec.Command(python, "-c", script)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	cmd.Stdin = strings.NewReader(strings.Join(words, "\n"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", python, err)
	}
	answers := strings.Fields(string(out))
	if len(answers) != len(words) {
		t.Fatalf("%d answers to %d questions", len(answers), len(words))
	}
	for i, s := range words {
		ours := "refused"
		if got, err := Parse(s, time.Unix(1283252400, 0)); err == nil {
			ours = strconv.FormatInt(got.Unix(), 10)
		}
		if ours != answers[i] {
			t.Errorf("%q: we read %s, stock %s", s, ours, answers[i])
		}
	}
}

// stockPython returns the interpreter that has Duplicity's modules: the one
// its program is run by.
func stockPython(t *testing.T) string {
	t.Helper()
	program := needs(t, "duplicity")
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	python, ok := strings.CutPrefix(line, "#!")
	if !ok {
		t.Skipf("%s is not a script", program)
	}
	return python
}

// needs returns the path of a program without which the test has no oracle.
func needs(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
	return ""
}
