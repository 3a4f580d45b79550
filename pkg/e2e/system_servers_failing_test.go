package e2e

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestServersFail: what is wrong with a server, or with its programs, does not
// pass in silence, and costs no more than it must.
func TestServersFail(t *testing.T) {
	t.Parallel() // machines have a lock each
	a := newStore(t)
	a.write("/etc/tklbam/hooks.d/told", "#!/bin/sh\n[ \"$2\" != error ] || echo \"$TKLBAM_ERROR_MESSAGE\" >> /told\n")
	a.must("chmod", "755", "/etc/tklbam/hooks.d/told")
	a.mysql("USE shop; CREATE TABLE many (id INT PRIMARY KEY AUTO_INCREMENT, text CHAR(250)); " +
		"INSERT INTO many (text) SELECT REPEAT(MD5(seq), 7) FROM seq_1_to_200000")
	for _, c := range []struct {
		name string
		run  func(t *testing.T, a *store)
	}{
		{"increment", testSmallIncrement},
		{"denied", testDenied},
		{"killed in the detour", testKilledInDetour},
		{"client ends early", testClientEnds},
		{"server ends early", testServerEnds},
		{"down", testServersDown},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.t = t
			c.run(t, a)
		})
	}
}

// testSmallIncrement: few rows changed in a large table make for little to
// store, for less still if the cache has what it can have.
func testSmallIncrement(t *testing.T, a *store) {
	increment := func() int64 {
		a.mysql("UPDATE shop.many SET text = CONCAT(text, id) ORDER BY RAND(1) LIMIT 100")
		_, sum := events(t, a.quiet("tklbam-backup", toDisk, "--json"))
		return sum.StoredBytes
	}
	a.quiet("tklbam-backup", toDisk)
	with := increment()
	a.must("rm", "-rf", "/var/cache/tklbam")
	without := increment()
	if with > 400<<10 || without < with {
		t.Errorf("%d bytes are stored, and %d without the cache", with, without)
	}
	a.must("tklbam-internal", "mysql2fs", "/srv/now")
	a.must("tklbam-restore", "--raw-download=/srv/latest", toDisk)
	if r := a.run("cmp", "/srv/latest/TKLBAM/myfs/shop/tables/many/rows", "/srv/now/shop/tables/many/rows"); r.code != 0 {
		t.Errorf("restored: %s", r.output())
	}
}

// told checks what the hook for errors was told, and forgets it.
func (s *store) told(words ...string) {
	s.t.Helper()
	text := ""
	if s.having("/told")() {
		text = s.read("/told")
		s.must("rm", "/told")
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			s.t.Errorf("the hook was told %q, not of %q", text, w)
		}
	}
}

// lockOut takes the administrator's access away.
func (s *store) lockOut() {
	s.mysql(`UPDATE mysql.global_priv SET Priv = JSON_SET(Priv, '$.account_locked', true) WHERE User IN ('root', 'mysql'); FLUSH PRIVILEGES`)
	says(s.t, s.run("mysql", "-e", "select 1"), 1, "ERROR")
}

// letIn gives it back.
func (s *store) letIn() {
	s.shell(`
kill $(cat /run/mysqld/mysqld.pid)
timeout 60 sh -c 'while pgrep -x mariadbd >/dev/null; do sleep 0.1; done'
mkdir -p /tmp/in; chown mysql /tmp/in
setsid --fork mariadbd --user=mysql --skip-grant-tables --skip-networking --socket=/tmp/in/s --pid-file=/tmp/in/p >/dev/null 2>&1
timeout 60 sh -c 'while ! mysql -S /tmp/in/s -e "select 1" >/dev/null 2>&1; do sleep 0.1; done'
mysql -S /tmp/in/s -e "UPDATE mysql.global_priv SET Priv = JSON_REMOVE(Priv, '$.account_locked') WHERE User IN ('root', 'mysql')"
kill $(cat /tmp/in/p)
timeout 60 sh -c 'while [ -e /tmp/in/p ]; do sleep 0.1; done'
service mariadb start`)
}

