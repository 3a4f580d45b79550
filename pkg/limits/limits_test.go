package limits

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]Limit{
		"/srv":                  {Kind: Path, Path: "/srv"},
		"-/srv":                 {Kind: Path, Path: "/srv", Exclude: true},
		"/":                     {Kind: Path, Path: "/"},
		"-//a//b/../c/./d/":     {Kind: Path, Path: "/a/c/d", Exclude: true},
		"/a b# c ":              {Kind: Path, Path: "/a b# c "},
		"/a\xff\nb":             {Kind: Path, Path: "/a\xff\nb"},
		"/var/www/*/logs/":      {Kind: Path, Path: "/var/www/*/logs"},
		"mysql:db":              {Kind: MySQL, Database: "db"},
		"-mysql:db/t":           {Kind: MySQL, Database: "db", Table: "t", Exclude: true},
		"pgsql:d b/public.t":    {Kind: PgSQL, Database: "d b", Table: "public.t"},
		"-pgsql:my_db:test":     {Kind: PgSQL, Database: "my_db:test", Exclude: true},
		"mysql:db/with/slashes": {Kind: MySQL, Database: "db", Table: "with/slashes"},
		"mysql:mysql:x":         {Kind: MySQL, Database: "mysql:x"},
	} {
		got, err := Parse(s)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", s, got, err, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, s := range []string{
		"", "-", "srv", "-srv", "--/srv", "+/srv", " /srv", "MYSQL:db", "mysql", "mysqldb",
		"mysql:", "-pgsql:", "mysql:/t", "mysql:db/", "oracle:db", "/a\x00b", "mysql:a\x00",
		"/" + strings.Repeat("a", maxLength),
	} {
		if got, err := Parse(s); err == nil || got != (Limit{}) {
			t.Errorf("%.50q: got %+v, %v", s, got, err)
		} else if !strings.HasPrefix(err.Error(), `limit "`) || len(err.Error()) > 400 {
			t.Errorf("%.50q: error %q", s, err)
		}
	}
}

func TestParseAll(t *testing.T) {
	args := []string{"/a", "-/b c", "mysql:d", "-pgsql:e/f"}
	list, err := ParseAll(args)
	if err != nil || !reflect.DeepEqual(list.Strings(), args) {
		t.Errorf("got %q, %v", list.Strings(), err)
	}
	if _, err := ParseAll([]string{"/a", "b"}); err == nil {
		t.Error("a bad argument was taken")
	}
}

func TestRead(t *testing.T) {
	const file = `
# whole line
/mnt/images
  -/var/www/*/logs   # exclude log files
/home/user/My Documents/a  b
	mysql:drupal10	# only this
-mysql:drupal10/sessions#and not its sessions
#-/not/this
-/crlf` + "\r\n-pgsql:last"
	want := []string{
		"/mnt/images", "-/var/www/*/logs", "/home/user/My Documents/a  b",
		"mysql:drupal10", "-mysql:drupal10/sessions", "-/crlf", "-pgsql:last",
	}
	list, err := Read(strings.NewReader(file))
	if err != nil || !reflect.DeepEqual(list.Strings(), want) {
		t.Errorf("got %q, %v", list.Strings(), err)
	}
	if list, err := Read(strings.NewReader("\n#\n")); list != nil || err != nil {
		t.Errorf("nothing: got %v, %v", list, err)
	}
}

func TestReadErrors(t *testing.T) {
	for file, want := range map[string]string{
		"/a\n\nb\n":                              `line 3: limit "b": `,
		"mysql:":                                 `line 1: `,
		"/a\n/" + strings.Repeat("x", maxLength): "line 2: ",
	} {
		list, err := Read(strings.NewReader(file))
		if list != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20q: got %v, %v, want %q", file, list, err, want)
		}
	}
	cause := errors.New("cause")
	r := io.MultiReader(strings.NewReader("/a\n"), iotest.ErrReader(cause))
	if list, err := Read(r); list != nil || !errors.Is(err, cause) {
		t.Errorf("got %v, %v, want the reader's error", list, err)
	}
}

func TestReadPaths(t *testing.T) {
	list, err := ReadPaths(strings.NewReader("/etc # all\n-/etc/mtab\n"))
	if err != nil || !reflect.DeepEqual(list.Strings(), []string{"/etc", "-/etc/mtab"}) {
		t.Errorf("got %v, %v", list, err)
	}
	_, err = ReadPaths(strings.NewReader("/etc\nmysql:db\n"))
	if err == nil || !strings.Contains(err.Error(), `line 2: limit "mysql:db"`) {
		t.Errorf("a database: %v", err)
	}
	if _, err := ReadPaths(strings.NewReader("etc\n")); err == nil {
		t.Error("a relative path was taken")
	}
}

func TestParseWords(t *testing.T) {
	list, err := ParseWords(`/path\ with\ spaces -/another\ path mysql:"my db"`)
	want := []string{"/path with spaces", "-/another path", "mysql:my db"}
	if err != nil || !reflect.DeepEqual(list.Strings(), want) {
		t.Errorf("got %q, %v", list.Strings(), err)
	}
	for _, s := range []string{`"/a`, `relative`, `''`} {
		if list, err := ParseWords(s); err == nil {
			t.Errorf("%q: got %v", s, list)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"/a/b", "-/a/../*", "mysql:db/t", "-pgsql:x", "", "-", "/a\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(l.String())
		if err != nil || again != l {
			t.Errorf("%q is %+v, but %q is %+v, %v", s, l, l.String(), again, err)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add("/a # b\n-mysql:c\n\n -/d e\t\n")
	f.Fuzz(func(t *testing.T, s string) {
		list, err := Read(strings.NewReader(s))
		if err != nil {
			return
		}
		for _, l := range list.Strings() {
			if strings.TrimSpace(l) != l {
				return // "/a /" is "/a ", which a file can't say without the slash
			}
		}
		again, err := Read(strings.NewReader(strings.Join(list.Strings(), "\n")))
		if err != nil || !slices.Equal(list, again) {
			t.Errorf("%q is %q, but written and read again %q, %v", s, list, again, err)
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
