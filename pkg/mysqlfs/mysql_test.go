package mysqlfs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"tklbam/pkg/command"
)

// startMySQL starts a server of MySQL, version 8 or later. Distributions have
// either that or MariaDB, so TKLBAM_TEST_MYSQL says which directory has the
// programs mysqld, mysql and mysqldump.
func startMySQL(t *testing.T) *instance {
	t.Helper()
	bin := os.Getenv("TKLBAM_TEST_MYSQL")
	if bin == "" {
		t.Skip("TKLBAM_TEST_MYSQL does not say where MySQL's programs are")
	}
	dir, err := os.MkdirTemp("", "mysqlfs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := own(dir); err != nil {
		t.Fatal(err)
	}
	i := &instance{t: t, dir: dir, socket: dir + "/s", program: bin + "/mysqld", clientProgram: bin + "/mysql"}
	options := []string{"--mysqlx=OFF", "--secure-file-priv="}
	from, err := mysqlTemplate(i.program)
	if err != nil {
		t.Fatalf("make a server's data: %v", err)
	}
	if out, err := exec.Command("cp", "-a", from, dir+"/data").CombinedOutput(); err != nil {
		t.Fatalf("copy a server's data: %s", out)
	}
	if err := os.Remove(dir + "/data/auto.cnf"); err != nil { // each has an id of its own
		t.Fatal(err)
	}
	i.Server = &Server{run: command.Exec{}, dump: bin + "/mysqldump", client: i.clientProgram, options: []string{"--defaults-file=/dev/null", "--socket=" + i.socket, "--user=root"}}
	t.Cleanup(i.stop)
	i.start(options...)
	return i
}

// mysqlData are the directories that mysqlTemplate made.
var mysqlData sync.Map

// mysqlTemplate returns the data of a new server.
func mysqlTemplate(program string) (string, error) {
	parent, err := template()
	if err != nil {
		return "", err
	}
	data := parent + "/mysql"
	if _, made := mysqlData.LoadOrStore(program, true); made {
		return data, nil
	}
	out, err := asServer(exec.Command(program, "--no-defaults", "--datadir="+data, "--log-error="+parent+"/log", "--initialize-insecure", "--mysqlx=OFF")).CombinedOutput()
	if err != nil {
		log, _ := os.ReadFile(parent + "/log.err")
		return "", fmt.Errorf("%w: %s%s", err, out, log)
	}
	return data, nil
}

const mysqlSums = "checksum table zoo.gen, zoo.numbers, zoo.places, zoo.bytes, zoo.part, zoo.fk1, zoo.fk2; " +
	"select * from zoo.idx; select a, b, c, d, e from zoo.gen; select id, hex(b), hex(t), hex(u), hex(c), ci from zoo.bytes; select f + 0e0 from zoo.numbers; select st_srid(p), st_astext(p) from zoo.places; " +
	"select trigger_name, action_order, action_statement from information_schema.triggers where trigger_schema='zoo' order by 1; select zoo.f(1); select * from zoo.a_on_v1"

// TestMySQL saves everything and loads it into another server, by the client
// programs of MySQL, and saves by those of MariaDB.
func TestMySQL(t *testing.T) {
	text, err := os.ReadFile("testdata/mysql-zoo.sql")
	if err != nil {
		t.Fatal(err)
	}
	from, to := startMySQL(t), startMySQL(t)
	from.sql(string(text))
	dir, saved := from.save()
	if len(saved.Notes) != 1 || !strings.Contains(saved.Notes[0], "broken") {
		t.Errorf("notes: %q", saved.Notes)
	}
	for range 2 {
		loaded := to.load(dir, LoadOptions{Drop: true})
		if len(loaded.Notes) != 1 {
			t.Errorf("notes: %q", loaded.Notes)
		}
	}
	sameLines(t, from.sql(mysqlSums), to.sql(mysqlSums))
	const grants = "select user, host, plugin, authentication_string from mysql.user where user in ('u','s','r') order by 1; show grants for u; show grants for r"
	sameLines(t, from.sql(grants), to.sql(grants))
	again, _ := to.save()
	a, b := files(t, dir), files(t, again)
	for name := range a {
		if strings.HasPrefix(name, "zoo/") && !strings.Contains(name, "/broken/") && a[name] != b[name] {
			t.Errorf("%s: saved again\n%.500s\nwas\n%.500s", name, b[name], a[name])
		}
	}
	fromMySQL(t, dir, true)
}

