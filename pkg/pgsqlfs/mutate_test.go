package pgsqlfs

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mutations are changes to a database, some of which fail when their turn
// comes: "$t" and "$u" are tables that there may be, "$n" numbers, "$s" strings
// and "$x" bytes in hex.
var mutations = []string{
	`CREATE TABLE $t (id serial PRIMARY KEY, a int, b text DEFAULT $s, c bytea, d jsonb, e numeric[], f timestamptz)`,
	`CREATE TABLE $t (id int PRIMARY KEY, a int, b text) PARTITION BY RANGE (id)`,
	`CREATE TABLE $t PARTITION OF $u FOR VALUES FROM ($n) TO ($n0)`,
	`INSERT INTO $t (id, a, b) SELECT g, g % 7, repeat($s, g % 50) FROM generate_series($n, $n + 200) g ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.id`,
	`INSERT INTO $t (a, b, c, d, e) SELECT $n, $s, '\x$x', to_jsonb($s::text), ARRAY[$n, NULL, 'NaN'] FROM generate_series(1, 20)`,
	`UPDATE $t SET b = $s || coalesce(b, ''), a = a + $n WHERE id % 5 = 0`,
	`UPDATE $t SET c = c || '\x$x', f = now() WHERE id % 3 = 1`,
	`DELETE FROM $t WHERE id % 4 = 2`,
	`TRUNCATE $t CASCADE`,
	`DROP TABLE $t CASCADE`,
	`ALTER TABLE $t RENAME TO $u`,
	`ALTER TABLE $t ADD COLUMN $s_i text DEFAULT $s`,
	`ALTER TABLE $t DROP COLUMN $s_i, DROP COLUMN IF EXISTS e`,
	`ALTER TABLE $t ALTER a TYPE bigint, ALTER b SET NOT NULL`,
	`ALTER TABLE $t ADD CONSTRAINT $s_i FOREIGN KEY (a) REFERENCES $u NOT VALID`,
	`ALTER TABLE $t ADD CHECK (a <> $n) NOT VALID, SET (fillfactor = 6$n)`,
	`ALTER TABLE $t DISABLE TRIGGER ALL, ENABLE ROW LEVEL SECURITY`,
	`ALTER TABLE $t OWNER TO someone`,
	`GRANT SELECT, UPDATE (a) ON $t TO someone`,
	`COMMENT ON TABLE $t IS $s`,
	`COMMENT ON COLUMN $t.a IS $s`,
	`CREATE INDEX ON $t (lower(b), a) WHERE a > $n`,
	`CREATE SCHEMA $s_i CREATE TABLE $t (id int, a int, b text)`,
	`DROP SCHEMA $s_i CASCADE`,
	`ALTER TABLE $t SET SCHEMA $s_i`,
	`CREATE OR REPLACE VIEW v$n AS SELECT * FROM $t`,
	`CREATE MATERIALIZED VIEW m$n AS SELECT count(*), max(a) FROM v$n`,
	`CREATE OR REPLACE FUNCTION f$n() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.a := $n; RETURN NEW; END'`,
	`CREATE OR REPLACE TRIGGER g$n BEFORE INSERT ON $t FOR EACH ROW EXECUTE FUNCTION f$n()`,
	`CREATE TYPE e$n AS ENUM ($s, 'b')`,
	`ALTER TYPE e$n ADD VALUE $s BEFORE 'b'`,
	`SELECT nextval('$t_id_seq'), setval('$u_id_seq', $n00)`,
	`SELECT lo_from_bytea(5000$n, '\x$x')`,
	`SELECT lo_put(5000$n, $n00, '\x$x')`,
	`SELECT lo_unlink(5000$n)`,
	`COMMENT ON LARGE OBJECT 5000$n IS $s`,
	`ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO someone`,
	`ALTER DATABASE app SET work_mem = '$n00kB'`,
	`ALTER ROLE someone IN DATABASE app SET search_path = $s_i, public`,
	`COMMENT ON DATABASE app IS $s`,
	`ALTER DATABASE app CONNECTION LIMIT 1$n`,
	`CREATE DATABASE "it's" TEMPLATE template0`,
	`DROP DATABASE "it's"`,
}

var tables = []string{"t1", "t2", "t3", `"T 4"`}

// mutate fills one in.
func mutate(r *rand.Rand) string {
	odd := []string{"a", "it's", `q"uote`, `back\slash`, "Ünï", "two words", "%s $1", "\t--", "/../x"}[r.IntN(9)]
	table := func() string { return tables[r.IntN(len(tables))] }
	raw := make([]byte, r.IntN(3000))
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	return strings.NewReplacer(
		"$t_id_seq", "t1_id_seq", "$u_id_seq", "t2_id_seq", "$s_i", identifier(odd),
		"$t", table(), "$u", table(), "$n", fmt.Sprint(1+r.IntN(4)), "$s", literal(odd), "$x", fmt.Sprintf("%x", raw),
	).Replace(mutations[r.IntN(len(mutations))])
}

// dumps returns every database as SQL, by name.
func (s *server) dumps(names []string) map[string]string {
	s.Helper()
	all := make(map[string]string)
	for _, name := range names {
		all[name] = sortRows(withoutKeys(s.tool("pg_dump", append(s.connect(name), "--create")...)))
	}
	return all
}

// sortRows sorts the rows of every table: where they are loaded the server puts
// one that is short on a page before.
func sortRows(dump string) string {
	lines := strings.SplitAfter(dump, "\n")
	start := -1 // of the rows
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "COPY ") && strings.HasSuffix(line, " FROM stdin;\n"):
			start = i + 1
		case line == "\\.\n" && start >= 0:
			slices.Sort(lines[start:i])
			start = -1
		}
	}
	return strings.Join(lines, "")
}

// Whatever is done to databases between backups, each backup restores what
// there was when it was made, in any order and over any other.
func TestRandomMutations(t *testing.T) {
	t.Parallel()
	const rounds, steps = 3, 70
	seed := rand.Uint64()
	t.Logf("seed %d", seed) // for another run with the same
	r := rand.New(rand.NewPCG(seed, 0))
	from, to := start(t), start(t)
	from.exec(neutral, "CREATE DATABASE app; CREATE ROLE someone;")
	for _, name := range tables {
		from.exec("app", strings.NewReplacer("$t", name, "$s", "'b'").Replace(mutations[0])+";")
	}
	root := t.TempDir()
	var want []map[string]string
	for round := range rounds {
		var script strings.Builder
		for range steps {
			script.WriteString(mutate(r) + ";\n")
		}
		// Not all of them can be done, but some of the last.
		err := from.psql(t.Context(), "app", strings.NewReader(script.String()+"CREATE TABLE \"last "+fmt.Sprint(round)+"\" ();"), nil, nil)
		if err != nil && !strings.HasSuffix(err.Error(), "and more") {
			t.Logf("round %d: %v", round, err)
		}
		from.exec("app", "DROP TABLE \"last "+fmt.Sprint(round)+"\";")
		from.save(filepath.Join(root, fmt.Sprint(round)))
		names := slices.DeleteFunc(from.names(), func(name string) bool { return name == administrative })
		want = append(want, from.dumps(names))
	}
	for _, round := range append(r.Perm(rounds), 0) {
		to.load(filepath.Join(root, fmt.Sprint(round)))
		for name, text := range want[round] {
			equal(t, fmt.Sprintf("round %d, database %q", round, name), to.dumps([]string{name})[name], text)
		}
	}
}
