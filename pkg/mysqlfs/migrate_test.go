package mysqlfs

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// recorded makes the tree of a recorded dump.
func recorded(t testing.TB, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := filepath.Join(t.TempDir(), "myfs")
	if _, err := FromSQL(dir, f, nil, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// healthy runs the checks that a server passes after an upgrade.
func (i *instance) healthy() {
	i.t.Helper()
	out, err := exec.Command("mariadb-check", "--no-defaults", "-S", i.socket, "--all-databases", "--check-upgrade").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if err != nil || !strings.HasSuffix(strings.TrimSpace(line), "OK") {
			i.t.Errorf("mariadb-check: %v: %s", err, line)
		}
	}
	out, err = exec.Command("mariadb-upgrade", "--no-defaults", "-S", i.socket, "--check-if-upgrade-is-needed").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "already") {
		i.t.Errorf("mariadb-upgrade: %v: %s", err, out)
	}
	if got := i.sql("select table_type from information_schema.tables where table_schema='mysql' and table_name in ('user','global_priv') order by table_name"); got != "BASE TABLE\nVIEW" {
		i.t.Errorf("users are in: %s", got)
	}
	if got := i.sql("select count(*) from information_schema.schemata where schema_name='" + scratch + "'"); got != "0" {
		i.t.Error("the scratch database is still there")
	}
}

// TestOldServer loads the tree of a server from before users moved, in the
// layout of old.
func TestOldServer(t *testing.T) {
	dir := recorded(t, "mariadb-10.1.sql")
	i := start(t)
	structure := i.sql("select table_name, column_name, column_type from information_schema.columns where table_schema='mysql' order by 1,2")
	for range 2 { // the second time over itself
		i.load(dir, LoadOptions{})
		sameLines(t, structure, i.sql("select table_name, column_name, column_type from information_schema.columns where table_schema='mysql' order by 1,2"))
		i.healthy()
	}
	for query, want := range map[string]string{
		"select user, host from mysql.user where user <> 'mysql' order by 1, 2": "clerk\t\ndebian-sys-maint\tlocalhost\nmariadb.sys\tlocalhost\nroot\tlocalhost\nsecure\t10.%\nshop\tlocalhost",
		"show grants for shop@localhost": "GRANT `clerk` TO `shop`@`localhost`\nGRANT USAGE ON *.* TO `shop`@`localhost` IDENTIFIED BY PASSWORD '*D821809F681A40A6E379B50D0463EFAE20BDD122' WITH MAX_CONNECTIONS_PER_HOUR 7\n" +
			"GRANT SELECT, INSERT ON `shop`.* TO `shop`@`localhost`\nSET DEFAULT ROLE `clerk` FOR `shop`@`localhost`",
		"show grants for secure@'10.%'":                                                     "GRANT SELECT ON *.* TO `secure`@`10.%` IDENTIFIED BY PASSWORD '*D821809F681A40A6E379B50D0463EFAE20BDD122' REQUIRE X509",
		"show grants for root@localhost":                                                    "GRANT `clerk` TO `root`@`localhost` WITH ADMIN OPTION\nGRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` IDENTIFIED VIA unix_socket WITH GRANT OPTION\nGRANT PROXY ON ``@`%` TO `root`@`localhost` WITH GRANT OPTION",
		"select shop.vat(21), name, definer from mysql.event":                               "42\tnightly\troot@localhost",
		"select count(*) from mysql.help_topic where name='OLD'":                            "0",
		"select * from mysql.time_zone_name":                                                "Europe/Vienna\t1",
		"update shop.items set name='x' where id=1; select name from shop.items where id=1": "X",
		"select * from shop.all_items":                                                      "1\n2",
		"select name from mysql.proc where db='mysql' and body = 'begin end'":               "",
	} {
		if got := i.sql(query); got != want {
			t.Errorf("%s:\nwant %q\n got %q", query, want, got)
		}
	}
	out, err := exec.Command("mariadb", "--no-defaults", "-S", i.socket, "-ushop", "-ppw", "-N", "-e", "select current_role(), count(*) from shop.items").CombinedOutput()
	if string(out) != "clerk\t2\n" {
		t.Errorf("as user shop: %v: %s", err, out)
	}
	if saved, err := i.Save(context.Background(), t.TempDir(), nil, nil); err != nil || len(saved.Failed) > 0 {
		t.Errorf("saved again: %+v, %v", saved, err)
	}
}
