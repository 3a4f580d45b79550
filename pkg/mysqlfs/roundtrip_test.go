package mysqlfs

import (
	"os"
	"strings"
	"testing"
)

// zooDatabases are those of testdata/zoo.sql.
var zooDatabases = []string{"zoo", "d/b.`x", ".", "empty"}

func zoo(t testing.TB, options ...string) *instance {
	t.Helper()
	text, err := os.ReadFile("testdata/zoo.sql")
	if err != nil {
		t.Fatal(err)
	}
	i := start(t, options...)
	i.sql(string(text))
	return i
}

// TestRoundTrip saves everything and loads it into a server that knows nothing
// of it.
func TestRoundTrip(t *testing.T) {
	from := zoo(t)
	dir, saved := from.save()
	if saved.Databases != 5 || saved.Databases != saved.DatabasesFound || saved.Tables < 20 {
		t.Errorf("saved %+v", saved)
	}
	to := start(t)
	loaded := to.load(dir, LoadOptions{})
	if len(saved.Notes) != 2 || len(loaded.Notes) != 1 || !strings.Contains(loaded.Notes[0], "`broken`") {
		t.Errorf("notes: saved %q, loaded %q", saved.Notes, loaded.Notes)
	}
	to.healthy()
	from.sql("drop view zoo.broken") // which is what the note says
	sameLines(t, from.dumped(zooDatabases...), to.dumped(zooDatabases...))
	const sums = "set group_concat_max_len=100000; set @q=(select concat('checksum table ', group_concat(concat('`',replace(table_schema,'`','``'),'`.`',replace(table_name,'`','``'),'`') order by 1)) " +
		"from information_schema.tables where table_schema='zoo' and table_type in ('base table','system versioned')); prepare s from @q; execute s;"
	sameLines(t, from.sql(sums), to.sql(sums))
	const grants = "select host,user,json_remove(priv,'$.password_last_changed') from mysql.global_priv where user not in ('mysql','root') order by 1,2; select * from mysql.db order by 1,2,3; " +
		"select host,db,user,table_name,grantor,table_priv,column_priv from mysql.tables_priv; select * from mysql.roles_mapping; select host,db,user,table_name,column_name,column_priv from mysql.columns_priv"
	sameLines(t, from.sql(grants), to.sql(grants))
	if got := to.sql("show grants for u"); !strings.Contains(got, "GRANT EXECUTE ON PROCEDURE `zoo`.`p;;`") {
		t.Errorf("grants of u: %s", got)
	}
}

func sameLines(t testing.TB, want, got string) {
	t.Helper()
	if want == got {
		return
	}
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			t.Errorf("line %d:\nwant %.500s\n got %.500s", i, a[i], strings.Join(b[min(i, len(b)):min(i+1, len(b))], ""))
			return
		}
	}
	t.Errorf("%d more lines", len(b)-len(a))
}

// TestLargeRows has rows larger than the server they go to takes in one
// statement, being twice as long in hexadecimal digits.
func TestLargeRows(t *testing.T) {
	from := start(t)
	from.sql("set global max_allowed_packet=1073741824")
	from.sql("create database d; create table d.t (a int, b longblob); insert into d.t values (1, repeat(x'00ff27', 4000000)), (2, 'x')")
	dir, _ := from.save()
	to := start(t)
	to.load(dir, LoadOptions{}, "mysql:d", "-mysql:mysql")
	for _, query := range []string{"checksum table d.t", "select a, length(b) from d.t"} {
		sameLines(t, from.sql(query), to.sql(query))
	}
	if got := to.sql("select @@global.max_allowed_packet"); got != "16777216" {
		t.Errorf("the server takes %s bytes afterwards", got)
	}
}

// TestStream has the SQL of a tree say by itself what Load does.
func TestStream(t *testing.T) {
	i := start(t)
	var lines []string
	var sql strings.Builder
	dir := recorded(t, "mariadb-10.1.sql")
	if err := ToSQL(&sql, dir, nil, SQLOptions{DropDatabases: true}, func(it Item) { lines = append(lines, it.String()) }); err != nil {
		t.Fatal(err)
	}
	i.sql(sql.String())
	i.healthy()
	if got := i.sql("select shop.vat(id) from shop.all_items"); got != "2\n4" {
		t.Errorf("restored: %q", got)
	}
	if got := strings.Join(lines, "\n"); !strings.Contains(got, "database: shop\ntable: shop/items\ndatabase: mysql\n") ||
		!strings.HasSuffix(got, "\ntable: mysql/time_zone_name\ntable: mysql/user") {
		t.Errorf("reported:\n%s", got)
	}
}
