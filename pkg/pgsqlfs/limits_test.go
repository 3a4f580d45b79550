package pgsqlfs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const limited = `
CREATE SCHEMA s;
CREATE TABLE users (i int PRIMARY KEY);
CREATE TABLE orders (i int REFERENCES users);
COMMENT ON CONSTRAINT orders_i_fkey ON orders IS 'who';
CREATE TABLE sessions (i int);
CREATE TABLE s.sessions (i int);
CREATE TABLE "a.b" (i int);
CREATE TABLE events (i int) PARTITION BY RANGE (i);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE TABLE events_2 PARTITION OF events DEFAULT;
INSERT INTO users VALUES (1);
INSERT INTO orders VALUES (1);
INSERT INTO sessions VALUES (1);
INSERT INTO s.sessions VALUES (1);
INSERT INTO "a.b" VALUES (1);
INSERT INTO events VALUES (1), (11);
`

// Limits on tables mean the same when a backup is made and when it is
// restored: schemas stay, rows are in or out.
func TestTableLimits(t *testing.T) {
	t.Parallel()
	s, to := start(t), start(t)
	s.exec(neutral, "CREATE DATABASE app; CREATE DATABASE other;")
	s.exec("app", limited)
	whole := filepath.Join(t.TempDir(), "whole")
	s.save(whole)
	all := []string{"a.b", "events_1", "events_2", "orders", "s.sessions", "sessions", "users"}
	tests := []struct {
		limits string
		want   string // tables with rows
		other  bool
	}{
		{"", strings.Join(all, " "), true},
		{"-pgsql:app/sessions", "a.b events_1 events_2 orders users", true},
		{"-pgsql:app/sessions pgsql:app/s.sessions", "s.sessions", false},
		{"-pgsql:app/sessions pgsql:app/s.sessions pgsql:app", "a.b events_1 events_2 orders s.sessions users", false},
		{"-pgsql:app/events pgsql:app/events_2", "events_2", false},
		{"pgsql:app/orders", "orders", false},
		{"-pgsql:app/users -pgsql:other", "a.b events_1 events_2 orders s.sessions sessions", false},
	}
	for _, test := range tests {
		list := strings.Fields(test.limits)
		t.Run(test.limits, func(t *testing.T) {
			s, to := &server{TB: t, client: s.client, data: s.data}, &server{TB: t, client: to.client, data: to.data}
			to.exec(neutral, "DROP DATABASE IF EXISTS other;")
			loaded := to.load(whole, list...)
			to.check(test.want, test.other)
			want := len(strings.Fields(test.want))
			if warned := slices.ContainsFunc(loaded.Notes, func(n string) bool {
				return strings.Contains(n, fmt.Sprintf("app: %d of its %d tables", len(all)-want, len(all)))
			}); warned != (want < len(all)) {
				t.Errorf("notes are %q", loaded.Notes)
			}
			if loaded.Tables != want {
				t.Errorf("%d tables loaded, want %d", loaded.Tables, want)
			}
			dir := filepath.Join(t.TempDir(), "part")
			if saved := s.save(dir, list...); saved.Tables != want {
				t.Errorf("%d tables saved, want %d", saved.Tables, want)
			}
			to.exec(neutral, "DROP DATABASE IF EXISTS other;")
			to.load(dir)
			to.check(test.want, test.other)
		})
	}
}

// check compares the tables that have rows, and that nothing else is lost.
func (s *server) check(want string, other bool) {
	s.Helper()
	var got []string
	for _, name := range []string{`"a.b"`, "events_1", "events_2", "orders", "s.sessions", "sessions", "users"} {
		if s.value("app", "SELECT count(*) FROM ONLY "+name) != "0" {
			got = append(got, strings.Trim(name, `"`))
		}
	}
	if strings.Join(got, " ") != want {
		s.Errorf("rows are in %q, want %q", got, want)
	}
	if there := slices.Contains(s.names(), "other"); there != other {
		s.Errorf("the other database is there: %v, want %v", there, other)
	}
	const key = "SELECT obj_description(oid) || convalidated::text FROM pg_constraint WHERE conname = 'orders_i_fkey'"
	valid := strings.Contains(want, "users") || !strings.Contains(want, "orders")
	if got, want := s.value("app", key), fmt.Sprintf("who%v", valid); got != want {
		s.Errorf("the foreign key is %q, want %q", got, want)
	}
}

func TestDirName(t *testing.T) {
	for name, want := range map[string]string{
		"app": "app", "my-app_2.x": "my-app_2.x", "é": "é", "a/b": "a%2Fb", "%2F": "%252F", ".": "%2E", "..": "%2E.", ".x": "%2Ex",
	} {
		if got := dirName(name); got != want {
			t.Errorf("the directory of %q is %q, want %q", name, got, want)
		}
	}
}

func TestSpareNames(t *testing.T) {
	name := spareName(loadPrefix, strings.Repeat("x", 63))
	if !isSpare(name) || len(name) > 63 {
		t.Errorf("%q is no spare name", name)
	}
	for _, name := range []string{"tklbam", "tklbam-load-", "tklbam-load-x", "tklbam-old-0123456789abcdeg", "tklbam-load-0123456789abcdef0"} {
		if isSpare(name) {
			t.Errorf("%q is a spare name", name)
		}
	}
}
