package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// shop is a web application: it shows what is on sale from one server and
// what was ordered from the other, as users of its own, and what it keeps in
// databases that hooks take care of.
const shop = `#!/bin/bash -e
. /var/www/shop/config
mysql -N -u shop --password="$PASSWORD" shop -e 'select * from offers'
psql -qAt shop -c 'select * from "Orders" order by id'
redis-cli get visits
sqlite3 /var/www/shop/carts.db 'select * from carts'
`

// A store is a machine with the application, and the disk it is backed up to.
type store struct {
	*machine
	disk string
}

func newStore(t testing.TB) *store {
	disk := tempDir(t)
	s := &store{newServers(t, "alpha", disk), disk}
	s.write("/var/www/shop/config", "PASSWORD='se\"cret of shop'\n")
	s.write("/var/www/shop/show", shop)
	s.shell(`
useradd -r -d /var/www shop
redis-cli set visits 42
sqlite3 /var/www/shop/carts.db 'create table carts (owner text); insert into carts values ("alice")'
echo /var/www/shop/carts.db > /etc/tklbam/sqlite
chown -R shop: /var/www/shop
chmod 600 /var/www/shop/config
chmod 755 /var/www/shop/show
`)
	s.mysql(`
CREATE DATABASE shop CHARACTER SET utf8mb4;
USE shop;
CREATE TABLE products (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80), price DECIMAL(9,2), picture BLOB);
INSERT INTO products (name, price, picture) VALUES ('tea', 2.50, x'00ff275c0a'), ('größe \' \\', 1, NULL), ('', 0, '');
CREATE TABLE log (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(40)) ENGINE=InnoDB;
CREATE TRIGGER logged AFTER UPDATE ON products FOR EACH ROW INSERT INTO log (text) VALUES (CONCAT(OLD.name, ' changed'));
CREATE USER shop@localhost IDENTIFIED BY 'se"cret of shop';
GRANT SELECT, UPDATE ON shop.* TO shop@localhost;
CREATE DEFINER=shop@localhost VIEW offers AS SELECT name, price FROM products WHERE price > 0;
CREATE FUNCTION total() RETURNS DECIMAL(9,2) READS SQL DATA RETURN (SELECT SUM(price) FROM products);
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01' DO DELETE FROM log;
`)
	s.psql("postgres", `
CREATE ROLE shop LOGIN;
CREATE ROLE "Clerk's" NOLOGIN;
GRANT "Clerk's" TO shop;
CREATE DATABASE shop OWNER shop;
`)
	s.psql("shop", `
SET ROLE shop;
CREATE SCHEMA "odd name";
CREATE TABLE "Orders" (id serial PRIMARY KEY, product text, paper bytea);
INSERT INTO "Orders" (product, paper) VALUES ('tea', '\x00ff275c0a'), (E'größe '' \\', NULL), ('', '');
CREATE VIEW "odd name".open AS SELECT * FROM "Orders";
GRANT SELECT ON "odd name".open TO "Clerk's";
SELECT lo_from_bytea(4711, '\x00ff');
`)
	s.quiet("tklbam-init", "--solo")
	return s
}

// show runs the application.
func (m *machine) show() string {
	m.t.Helper()
	return m.typed("", "cd /; runuser -u shop /var/www/shop/show").stdout
}

// databases are the content of the servers, in the words of their own clients.
func (m *machine) databases() string {
	m.t.Helper()
	out := m.typed("", `
mysqldump --all-databases --routines --events --triggers --hex-blob --skip-dump-date --skip-extended-insert --ignore-table=mysql.innodb_index_stats --ignore-table=mysql.innodb_table_stats --ignore-table=mysql.proc
mysql -N -e "select user, host from mysql.user order by 1, 2"
cd /
runuser -u postgres -- pg_dumpall
`).stdout
	return volatile.ReplaceAllString(out, "")
}

// shopContent is that of the application's databases alone. A restore leaves
// tables in place that the backup knows nothing of.
func (m *machine) shopContent() string {
	m.t.Helper()
	out := m.typed("", `
mysqldump --routines --events --triggers --hex-blob --skip-dump-date --skip-extended-insert --ignore-table=shop.extra shop
cd /
runuser -u postgres -- pg_dump shop
`).stdout
	return volatile.ReplaceAllString(out, "")
}

// volatile is what differs between dumps of one state: names of sessions, and
// the times of accounts.
var volatile = regexp.MustCompile(`(?m)^\\(un)?restrict .*|"password_last_changed":\d+,?|^-- .*|/\*M?!999999.*`)

func (s *store) escrowed() {
	s.must("tklbam-escrow", "--no-passphrase", otherDisk+"/key")
}

const fromShop = "--keyfile=" + otherDisk + "/key"

