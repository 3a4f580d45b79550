package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// missing skips a test, or fails it where everything has to be there.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", what)
	}
	t.Skipf("%s is missing", what)
}

func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		missing(t, program)
	}
}

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		missing(t, "root")
	}
}

// An outcome is what a command line came to.
type outcome struct {
	code           int
	stdout, stderr string
}

// call runs a command line as typed.
func call(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := Main(t.Context(), args, strings.NewReader(stdin), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// internal runs an internal command that must succeed, and returns what it
// prints.
func internal(t *testing.T, args ...string) string {
	t.Helper()
	out := call(t, "", append([]string{"tklbam-internal"}, args...)...)
	if out.code != 0 || out.stderr != "" {
		t.Fatalf("%q: exit %d: %s", args, out.code, out.stderr)
	}
	return out.stdout
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

func TestInternalHelp(t *testing.T) {
	list := internal(t)
	for _, args := range [][]string{
		{"tklbam-internal", "--help"}, {"tklbam-internal", "-h"}, {"tklbam-internal", "help"},
		{"tklbam", "internal"}, {"tklbam", "internal", "--help"}, {"tklbam", "help", "internal"},
	} {
		if out := call(t, "", args...); out != (outcome{0, list, ""}) {
			t.Errorf("%q: %+v", args, out)
		}
	}
	for _, cmd := range internalApplet().commands {
		if !strings.Contains(list, "\n  "+cmd.name+" ") {
			t.Errorf("the list lacks %s", cmd.name)
		}
		help := internal(t, cmd.name, "--help")
		if !strings.HasPrefix(help, "Usage: tklbam-internal "+cmd.name+" ") {
			t.Errorf("%s: help begins with %.60q", cmd.name, help)
		}
		for _, args := range [][]string{
			{"tklbam-internal", "help", cmd.name}, {"tklbam-internal", cmd.name, "-h"}, {"tklbam", "internal", cmd.name, "--help"},
		} {
			if out := call(t, "", args...); out.stdout != help {
				t.Errorf("%q: %+v", args, out)
			}
		}
		if got := internal(t, cmd.name, "--version"); got != "tklbam-internal "+cmd.name+" "+Version+"\n" {
			t.Errorf("version of %s: %q", cmd.name, got)
		}
	}
}

func TestInternalUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	writeText(t, "delta", "")
	for _, c := range []struct{ line, command, word string }{
		{"nothing", "", `no command "nothing"`},
		{"help nothing", "", `no command "nothing"`},
		{"-x", "", "-x"},
		{"-- dirindex", "", "which command"},
		{"dirindex", "dirindex", "index"},
		{"dirindex index", "dirindex", "paths"},
		{"dirindex index a -b", "dirindex", "-b"},
		{"dirindex index -- -", "dirindex", `"-" is no path`},
		{"dirindex --nonsense index a", "dirindex", "--nonsense"},
		{"fixstat", "fixstat", "delta"},
		{"fixstat -s delta -/a", "fixstat", "-/a"},
		{"fixstat delta -u", "fixstat", "needs a value"},
		{"fixstat delta -u 1", "fixstat", `"1"`},
		{"fixstat delta -g 1,2:3", "fixstat", `"3"`},
		{"fixstat delta --gid-map=1,-2", "fixstat", "--gid-map"},
		{"fixstat delta --uid-map=1,4294967295", "fixstat", "--uid-map"},
		{"delete", "delete", "delta"},
		{"delete -u 1,2 delta", "delete", "-u"},
		{"merge-userdb a b c d e", "merge-userdb", "six files"},
		{"newpkgs", "newpkgs", "one or two"},
		{"newpkgs a b c", "newpkgs", "one or two"},
		{"newpkgs-install", "newpkgs-install", "packages are missing"},
		{"detect-profile-id a b", "detect-profile-id", `"b"`},
		{"create-profile a", "create-profile", "two arguments"},
	} {
		out := call(t, "", append([]string{"tklbam", "internal"}, strings.Fields(c.line)...)...)
		try := strings.TrimSpace("tklbam-internal " + c.command)
		if out.code != exitUsage || out.stdout != "" || !strings.Contains(out.stderr, c.word) ||
			!strings.HasSuffix(out.stderr, "Try \""+try+" --help\".\n") {
			t.Errorf("%q: %+v", c.line, out)
		}
	}
	names, err := filepath.Glob("*")
	must(t, err)
	if !slices.Equal(names, []string{"delta"}) {
		t.Errorf("there are now %q", names)
	}
}

func TestInternalFailures(t *testing.T) {
	t.Chdir(t.TempDir())
	writeText(t, "bad", "o\t/a\t0\t0\nx\t/b\n")
	writeText(t, "unsorted", "/b\t81a4\t0\t0\t0\t0\n/a\t81a4\t0\t0\t0\t0\n")
	writeText(t, "relative", "/etc\nusr\n")
	for line, word := range map[string]string{
		"dirindex none /etc/hostname":           "none",
		"dirindex unsorted /etc/hostname":       "out of order",
		"dirindex --create none/index /etc":     "none",
		"dirindex --create index -i relative":   "line 2",
		"dirindex --create index /etc --root=x": "x",
		"fixstat none":                          "none",
		"fixstat bad":                           "line 2",
		"delete -s bad":                         "line 2",
		"merge-userdb a b c d e f":              "a",
		"newpkgs none":                          "none",
		"newpkgs bad none":                      "none",
		"newpkgs-install -i none":               "none",
		"detect-profile-id none":                "none",
		"create-profile p none":                 "none",
		"create-profile p relative":             `"usr"`,
		"create-profile bad /dev/null":          "bad",
	} {
		out := call(t, "", append([]string{"tklbam-internal"}, strings.Fields(line)...)...)
		if out.code != exitFailure || out.stdout != "" || !strings.Contains(out.stderr, word) {
			t.Errorf("%q: %+v", line, out)
		}
	}
	names, err := filepath.Glob("*")
	must(t, err)
	if !slices.Equal(names, []string{"bad", "relative", "unsorted"}) {
		t.Errorf("there are now %q", names)
	}
}
