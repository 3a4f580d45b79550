package pgsqlfs

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A machine as Debian lays it out.
func TestFind(t *testing.T) {
	root := t.TempDir()
	put := func(path, content string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, path, content)
	}
	for _, version := range []string{"9.6", "15"} {
		put("usr/lib/postgresql/"+version+"/bin/postgres", "")
	}
	put("etc/postgresql/15/main/postgresql.conf", "data_directory = '/srv/it''s' # comment\nport = 5433\ninclude_dir = 'conf.d'\n")
	put("etc/postgresql/15/main/conf.d/b.conf", "Unix_Socket_Directories '/run/a, /run/b'\n")
	put("etc/postgresql/15/main/conf.d/.hidden.conf", "port = 1\n")
	put("srv/it's/postgresql.auto.conf", "# by ALTER SYSTEM\nport = '5440'\n")
	put("srv/it's/postmaster.pid", fmt.Sprintf("%d\n/srv\n", os.Getpid()))
	put("etc/postgresql/15/second/postgresql.conf", "port = 5432\n")
	put("etc/postgresql/15/second/start.conf", "# how\n\nmanual # or auto\n")
	put("var/lib/postgresql/15/second/postmaster.pid", "no number\n")
	put("etc/postgresql/9.6/main/postgresql.conf", "include_if_exists = 'none'\n#port = 1\nport=5450\n")
	put("etc/postgresql/9.6/main/start.conf", "auto\n")
	put("var/lib/postgresql/9.6/main/PG_VERSION", "9.6\n")
	put("etc/postgresql/13/main/postgresql.conf", "port = 5432\n") // its package is removed
	put("etc/postgresql/15/gone/postgresql.conf", "port = 5460\n") // its data is

	got, err := Find(root)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i].Home == "" {
			t.Errorf("%s: its owner has no home", got[i])
		}
		got[i].Home = ""
	}
	bin := func(version string) string { return "/usr/lib/postgresql/" + version + "/bin" }
	want := []Cluster{
		{Version: "15", Name: "second", Bin: bin("15"), Socket: socketDir, Port: 5432, Manual: true},
		{Version: "9.6", Name: "main", Bin: bin("9.6"), Socket: socketDir, Port: 5450},
		{Version: "15", Name: "main", Bin: bin("15"), Socket: "/run/a", Port: 5440, Running: true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	if got, err := Find(t.TempDir()); len(got) > 0 || err != nil {
		t.Errorf("on a machine without PostgreSQL: %v, %v", got, err)
	}
	put("etc/postgresql/15/main/conf.d/z.conf", "include = 'z.conf'\n")
	if _, err := Find(root); err == nil || !strings.Contains(err.Error(), "include each other") {
		t.Errorf("a file that includes itself: %v", err)
	}
}

func TestParseSetting(t *testing.T) {
	for line, want := range map[string]string{
		"port = 5432":             "port=5432",
		"port=5432#x":             "port=5432",
		"Port 5432 # x":           "port=5432",
		"a = 'it''s # \\'x' # y":  "a=it's # 'x",
		"a=''":                    "a=",
		"a'b'":                    "a=b",
		"#a = 1":                  "",
		"":                        "",
		"a":                       "",
		"a = 'open":               "",
		"= 1":                     "",
		"\ta.b\t=\ton\r\n":        "a.b=on",
		"include_dir 'conf.d' # ": "include_dir=conf.d",
	} {
		name, value, ok := parseSetting(line)
		got := ""
		if ok {
			got = name + "=" + value
		}
		if got != want {
			t.Errorf("%q is %q, want %q", line, got, want)
		}
	}
}

// Errors are picked out of what programs say, whatever is around them.
func TestMessages(t *testing.T) {
	const said = "psql:<stdin>:1: NOTICE:  00000: nothing\n" +
		"psql:<stdin>:2: ERROR:  42710: role \"a\" already exists\nLOCATION:  CreateRole, user.c:1\n" +
		"psql:<stdin>:3: ERROR:  58P01: directory \"/x\" does not exist\n" +
		"psql: error: connection to server on socket \"/x\" failed: FATAL:  no\n" +
		"pg_restore: error: could not execute query: ERROR:  relation \"t\" exists\nCommand was: ERROR: x\n" +
		"pg_dump: detail: Error message from server: ERROR:  cache lookup failed\n" +
		"CONTEXT:  COPY t, line 1: \"secret\"\n"
	const want = `directory "/x" does not exist; connection to server on socket "/x" failed: FATAL:  no; relation "t" exists; cache lookup failed`
	for step := 1; step < len(said); step += 7 {
		m := &messages{ignore: []string{duplicateObject}}
		for part := range slices.Chunk([]byte(said), step) {
			if n, err := m.Write(part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if got := m.String(); got != want || m.code != "58P01" {
			t.Fatalf("in steps of %d: %s, code %s, want %s", step, got, m.code, want)
		}
	}
	many := &messages{}
	fmt.Fprint(many, strings.Repeat("psql: error: "+strings.Repeat("x", 1000)+"\n", 100))
	if got := many.String(); len(got) > maxMessages*(maxMessage+2)+20 || !strings.HasSuffix(got, "and more") {
		t.Errorf("%d bytes are kept", len(got))
	}
}

func TestWithoutKey(t *testing.T) {
	for in, want := range map[string]string{
		"-- a\n\\restrict k1\nx\n\\unrestrict k1\n-- b\n": "-- a\nx\n-- b\n",
		"x\n":                                 "x\n",
		"\\restrict k1\n\\unrestrict k2\nend": "\\unrestrict k2\nend",
		strings.Repeat("x", 5000) + "\\restrict k\n": strings.Repeat("x", 5000) + "\\restrict k\n",
		"\\restrict a\n\\restrict b\n":               "\\restrict b\n",
	} {
		var out bytes.Buffer
		if err := withoutKey(&out, strings.NewReader(in)); err != nil || out.String() != want {
			t.Errorf("%.40q becomes %.40q, %v", in, out.String(), err)
		}
	}
}

func TestStepWords(t *testing.T) {
	got := map[string]string{}
	for _, s := range []Step{
		{Database: Database{Name: "app"}},
		{Database: Database{"15/extra", "a\nb"}, Exists: true, Tables: 3, Without: 1},
		{Database: Database{Name: "new"}, Tables: 1, Without: 5},
	} {
		got[s.String()] = s.Effect() + "|" + s.Warning()
	}
	const without = "tables will be without rows, as the limits or those of the backup say"
	want := map[string]string{
		"database: app":             "create it|",
		`database: 15/extra/"a\nb"`: `replace the one there, 1 of 4 tables without rows|database 15/extra/"a\nb": 1 of its 4 ` + without + "; the rows that are in them now will be lost",
		"database: new":             "create it, 5 of 6 tables without rows|database new: 5 of its 6 " + without,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
