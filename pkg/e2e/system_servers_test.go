package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// serversVar is like baseVar for a system with database servers.
const serversVar = "TKLBAM_TEST_DEBIAN_SERVERS"

// withServers makes a system with database servers, once, of the base.
var withServers = sync.OnceValues(func() (string, error) {
	from, err := base()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(built, "servers")
	made := os.Getenv(serversVar)
	if made != "" {
		from = made
	}
	if out, err := exec.Command("cp", "-a", from, dir).CombinedOutput(); err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	if made != "" {
		return dir, exec.Command("cp", filepath.Join(built, "tklbam"), filepath.Join(dir, "usr/bin/tklbam")).Run()
	}
	return dir, addServers(dir)
})

// addServers installs them, from where this machine's packages come from.
func addServers(dir string) error {
	mirror, suite, err := archive()
	if err != nil {
		return err
	}
	const script = `
mv /etc/apt/sources.list /tmp/sources.list
echo "deb $1 $2 main" > /etc/apt/sources.list
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
apt-get -q update
apt-get -q -y -o APT::Sandbox::User=root install --no-install-recommends mariadb-server postgresql redis-server sqlite3
rm /usr/sbin/policy-rc.d
mv /tmp/sources.list /etc/apt/sources.list
apt-get clean
rm -rf /var/lib/apt/lists/* /usr/share/doc /usr/share/locale
mkdir -p /var/lib/apt/lists/partial /var/cache/apt/archives/partial
`
	words := append(apart(true), "sh", "-ec", enter, "sh", dir, "/etc/resolv.conf", "/etc/resolv.conf", "--", "bash", "-ec", script, "bash", mirror, suite)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		return errors.Join(errBootstrap, err, errors.New(string(out)))
	}
	return nil
}

// newServers makes a machine of it, with its servers running. They end with
// the test.
func newServers(t testing.TB, name, disk string) *machine {
	t.Helper()
	needsSystems(t)
	needs(t, "nsenter", "ip")
	from, err := withServers()
	if errors.Is(err, errBootstrap) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	ok(t, err)
	m := newMachineOf(t, from, name, disk, tempDir(t))
	m.boot()
	for _, hook := range []string{"redis", "sqlite"} {
		m.must("mkdir", "-p", "/etc/tklbam/hooks.d")
		copyTree(t, "../../contrib/hooks/"+hook, m.path("/etc/tklbam/hooks.d/"+hook))
		m.must("chmod", "755", "/etc/tklbam/hooks.d/"+hook)
	}
	m.shell("mkdir -m 1777 /run/lock; for s in mariadb postgresql redis-server; do service $s start; done")
	return m
}

// mysql runs statements as the administrator, and returns what comes of them.
func (m *machine) mysql(sql string) string {
	m.t.Helper()
	return m.typed(sql, "mysql -N").stdout
}

func (m *machine) psql(db, sql string) string {
	m.t.Helper()
	return m.typed(sql, "cd /; runuser -u postgres -- psql -qAt -v ON_ERROR_STOP=1 "+db).stdout
}