// fromMySQL loads the tree of a MySQL server into one of MariaDB. The schema
// has an index of expressions, which MariaDB has not.
func fromMySQL(t *testing.T, dir string, exact bool) {
	i := start(t)
	loaded, err := i.Load(context.Background(), dir, nil, LoadOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.Failed) == 0 || !strings.HasPrefix(loaded.Failed[0], "database `zoo`: ERROR 1064") {
		t.Errorf("failed: %q", loaded.Failed)
	}
	for _, f := range loaded.Failed[1:] {
		if !strings.Contains(f, "zoo.idx") {
			t.Errorf("failed: %s", f)
		}
	}
	notes := strings.Join(loaded.Notes, "\n")
	for _, want := range []string{"view `zoo`.`broken` is broken", "collation utf8mb4_0900_ai_ci, which", "user `u`@`%` can't log in: the server lacks the authentication plugin caching_sha2_password"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note that %s in: %s", want, notes)
		}
	}
	i.healthy()
	number := "16777200" // as the client rounds it
	if exact {
		number = "16777216"
	}
	for query, want := range map[string]string{
		"select a, b, c, d, e from zoo.gen": "1\t2\t2\t8\tab\n2\t4\t3\t9\tab",
		"select count(*), f+0e0 from zoo.numbers where t=-128 and b=-9223372036854775808 and bu=18446744073709551615 and bt+0=18446744073709551615": "1\t" + number,
		"select hex(b), t, u from zoo.bytes where id=1": "000A0D1A275C22FF\té\\n\\\\'\t𝄞 naïve",
		"select st_astext(g) from zoo.places":           "GEOMETRYCOLLECTION(POINT(1 1))",
		"select * from zoo.a_on_v1 order by 1":          "1\n2",
		"select zoo.f(1); call zoo.p(); insert into zoo.fk1 values (2, null); select o, @x from zoo.fk1 where id=2":                                      "2\n1\n5\t;",
		"select collation_name from information_schema.columns where table_schema='zoo' and table_name='bytes' and column_name in ('u','ci') order by 1": "utf8mb4_uca1400_nopad_ai_ci\nutf8mb4_uca1400_nopad_as_cs",
		"show grants for u":                     "GRANT USAGE ON *.* TO `u`@`%`",
		"select name, definer from mysql.event": "ev\troot@localhost",
	} {
		if got := i.sql(query); !strings.HasPrefix(got, want) {
			t.Errorf("%s:\nwant %q\n got %q", query, want, got)
		}
	}
}

// TestRecordedMySQL reads what a real server's client wrote, with all that
// MySQL has since version 8.
func TestRecordedMySQL(t *testing.T) {
	dir := recorded(t, "mysql-9.7.sql")
	got := files(t, dir)
	for name, want := range map[string]string{
		"zoo/init":               "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `zoo` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */ /*!80016 DEFAULT ENCRYPTION='N' */;\n",
		"zoo/tables/gen/columns": "(`a`, `d`, `e`)\n",
		"zoo/tables/gen/rows":    "1,8,'ab'\n2,9,'ab'\n",
		"zoo/tables/part/rows":   "3,3\n1,1\n2,2\n",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	for name := range got {
		if strings.Contains(name, "innodb_") {
			t.Errorf("statistics are in the tree: %s", name)
		}
	}
	fromMySQL(t, dir, false)
	// A server without the collations gets nothing of the database, rather
	// than pieces.
	if err := os.WriteFile(dir+"/zoo/tables/part/init", []byte("CREATE TABLE `part` (a text) COLLATE=utf8mb4_la_0900_as_cs COMMENT 'COLLATE x';\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i := start(t)
	i.sql("create database zoo; create table zoo.old (a int)")
	loaded, err := i.Load(context.Background(), dir, nil, LoadOptions{Drop: true}, nil)
	if err != nil || len(loaded.Failed) != 1 || loaded.Failed[0] != "database `zoo` is not restored: the server lacks the collation utf8mb4_la_0900_as_cs" {
		t.Errorf("%q: %v", loaded.Failed, err)
	}
	if got := i.sql("show tables from zoo"); got != "old" {
		t.Errorf("tables: %s", got)
	}
}
