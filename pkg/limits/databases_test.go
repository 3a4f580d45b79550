package limits

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestDatabases(t *testing.T) {
	for _, c := range []struct {
		limits  string
		in, out string // database or database/table
	}{
		{"", "db db/t mysql", ""},
		{"/srv pgsql:x -pgsql:db", "db db/t mysql mysql/user", ""},
		{"-mysql:db", "other other/t mysql", "db db/t"},
		{"-mysql:db/t", "db db/u other/t", "db/t"},
		{"mysql:db", "db db/t mysql mysql/user", "other other/t"},
		{"mysql:db/t", "db db/t mysql", "db/u other other/t"},
		{"mysql:db -mysql:db/t", "db db/u mysql", "db/t other"},
		{"-mysql:db mysql:db/t", "db db/t mysql", "db/u other"},
		{"-mysql:db -mysql:db/t", "other", "db db/t db/u"},
		{"mysql:db/t -mysql:db/t", "mysql", "db db/t other"},
		{"-mysql:db mysql:db", "db db/t mysql", "other"},
		{"mysql:db -mysql:db", "mysql", "db db/t other"},
		{"mysql:db -mysql:mysql", "db", "mysql mysql/user other"},
		{"mysql:db -mysql:mysql/proc", "db mysql mysql/user", "mysql/proc"},
		{"mysql:mysql/user", "mysql mysql/user mysql/db", "other"},
		{"-mysql:db/a mysql:db/b", "db db/b mysql", "db/a db/c"},
	} {
		d := parseList(t, strings.Fields(c.limits)...).DB(MySQL)
		expectDatabases(t, c.limits, d, c.in, true)
		expectDatabases(t, c.limits, d, c.out, false)
	}
}

func expectDatabases(t *testing.T, limits string, d *Databases, names string, want bool) {
	t.Helper()
	for _, name := range strings.Fields(names) {
		db, table, isTable := strings.Cut(name, "/")
		got := d.Match(db)
		if isTable {
			got = d.MatchTable(db, table)
		}
		if got != want {
			t.Errorf("limits %q: %q is in: %v", limits, name, got)
		}
	}
}

func TestPgSQLHasNoSystemDatabase(t *testing.T) {
	d := parseList(t, "pgsql:db", "mysql:other").DB(PgSQL)
	expectDatabases(t, "pgsql:db mysql:other", d, "db db/t", true)
	expectDatabases(t, "pgsql:db mysql:other", d, "mysql other postgres", false)
	if d := parseList(t, "pgsql:postgres").DB(PgSQL); !d.Match("postgres") {
		t.Error("postgres can't be included")
	}
}

func TestTables(t *testing.T) {
	d := parseList(t, "pgsql:db/b", "-pgsql:db/a", "-pgsql:db/b", "pgsql:db", "pgsql:x/t").DB(PgSQL)
	want := []Table{{"a", true}, {"b", true}}
	if got := d.Tables("db"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := d.Tables("none"); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestManyDatabaseLimits(t *testing.T) {
	const n = 50_000
	var list List
	for i := range n {
		list = append(list, Limit{Kind: MySQL, Exclude: true, Database: fmt.Sprint("db", i%100), Table: fmt.Sprint(i)})
	}
	d := list.DB(MySQL)
	for i := range n {
		name := fmt.Sprint("db", i%100)
		if d.MatchTable(name, fmt.Sprint(i)) || !d.MatchTable(name, "other") {
			t.Fatalf("table %d is wrong", i)
		}
	}
	if got := len(d.Tables("db7")); got != n/100 {
		t.Errorf("%d tables, want %d", got, n/100)
	}
}
