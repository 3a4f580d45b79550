package words

import (
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var wordLines = []string{
	"", " \t\n", "a", " a  b\tc\n", `/a\ b`, `"/a b" -/c`, `'/a b'c d`, `""`, `'' x`, `a""b`,
	`"a\"b" "a\\b" "a\$b" "a\` + "\n" + `b"`, `'a\b'`, `\\ \" \'`, `# no comment`, `a#b`, `"it's"`, `'say "x"'`,
	`/limits="-/root -mysql:customers"`, "a\\\nb", `x"a b"y'c d'z`, "caf\xc3\xa9 \xc3\xa9",
}

var badWordLines = []string{`"`, `'`, `a"b`, `'a "b"`, `\`, `a \`, `"\`, `"a\"`, `"a\`}

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		`/root -mysql:a  pgsql:b/c`:  {"/root", "-mysql:a", "pgsql:b/c"},
		`/path\ with\ spaces "/b c"`: {"/path with spaces", "/b c"},
		`'a\b'"c\"d\e"''`:            {`a\bc"d\e`},
		`'' ""`:                      {"", ""},
		" ":                          nil,
		"a  b\tc":                    {"a", "b", "c"},
		`a\ b 'c d' "e f"`:           {"a b", "c d", "e f"},
		`'\' "\\" "\"" "\x" \\`:      {`\`, `\`, `"`, `\x`, `\`},
		`a'b'"c"d`:                   {"abcd"},
		`$(x) ; | & *`:               {"$(x)", ";", "|", "&", "*"},
	} {
		if got, err := Split(line); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q, %v, want %q", line, got, err, want)
		}
	}
	for _, line := range badWordLines {
		if got, err := Split(line); err == nil {
			t.Errorf("%q: got %q", line, got)
		}
	}
}

// The predecessor split --limits with Python's shlex.
func TestSplitAsPythonDoes(t *testing.T) {
	needs(t, "python3")
	const script = `
import shlex, sys
for line in sys.stdin.buffer.read().split(b"\0"):
    try:
        words = shlex.split(line.decode("latin1"))
    except ValueError:
        words = ["error"]
    sys.stdout.buffer.write(b"".join(w.encode("latin1") + b"\1" for w in words) + b"\0")
`
	lines := slices.Concat(wordLines, badWordLines)
	cmd := exec.Command("python3", "-c", script)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\x00"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Split(string(out), "\x00")
	for i, line := range lines {
		got, err := Split(line)
		if err != nil {
			got = []string{"error"}
		}
		var joined strings.Builder
		for _, w := range got {
			joined.WriteString(w + "\x01")
		}
		if joined.String() != answers[i] {
			t.Errorf("%q: got %q, python says %q", line, joined.String(), answers[i])
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, line := range slices.Concat(wordLines, badWordLines) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words, err := Split(s)
		if err != nil {
			return
		}
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
		}
		again, err := Split(strings.Join(quoted, " "))
		if err != nil || !slices.Equal(words, again) {
			t.Errorf("%q is %q, but quoted and split again %q, %v", s, words, again, err)
		}
	})
}

// needs skips a test whose program is not installed, except where everything
// has to be.
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