// newCustomer makes a machine to restore to, which has a shop of its own that
// is in use, and databases that are not the backup's affair.
func (s *store) newCustomer(t testing.TB) *machine {
	t.Helper()
	b := newServers(t, "beta", s.disk)
	b.mysql(`
CREATE DATABASE shop; USE shop;
CREATE TABLE products (id INT PRIMARY KEY, other TEXT); INSERT INTO products VALUES (1, 'other');
CREATE TABLE extra (id INT); INSERT INTO extra VALUES (1);
CREATE DATABASE own; CREATE TABLE own.t (a INT); INSERT INTO own.t VALUES (42);
CREATE USER own@localhost IDENTIFIED BY 'own'; GRANT ALL ON own.* TO own@localhost;
`)
	b.shell("redis-cli set visits 1; redis-cli set own 1")
	b.psql("postgres", `CREATE ROLE own LOGIN PASSWORD 'own'; CREATE DATABASE own OWNER own; CREATE DATABASE shop OWNER own;`)
	b.psql("own", `CREATE TABLE t AS SELECT 42 AS a;`)
	b.psql("shop", `CREATE TABLE "Orders" (other text); INSERT INTO "Orders" VALUES ('other');`)
	return b
}

// TestDatabases moves an application from one machine to another.
func TestDatabases(t *testing.T) {
	t.Parallel() // machines have a lock each
	a := newStore(t)
	r := a.quiet("tklbam-backup", toDisk)
	says(t, r, 0, "MySQL: 2 databases, 2 saved", "PostgreSQL: 1 database, 1 saved")
	a.escrowed()
	a.mysql("UPDATE shop.products SET price = 3 WHERE name = 'tea'")
	a.psql("shop", `INSERT INTO "Orders" (product) VALUES ('late')`)
	_, sum := events(t, a.quiet("tklbam-backup", toDisk, "--json"))
	if sum.Type != "incremental" || sum.StoredBytes > 200<<10 {
		t.Errorf("second backup: %+v", sum)
	}
	want := a.show()
	b := a.newCustomer(t)
	was := b.databases()

	t.Run("simulate", func(t *testing.T) {
		b.t = t
		r := b.run("tklbam-restore", toDisk, fromShop, "--simulate", "--skip-packages")
		says(t, r, 0, "database: shop", "table: shop/products", "shop")
		if is := b.databases(); is != was {
			t.Errorf("the simulation changed databases:\n%s", difference(was, is))
		}
	})
	t.Run("restore", func(t *testing.T) {
		b.t = t
		ended := b.session("shop")
		b.restored(toDisk, fromShop, "--skip-packages")
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Error("a session goes on in a database that was replaced")
		}
		if is := b.show(); is != want {
			t.Errorf("the application shows:\n%s\nwant:\n%s", is, want)
		}
		b.mysql("UPDATE shop.products SET price = 9 WHERE id = 1; SELECT shop.total()")
		if is := b.mysql("SELECT text FROM shop.log ORDER BY id; SELECT a FROM own.t; SELECT event_name FROM information_schema.events"); is != "tea changed\ntea changed\n42\nnightly\n" {
			t.Errorf("afterwards: %q", is)
		}
		if is := b.psql("shop", `SELECT count(*) FROM "odd name".open; SELECT lo_get(4711); INSERT INTO "Orders" (product) VALUES ('new') RETURNING id`); is != "4\n\\x00ff\n5\n" {
			t.Errorf("afterwards: %q", is)
		}
		says(t, b.run("mariadb-check", "--all-databases"), 0)
		says(t, b.run("mariadb-upgrade", "--check-if-upgrade-is-needed"), 1)
	})
	t.Run("roll back", func(t *testing.T) {
		b.t = t
		b.rolledBack()
		if is := b.databases(); is != was {
			t.Errorf("after the rollback:\n%s", difference(was, is))
		}
		b.lacks("/var/backups/tklbam-rollback")
	})
	t.Run("killed", func(t *testing.T) {
		b.t = t
		testKilledAmongDatabases(t, b, was)
	})
	t.Run("limits", func(t *testing.T) {
		b.t = t
		b.run("tklbam-restore", toDisk, fromShop, "--skip-packages", "--skip-files", "--limits=mysql:shop/products -mysql:mysql -pgsql:shop/Orders")
		if is := b.mysql("SELECT COUNT(*) FROM shop.products; SELECT user FROM mysql.user WHERE user = 'own'"); is != "3\nown\n" {
			t.Errorf("restored: %q", is)
		}
		b.rolledBack()
		if is := b.databases(); is != was {
			t.Errorf("after the rollback:\n%s", difference(was, is))
		}
	})
	t.Run("points in time", func(t *testing.T) {
		a.t, b.t = t, t
		testPointsInTime(t, a, b)
	})
}