// testDenied: a server that refuses everyone is backed up and restored all the
// same, and refuses everyone afterwards.
func testDenied(t *testing.T, a *store) {
	a.lockOut()
	defer a.letIn()
	says(t, a.quiet("tklbam-backup", "--dump=/srv/dump"), 0, "MySQL: 2 databases, 2 saved")
	says(t, a.run("mysql", "-e", "select 1"), 1, "ERROR")
	if rows := a.read("/srv/dump/TKLBAM/myfs/shop/tables/products/rows"); strings.Count(rows, "\n") != 3 {
		t.Errorf("dumped: %q", rows)
	}
	says(t, a.run("tklbam-restore", "/srv/dump", "--skip-files", "--skip-packages"), 0, "We're done")
	says(t, a.run("tklbam-restore-rollback", "--force"), 0, "Rolled back")
	says(t, a.run("mysql", "-e", "select 1"), 1, "ERROR")
	a.show()
	a.lacks("/run/tklbam-mysql", "/run/tklbam-mysql.restarted")
}

// testKilledInDetour: whoever is killed in between, the server comes back.
func testKilledInDetour(t *testing.T, a *store) {
	a.lockOut()
	defer a.letIn()
	if !a.killedWhen(func() bool { return a.having("/TKLBAM/myfs/shop/tables/many")() }, "tklbam-backup", "--simulate") {
		t.Error("the backup was not killed")
	}
	for i := 0; a.run("runuser", "-u", "shop", "/var/www/shop/show").code != 0; i++ {
		if i > 600 {
			t.Fatal("the server does not come back")
		}
		time.Sleep(100 * time.Millisecond)
	}
	says(t, a.run("mysql", "-e", "select 1"), 1, "ERROR")
}

// instead puts a program in the place of another one, which is "$0.real".
func (s *store) instead(program, script string) {
	s.t.Helper()
	real := strings.TrimSpace(s.must("readlink", "-f", program).stdout)
	s.must("mv", real, real+".real")
	s.t.Cleanup(func() { ok(s.t, os.Rename(s.path(real+".real"), s.path(real))) })
	s.write(real, "#!/bin/bash\n"+script)
	s.must("chmod", "755", real)
}

// testClientEnds: dump clients that end early.
func testClientEnds(t *testing.T, a *store) {
	a.instead("/usr/bin/mariadb-dump", `
case "$*" in *--databases*) "$0.real" "$@" | head -c 3000000; exit 1 ;; esac
exec "$0.real" "$@"`)
	a.fails(3, []string{"MySQL: 2 databases, 0 saved", "the dump ends in the middle", "PostgreSQL: 1 database, 1 saved"}, "tklbam-backup", toDisk)
	a.told("not all could be backed up")
}

// testServerEnds: the server is killed while it is dumped.
func testServerEnds(t *testing.T, a *store) {
	a.instead("/usr/bin/mariadb-dump", `
case "$*" in *--databases*) "$0.real" "$@" | { head -c 3000000; pkill -KILL -x mariadbd; cat; }; exit ${PIPESTATUS[0]} ;; esac
exec "$0.real" "$@"`)
	a.fails(3, []string{"MySQL", "PostgreSQL: 1 database, 1 saved"}, "tklbam-backup", toDisk)
	a.told("not all could be backed up")
	a.shell("service mariadb stop || true; service mariadb start")
}

// testServersDown: installed and not running is an error, unless databases are
// not asked for.
func testServersDown(t *testing.T, a *store) {
	a.shell("service mariadb stop; service postgresql stop")
	a.fails(3, []string{"the database server does not run", "PostgreSQL"}, "tklbam-backup", toDisk)
	a.told("not all could be backed up")
	a.quiet("tklbam-backup", toDisk, "--skip-database")
	a.lacks("/told")
}
