package mysqlfs

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGeneratedColumns loads trees of old, which do not say which columns the
// rows are of: those that are not generated, or from older clients all.
func TestGeneratedColumns(t *testing.T) {
	i := start(t)
	i.sql("create database d; use d; create table g (a int, b int as (a*2) virtual, `d``)` varchar(10), c varchar(20) as (concat(a,',',`d``)`)) stored, key(b)) " +
		"comment 'x AS (y)'; insert into g(a,`d``)`) values (1,'(,\\''),(2,null); create table none (a int, b int as (a) virtual)")
	dir, _ := i.save("-mysql:mysql")
	want := i.sql("select * from d.g")
	for _, rows := range []string{"1,2,'(,\\'','1,(,\\''\n2,4,NULL,NULL\n", "1,'(,\\''\n2,NULL\n"} {
		if err := os.WriteFile(filepath.Join(dir, "d/tables/g/rows"), []byte(rows), 0o600); err != nil {
			t.Fatal(err)
		}
		i.load(dir, LoadOptions{Drop: true})
		sameLines(t, want, i.sql("select * from d.g"))
	}
}

func TestDefinedColumns(t *testing.T) {
	for create, want := range map[string]string{
		"CREATE TABLE `t(` (\n `a` int DEFAULT (1 AS x),\n `b` int COMMENT ') AS, ',\n PRIMARY KEY (`a`,`b`)\n) COMMENT='x, y'":                "a b|a b",
		"CREATE TABLE `t` (`a` int, `v` int(11) AS (`a`) VIRTUAL, `g` int GENERATED ALWAYS AS (1) STORED /*!80023 INVISIBLE */, `d` set('a'))": "a v g d|a d",
		"CREATE TABLE `t` (`a` enum('x','''AS'),`AS` int, KEY `AS` (`a`)) /*!50100 PARTITION BY HASH (`AS`) */":                                "a AS|a AS",
		"CREATE TABLE `t` (": "|", "CREATE TABLE": "|",
	} {
		all, stored := definedColumns(create)
		if got := strings.Join(all, " ") + "|" + strings.Join(stored, " "); got != want {
			t.Errorf("%s: %q, want %q", create, got, want)
		}
	}
	for rows, want := range map[string]int{
		"": 0, "1": 1, "1,2\n3,4,5\n": 2, `'a,\',''',_binary ',\\',NULL` + "\n": 3, "'\n,',2\n": 2, `'\`: 0,
	} {
		if n, err := countValues(bufio.NewReader(strings.NewReader(rows))); n != want || err != nil {
			t.Errorf("%q: %d values, want %d; %v", rows, n, want, err)
		}
	}
}

// TestBrokenViews has views that do not work in the way of nothing, neither of
// Load nor of a client that stops at the first error.
func TestBrokenViews(t *testing.T) {
	from := start(t)
	from.sql("create database d; use d; create table t (a int, b int); insert into t values (1,2); create view a_table as select a from t; " +
		"create view b_column as select b from t; create view c_on as select * from a_table; create view d_fine as select a from t; " +
		"create definer=nobody@nowhere view e_definer as select a from t; create function f() returns int return 1; create view g_function as select f(); " +
		"rename table t to u; create table t (a int); insert into t values (1); drop function f; create table x (i int); create view a_lost as select * from x; drop table x; " +
		"create user late@localhost; create event e on schedule every 1 day starts '2030-01-01' do set @x=1")
	dir, saved := from.save()
	notes := strings.Join(saved.Notes, "\n")
	for _, name := range []string{"a_lost", "b_column", "g_function"} {
		if !strings.Contains(notes, "'d."+name+"'") {
			t.Errorf("no note of %s: %s", name, notes)
		}
		if files(t, dir)["d/views/"+name+"/post"] == "" {
			t.Errorf("%s is not in the tree", name)
		}
	}
	to := start(t)
	loaded := to.load(dir, LoadOptions{})
	const what = "select * from d.d_fine; select * from d.c_on; select user from mysql.user where user='late'; select name from mysql.event; select table_name from information_schema.views where table_schema='d' order by 1"
	const want = "1\n1\nlate\ne\na_table\nc_on\nd_fine\ne_definer"
	if got := to.sql(what); got != want || len(loaded.Notes) != 3 {
		t.Errorf("loaded %q, notes %q", got, loaded.Notes)
	}
	var sql strings.Builder
	if err := ToSQL(&sql, dir, nil, SQLOptions{DropDatabases: true}, nil); err != nil {
		t.Fatal(err)
	}
	other := start(t)
	cmd := exec.CommandContext(context.Background(), "mariadb", "--no-defaults", "-S", other.socket)
	cmd.Stdin = strings.NewReader(sql.String())
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "d.x") {
		t.Errorf("the client: %v: %s", err, out)
	}
	if got := other.sql(what); got != want {
		t.Errorf("by the client: %q", got)
	}
}

// TestOldLayout has the layout, the lines of report and the SQL that trees had
// from the first: what the program that they come from makes of such a dump.
func TestOldLayout(t *testing.T) {
	var lines []string
	report := func(it Item) { lines = append(lines, it.String()) }
	dir := filepath.Join(t.TempDir(), "myfs")
	f, err := os.Open("testdata/mysql-5.0.sql")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := FromSQL(dir, f, nil, report); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(lines, " "); got != "database: mysql table: mysql/help_keyword table: mysql/help_relation database: site table: site/pages table: site/formats table: site/empty" {
		t.Errorf("reported %s", got)
	}
	got := files(t, dir)
	for name, want := range map[string]string{
		"mysql/init":                      "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `mysql` /*!40100 DEFAULT CHARACTER SET latin1 */;\n",
		"mysql/tables/help_keyword/rows":  "0,'FIRST'\n1,'SECOND'\n",
		"mysql/tables/help_relation/rows": "1,0\n",
		"site/init":                       "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `site` /*!40100 DEFAULT CHARACTER SET latin1 */;\n",
		"site/tables/pages/rows":          "1,'It\\'s; VALUES (1);',0.5\n2,'',NULL\n7,'grün',3\n",
		"site/tables/formats/rows":        "1,',1,2,'\n",
		"site/tables/empty/rows":          "",
		"site/tables/empty/init":          "CREATE TABLE `empty` (\n  `id` int(11) NOT NULL,\n  PRIMARY KEY  (`id`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8;\n",
	} {
		if s, ok := got[name]; !ok || s != want {
			t.Errorf("%s: %q, want %q", name, s, want)
		}
	}
	if len(got) != 12 { // two databases, five tables
		t.Errorf("%d files", len(got))
	}
	var sql strings.Builder
	if err := ToSQL(&sql, dir, limitsOf(t, "mysql:site", "-mysql:mysql"), SQLOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	const insert = "LOCK TABLES `pages` WRITE;\n/*!40000 ALTER TABLE `pages` DISABLE KEYS */;\nINSERT INTO `pages` VALUES \n" +
		"(1,'It\\'s; VALUES (1);',0.5),\n(2,'',NULL),\n(7,'grün',3);\n\n-- CHUNKS: 1\n\n/*!40000 ALTER TABLE `pages` ENABLE KEYS */;\nUNLOCK TABLES;\n"
	if !strings.Contains(sql.String(), insert) {
		t.Errorf("no such SQL: %s", sql.String())
	}
	i := start(t)
	i.sql(sql.String())
	if got := i.sql("select * from site.pages; insert into site.pages (title) values ('x'); select max(id) from site.pages; select count(*) from site.empty"); got != "1\tIt's; VALUES (1);\t0.5\n2\t\tNULL\n7\tgrün\t3\n8\n0" {
		t.Errorf("restored: %q", got)
	}
}