// testPointsInTime: every session of a chain gives the databases back as they
// were when it ran.
func testPointsInTime(t *testing.T, a *store, b *machine) {
	random := rand.New(rand.NewPCG(1, 2))
	var points []struct{ time, content string }
	for range 4 {
		var mysql, psql []string
		for range 20 {
			n := random.IntN(1000)
			mysql = append(mysql, []string{
				fmt.Sprintf("INSERT INTO products (name, price, picture) VALUES ('new %d', %[1]d, RANDOM_BYTES(%[1]d))", n),
				"DELETE FROM products ORDER BY RAND() LIMIT 1",
				fmt.Sprintf("UPDATE products SET price = %d WHERE id %% 3 = %d", n, n%3),
				fmt.Sprintf("CREATE OR REPLACE TABLE t%d AS SELECT *, %d AS n FROM products", n%5, n),
			}[random.IntN(4)])
			psql = append(psql, []string{
				fmt.Sprintf(`INSERT INTO "Orders" (product, paper) VALUES ('new %d', decode(repeat('0a', %[1]d), 'hex'))`, n),
				`DELETE FROM "Orders" WHERE id = (SELECT id FROM "Orders" ORDER BY random() LIMIT 1)`,
				fmt.Sprintf(`ALTER TABLE "Orders" ADD COLUMN IF NOT EXISTS c%d int DEFAULT %d`, n%4, n),
				fmt.Sprintf(`SELECT lo_from_bytea(0, decode(repeat('ff', %d), 'hex'))`, n),
			}[random.IntN(4)])
		}
		a.mysql("USE shop;\n" + strings.Join(mysql, ";\n"))
		a.psql("shop", strings.Join(psql, ";\n"))
		_, sum := events(t, a.quiet("tklbam-backup", toDisk, "--json"))
		points = append(points, struct{ time, content string }{sum.Time.Format(time.RFC3339), a.shopContent()})
	}
	for i, p := range points {
		says(t, b.run("tklbam-restore", toDisk, fromShop, "--skip-files", "--skip-packages", "--no-rollback", "--time="+p.time), 0, "We're done")
		if is := b.shopContent(); is != p.content {
			t.Errorf("point %d:\n%s", i, difference(p.content, is))
		}
	}
}

// session opens a session of PostgreSQL that stays. The channel tells of its
// end.
func (m *machine) session(db string) <-chan error {
	m.t.Helper()
	cmd := m.command("runuser", "-u", "postgres", "--", "psql", db, "-c", "select pg_sleep(600)")
	ok(m.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return ended
}

// testKilledAmongDatabases: a restore that is killed while databases are
// replaced is undone.
func testKilledAmongDatabases(t *testing.T, b *machine, was string) {
	args := []string{"tklbam-restore", toDisk, fromShop, "--skip-packages"}
	mysqlData := "/var/lib/mysql/"
	for name, at := range map[string]func() bool{
		"the old databases are kept": b.having("/var/backups/tklbam-rollback/myfs/shop"),
		"a table is made":            b.having(mysqlData + "shop/log.ibd"),
		"users are merged":           b.having(mysqlData + "tklbam_system_tables"),
		"PostgreSQL's are kept":      b.having("/var/backups/tklbam-rollback/pgfs/shop"),
	} {
		if !b.killedWhen(at, args...) {
			t.Logf("too late: %s", name)
		}
		b.rolledBack()
		if is := b.databases(); is != was {
			t.Fatalf("after a restore that was killed when %s:\n%s", name, difference(was, is))
		}
	}
}

// difference lists the lines that only one of two texts has.
func difference(a, b string) string {
	la, lb := lineSet(a), lineSet(b)
	var out strings.Builder
	for line := range strings.Lines(a) {
		if !lb[line] {
			out.WriteString("- " + line)
		}
	}
	for line := range strings.Lines(b) {
		if !la[line] {
			out.WriteString("+ " + line)
		}
	}
	return out.String()
}

func lineSet(text string) map[string]bool {
	set := map[string]bool{}
	for line := range strings.Lines(text) {
		set[line] = true
	}
	return set
}

// megabytesVar says how large the database of the benchmark is.
const megabytesVar = "TKLBAM_BENCH_MB"

// BenchmarkDatabaseIncrement measures what a backup stores of a large database
// in which 100 rows have changed since the one before.
func BenchmarkDatabaseIncrement(b *testing.B) {
	size, err := strconv.Atoi(os.Getenv(megabytesVar))
	if err != nil {
		b.Skipf("%s does not say how large: %v", megabytesVar, err)
	}
	a := newStore(b)
	const row = 500
	a.mysql(fmt.Sprintf("USE shop; CREATE TABLE many (id INT PRIMARY KEY AUTO_INCREMENT, n INT, text VARCHAR(500)); "+
		"INSERT INTO many (n, text) SELECT 0, CONCAT(SHA2(seq, 512), SHA2(seq+1, 512), SHA2(seq+2, 512), LEFT(SHA2(seq+3, 512), 86)) FROM seq_1_to_%d", size*1000*1000/row))
	a.quiet("tklbam-backup", toDisk)
	for b.Loop() {
		a.mysql("UPDATE shop.many SET n = n + 1 ORDER BY RAND() LIMIT 100")
		_, sum := events(b, a.quiet("tklbam-backup", toDisk, "--json"))
		b.ReportMetric(float64(sum.StoredBytes)/1e6, "MB-stored")
		if sum.StoredBytes > 1e6 {
			b.Errorf("%d bytes are stored", sum.StoredBytes)
		}
	}
}
