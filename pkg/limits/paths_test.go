package limits

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func parseList(t testing.TB, limits ...string) List {
	t.Helper()
	list, err := ParseAll(limits)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestPathsMatch(t *testing.T) {
	for _, c := range []struct {
		limits  string
		in, out string
	}{
		{"", "/ /a /a/b", ""},
		{"mysql:db", "/ /a", ""},
		{"/a", "/a /a/b /a/b/c", "/ /b /ab /a.b"},
		{"-/a", "/ /b /ab", "/a /a/b"},
		{"/a -/a/b /a/b/c", "/a /a/x /a/b/c /a/b/c/d", "/a/b /a/b/x /x"},
		{"-/a/b /a", "/a /a/x", "/a/b /x"},
		{"/a -/a", "", "/ /a /a/b /x"},
		{"-/a /a", "/a /a/b", "/ /x"},
		{"/", "/ /a /a/b", ""},
		{"-/", "", "/ /a /a/b"},
		{"-/ /a", "/a /a/b", "/ /b"},
		{"/ -/proc", "/ /a", "/proc /proc/1"},
		{"-/var/www/*/logs", "/var/www /var/www/x /var/www/logs /var/www/x/y/logs /var/www/.x/logs", "/var/www/x/logs /var/www/x/logs/1"},
		{"/var/www/*/logs", "/var/www/x/logs /var/www/x/logs/1", "/var /var/www /var/www/x /var/www/x/data"},
		{"/home -/home/* /home/al*", "/home /home/alice /home/al/x /home/.hidden", "/home/bob /home/bob/x"},
		{"/home -/home/al* /home/alice", "/home/alice /home/alice/x /home/bob", "/home/albert"},
		{"/home/alice -/home/al*", "", "/home/alice /home/alice/x"},
		{"/srv/*/a -/srv/x/*", "/srv/y/a /srv/y/a/b", "/srv/x/a /srv/x/b"},
		{"-/srv/x/* /srv/*/a", "/srv/x/a", "/srv/x/b"},
		{"/*/*/c -/a/b", "/a/b/c /x/y/c/z", "/a/b /a/b/x"},
		{"-/a/[bc]", "/a/d /a/[bc]", "/a/b /a/c/x"},
		{`-/a\*`, `/a /a* /ab`, `/a\ /a\x`},
	} {
		p := parseList(t, strings.Fields(c.limits)...).Paths()
		for _, want := range []bool{true, false} {
			paths := c.in
			if !want {
				paths = c.out
			}
			for _, name := range strings.Fields(paths) {
				if got := p.Match(name); got != want {
					t.Errorf("limits %q: Match(%q) = %v", c.limits, name, got)
				}
				if got := p.Match(strings.TrimPrefix(name, "/")); got != want {
					t.Errorf("limits %q: Match(%q) without its slash = %v", c.limits, name, got)
				}
			}
		}
	}
}

func TestPathsMayContain(t *testing.T) {
	for _, c := range []struct {
		limits  string
		in, out string
	}{
		{"", "/ /a", ""},
		{"-/a", "/ /b", "/a /a/b"},
		{"/a/b/c", "/ /a /a/b /a/b/c /a/b/c/d", "/x /a/x /a/b/x"},
		{"-/ /a/b", "/ /a /a/b", "/b /a/c"},
		{"-/a /a/b/c", "/ /a /a/b /a/b/c/d", "/a/x /a/b/x /x"},
		{"/srv/*/data", "/ /srv /srv/x /srv/x/data/y", "/var /srv/.x /srv/x/other"},
		{"/a -/a/b", "/ /a", "/a/b /a/b/c"},
		{"/a/b -/a/b", "", "/ /a /a/b"},
	} {
		p := parseList(t, strings.Fields(c.limits)...).Paths()
		for _, dir := range strings.Fields(c.in) {
			if !p.MayContain(dir) {
				t.Errorf("limits %q: MayContain(%q) = false", c.limits, dir)
			}
		}
		for _, dir := range strings.Fields(c.out) {
			if p.MayContain(dir) {
				t.Errorf("limits %q: MayContain(%q) = true", c.limits, dir)
			}
		}
	}
}

func TestPathsRoots(t *testing.T) {
	for limits, want := range map[string]string{
		"":                            "/",
		"-/a":                         "/",
		"mysql:x":                     "/",
		"/":                           "/",
		"/ /a":                        "/",
		"/b /a":                       "/a /b",
		"/a /a/b /a.b":                "/a /a.b",
		"/a/b/c /a/b -/a":             "/a/b",
		"/srv/*/data /var/lib":        "/srv /var/lib",
		"/srv/*/data /srv/x":          "/srv",
		"/*":                          "/",
		"/x -/srv/*/data":             "/x",
		"/a -/a":                      "",
		"/a/b/*.x /a/c -/a/* /a/b/.x": "/a/b /a/c",
	} {
		got := parseList(t, strings.Fields(limits)...).Paths().Roots()
		if strings.Join(got, " ") != want {
			t.Errorf("limits %q: roots %q, want %q", limits, got, want)
		}
	}
}

func TestMatchName(t *testing.T) {
	for _, c := range []struct {
		pattern string
		in, out string
	}{
		{"*", "a ab é \xff", ".a ."},
		{".*", ".a . ..", "a"},
		{"?", "a é \xff", "ab .  \xff\xff"},
		{"a*", "a ab a.b a*", "ba A"},
		{"*.log", "a.log a.b.log", "log .log a.log.1"},
		{"*a*b*c", "abc xaxbxc aabbcc abcabc", "ab acb abcx"},
		{"[abc]", "a b c", "d ab ["},
		{"[a-cx-z]?", "ab x1 c\xff", "a d1 -1"},
		{"[!a-c]", "d é ! \xff", "a b"},
		{"[^a]", "^ a", "b"},
		{"[]]", "]", "[ []]"},
		{"[!]]", "[ a", "]"},
		{"[]-a]", "] ^ _ ` a", "b -"},
		{"[a-]", "a -", "b"},
		{"[-a]", "a -", "b"},
		{"[z-a]", "", "z a m -"},
		{"[à-é]", "à é", "a ê"},
		{"[", "[", "a"},
		{"[!", "[!", "a !"},
		{"a[b", "a[b", "ab"},
		{"[]", "[]", "a ]"},
		{"*[", "a[ [", "a"},
		{`\*`, `\ \a`, `*`},
		{"[.]a", "", ".a"},
		{"caf\xe9*", "caf\xe9 caf\xe9s", "caf\xe8 caf\xe8s café"},
	} {
		for _, name := range strings.Split(c.in, " ") {
			if name != "" && !matchName(c.pattern, name) {
				t.Errorf("%q does not match %q", c.pattern, name)
			}
		}
		for _, name := range strings.Split(c.out, " ") {
			if name != "" && matchName(c.pattern, name) {
				t.Errorf("%q matches %q", c.pattern, name)
			}
		}
	}
}

func TestMatchNameIsNotExponential(t *testing.T) {
	pattern := strings.Repeat("*a", 100) + "b"
	if matchName(pattern, strings.Repeat("a", 10_000)) {
		t.Error("matched")
	}
}

// The predecessor expanded globs on disk with Python's glob.
func TestGlobsAsPythonDoes(t *testing.T) {
	needs(t, "python3")
	dir := t.TempDir()
	var tree []string
	for _, name := range []string{
		"a", "b", "ab", "A", ".a", ".b", "a.log", "b.log", ".log", "a b", "[", "]", "[a]", "a[b", "!", "^", "-",
		`a\b`, `\`, "a*", "a?", "..a", "x1", "x2", "x10", "é", "log",
	} {
		for _, below := range []string{"a", "logs", ".h"} {
			file := filepath.Join(dir, name, below)
			if err := os.MkdirAll(file, 0o700); err != nil {
				t.Fatal(err)
			}
			tree = append(tree, file)
		}
		tree = append(tree, filepath.Join(dir, name))
	}
	patterns := []string{
		"*", ".*", "?", "a*", "*a*", "*.log", ".l*", "[ab]", "[!ab]", "[^a]", "[]]", "[!]]", "[a", "a[b", "[[]a]",
		"x[0-9]", "x?", "x*", `a\*`, `\*`, "a[*]", "a[?]", "[a-]", "*/a", "a/*", "*/.h", "*/.*", "?/l*", "[a-c]*/logs",
		"a*/?", ".*/*", "[!a-z]", "[A-Z]*", "*b*", "**", "é*",
	}
	for i, expanded := range expandWithPython(t, dir, patterns) {
		p := parseList(t, dir+"/"+patterns[i]).Paths()
		for _, file := range tree {
			want := slices.Contains(expanded, file) || slices.Contains(expanded, path.Dir(file))
			if got := p.Match(file); got != want {
				t.Errorf("%q: Match(%q) = %v, python says %v", patterns[i], file[len(dir):], got, want)
			}
		}
	}
}

// expandWithPython returns what each pattern below dir expands to.
func expandWithPython(t *testing.T, dir string, patterns []string) [][]string {
	t.Helper()
	const script = `
import glob, sys
for pattern in sys.argv[2:]:
    print("\0".join(glob.glob(sys.argv[1] + "/" + pattern)))
`
	out, err := exec.Command("python3", append([]string{"-c", script, dir}, patterns...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var expanded [][]string
	for line := range strings.Lines(string(out)) {
		expanded = append(expanded, strings.Split(strings.TrimSuffix(line, "\n"), "\x00"))
	}
	if len(expanded) != len(patterns) {
		t.Fatalf("%d answers to %d patterns", len(expanded), len(patterns))
	}
	return expanded
}

// FuzzPaths checks the tree against the rule as it is written down, and the
// two prunings against what they promise.
func FuzzPaths(f *testing.F) {
	f.Add("/a -/a/b /a/b/c", "/a/b/c/d")
	f.Add("-/x/* /x/a* /x", "/x/ab/c")
	f.Add("/*/*/c -/a/[!b]", "/a/b/c")
	f.Add("- /", "")
	f.Fuzz(func(t *testing.T, words, file string) {
		var list List
		for _, w := range strings.Split(words, " ") {
			if l, err := Parse(w); err == nil {
				list = append(list, l)
			}
		}
		file = path.Clean("/" + file)
		p := list.Paths()
		in := p.Match(file)
		if want := matchSlowly(list, file); in != want {
			t.Fatalf("limits %q: Match(%q) = %v, want %v", list.Strings(), file, in, want)
		}
		if !in {
			return
		}
		for dir := file; ; dir = path.Dir(dir) {
			if !p.MayContain(dir) {
				t.Errorf("limits %q: MayContain(%q) = false, but %q is in", list.Strings(), dir, file)
			}
			if dir == "/" {
				break
			}
		}
		below := false
		for _, root := range p.Roots() {
			below = below || root == "/" || file == root || strings.HasPrefix(file, root+"/")
		}
		if !below {
			t.Errorf("limits %q: %q is in, but not below %q", list.Strings(), file, p.Roots())
		}
	})
}

func matchSlowly(list List, file string) bool {
	in := true
	for _, l := range list {
		if l.Kind == Path && !l.Exclude {
			in = false
		}
	}
	for dir := file; ; dir = path.Dir(dir) {
		found := false
		for _, l := range list {
			if l.Kind == Path && matchComponents(l.Path, dir) {
				in, found = !l.Exclude, true
			}
		}
		if found || dir == "/" {
			return in
		}
	}
}

func matchComponents(pattern, file string) bool {
	split := func(s string) []string { return strings.Split(strings.TrimSuffix(s, "/"), "/") }
	patterns, names := split(pattern), split(file)
	if len(patterns) != len(names) {
		return false
	}
	for i := range patterns {
		if isPattern(patterns[i]) {
			if !matchName(patterns[i], names[i]) {
				return false
			}
		} else if patterns[i] != names[i] {
			return false
		}
	}
	return true
}

func TestPathsDoesNotAllocate(t *testing.T) {
	p := parseList(t, "/a", "-/a/b", "/a/*/c", "/a/b*/c/d").Paths()
	if n := testing.AllocsPerRun(100, func() { p.Match("/a/b/c/d/e") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func manyLimits(n int) List {
	list := make(List, 0, n)
	for i := range n {
		list = append(list, Limit{Kind: Path, Exclude: i%3 == 0, Path: fmt.Sprintf("/srv/%d/data/%d", i%1000, i)})
	}
	return append(list, Limit{Kind: Path, Exclude: true, Path: "/srv/*/cache"})
}

func TestManyLimits(t *testing.T) {
	list := manyLimits(50_000)
	p := list.Paths()
	for i, l := range list[:50_000] {
		if got := p.Match(l.Path + "/x"); got == l.Exclude {
			t.Fatalf("limit %d: Match = %v", i, got)
		}
	}
	if p.Match("/srv/7/cache/x") || p.Match("/srv/7/data") || !p.MayContain("/srv/7/data") {
		t.Error("wrong around the limits")
	}
	if got := len(p.Roots()); got != 33_333 {
		t.Errorf("%d roots", got)
	}
	if again := parseList(t, list.Strings()...); !reflect.DeepEqual(again, list) {
		t.Error("the list does not survive String and Parse")
	}
}

func BenchmarkPaths(b *testing.B) {
	list := manyLimits(50_000)
	for b.Loop() {
		list.Paths()
	}
}

func BenchmarkMatch(b *testing.B) {
	p := manyLimits(50_000).Paths()
	for b.Loop() {
		p.Match("/srv/7/data/7007/some/file.txt")
	}
}
