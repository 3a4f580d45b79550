package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A faqStep is a piece of the FAQ: command lines as somebody types them. What
// they need and do not make themselves is prepared before; what is typed at
// prompts comes from standard input.
type faqStep struct {
	name  string
	stdin string
	typed string
	check func(t *testing.T, m *faqMachine)
}

// A faqMachine is the one that the FAQ's reader sits at, with the disk it
// talks of.
type faqMachine struct {
	*machine
	disk string
}

// onDisk is a path on the other disk as this test sees it.
func (m *faqMachine) onDisk(name string) string { return filepath.Join(m.disk, name) }

func (m *faqMachine) onDiskIs(name string) {
	m.t.Helper()
	if _, err := os.Stat(m.onDisk(name)); err != nil {
		m.t.Error(err)
	}
}

// TestFAQ types what the FAQ says, in its order, as far as it needs no Hub,
// no database and no network. What only the Hub could tell is added, and
// nothing else: addresses, in the configuration where it can be there. Left
// out are the installation of other programs (ncdu, iftop, trickle) and what
// is done with them, and a second restore command, which lacks the backslash
// at the end of its first line.
func TestFAQ(t *testing.T) {
	needsSystems(t)
	disk := tempDir(t)
	m := &faqMachine{newMachine(t, "faq", disk, repository(t, "e2e-lib")), disk}
	m.prepare()
	for _, s := range faqSteps {
		t.Run(s.name, func(t *testing.T) {
			m.t = t
			m.typing(s.stdin, s.typed)
			if s.check != nil {
				s.check(t, m)
			}
		})
	}
}

// prepare makes the machine one with the files that the FAQ talks of.
func (m *faqMachine) prepare() {
	m.shell(`
tklbam-init --solo
mkdir -p /etc/tklbam /var/www/drupal/logs /mnt/images /srv /home/liraz/bigfiles
echo page > /var/www/drupal/index.html
echo log > /var/www/drupal/logs/access
echo image > /mnt/images/image
echo big > /srv/big
echo big > /home/liraz/bigfiles/big
`)
	for from, to := range map[string]string{ // as they are installed
		"conf": "/etc/tklbam/conf", "overrides": "/etc/tklbam/overrides", "cron": "/etc/cron.daily/tklbam-backup",
	} {
		content, err := os.ReadFile("../../contrib/" + from)
		ok(m.t, err)
		m.write(to, string(content))
	}
}

var faqSteps = []faqStep{
	{"to another disk", "secret\n", `
tklbam-backup --address file:///mnt/otherdisk/tklbam/backup
tklbam-escrow /mnt/otherdisk/tklbam/key
`, func(t *testing.T, m *faqMachine) { m.onDiskIs("tklbam/backup"); m.onDiskIs("tklbam/key") }},

	{"restore it", "secret\n", `
echo changed > /var/www/drupal/index.html
tklbam-restore --address file:///mnt/otherdisk/tklbam/backup \
               --keyfile=/mnt/otherdisk/tklbam/key
`, func(t *testing.T, m *faqMachine) { m.holds("/var/www/drupal/index.html", "page\n") }},

	{"passphrase", "another\n", `
tklbam-passphrase
`, nil},

	{"an address in place of the Hub's", "", `
echo address file:///mnt/otherdisk/system >> /etc/tklbam/conf
tklbam-backup
`, func(t *testing.T, m *faqMachine) { m.onDiskIs("system") }},

	{"daily", "", `
chmod +x /etc/cron.daily/tklbam-backup
`, func(t *testing.T, m *faqMachine) {
		says(t, m.run("run-parts", "--test", "/etc/cron.daily"), 0, "/etc/cron.daily/tklbam-backup")
		if r := m.quiet("env", "JITTER=0", "/etc/cron.daily/tklbam-backup"); r.stdout != "" {
			t.Errorf("cron mails a backup that succeeds:\n%s", r.stdout)
		}
	}},

	{"hourly", "", `
mv /etc/cron.daily/tklbam-backup /etc/cron.hourly
chmod +x /etc/cron.hourly/tklbam-backup

echo full-backup 7D >> /etc/tklbam/conf
`, func(t *testing.T, m *faqMachine) {
		says(t, m.run("run-parts", "--test", "/etc/cron.hourly"), 0, "/etc/cron.hourly/tklbam-backup")
	}},

	{"every 14 days", "", `
# create a full backup every 14 days
echo full-backup 14D >> /etc/tklbam/conf
tklbam-backup --simulate
`, nil},

	{"without databases", "", `
# exclude drupal5 database
echo -mysql:drupal5 >> /etc/tklbam/overrides

# exclude sessions table in drupal6 database
echo -mysql:drupal6/sessions >> /etc/tklbam/overrides

tklbam-backup -- -mysql:drupal6/page_cache
tklbam-restore --address=file:///mnt/otherdisk/system --raw-download=/root/system
`, func(t *testing.T, m *faqMachine) {
		says(t, result{stdout: m.read("/root/system/TKLBAM/backup-conf")}, 0, "-mysql:drupal5", "-mysql:drupal6/sessions", "-mysql:drupal6/page_cache")
	}},

	{"without logs", "", `
echo -/var/www/*/logs >> /etc/tklbam/overrides
tklbam-backup --simulate
`, func(t *testing.T, m *faqMachine) {
		list := m.lines("/TKLBAM/fsdelta-olist")
		has(t, list, true, "/var/www/drupal/index.html", "/srv/big")
		has(t, list, false, "/var/www/drupal/logs/access", "/mnt/images/image")
	}},

	{"with images", "", `
echo /mnt/images >> /etc/tklbam/overrides
tklbam-backup /var/www/*/logs
tklbam-restore --address=file:///mnt/otherdisk/system --raw-download=/root/images
`, func(t *testing.T, m *faqMachine) {
		has(t, m.lines("/root/images/TKLBAM/fsdelta-olist"), true, "/var/www/drupal/logs/access", "/mnt/images/image")
	}},

	{"how big", "", `
tklbam-backup --simulate > /root/simulation
`, func(t *testing.T, m *faqMachine) {
		kilobytes(t, m.read("/root/simulation"))
		if !strings.HasPrefix(m.read("/root/simulation"), "CREATING /TKLBAM\n") {
			t.Errorf("simulation: %s", m.read("/root/simulation"))
		}
	}},

	{"dump, review, upload", "", `
# step 1: generate a backup dump
tklbam-backup --dump=/tmp/mybackup

# step 2: interactively review the dump's file contents & disk usage
cd /tmp/mybackup

# Everything perfect?
tklbam-backup --upload-raw=/tmp/mybackup --address=file:///mnt/otherdisk/dump
`, func(t *testing.T, m *faqMachine) {
		m.onDiskIs("dump")
		m.holds("/tmp/mybackup/var/www/drupal/index.html", "page\n")
		m.shell(`rm -r /tmp/mybackup`)
	}},

	{"light", "", `
cp -a /etc/tklbam /etc/tklbam.light

echo -/var/www/\*/logs >> /etc/tklbam.light/overrides
echo -/home/liraz/bigfiles >> /etc/tklbam.light/overrides
echo -mysql:mydatabase/bigtable >> /etc/tklbam.light/overrides

export TKLBAM_CONF=/etc/tklbam.light

mkdir /var/lib/tklbam.light
export TKLBAM_REGISTRY=/var/lib/tklbam.light

echo address file:///mnt/otherdisk/light >> /etc/tklbam.light/conf
tklbam-init
tklbam-backup

cat > /usr/local/bin/tklbam-backup-light << EOF
#!/bin/bash
export TKLBAM_CONF=/etc/tklbam.light
export TKLBAM_REGISTRY=/var/lib/tklbam.light

tklbam-backup
EOF

chmod +x /usr/local/bin/tklbam-backup-light
tklbam-backup-light
tklbam-restore --address=file:///mnt/otherdisk/light --raw-download=/mnt/otherdisk/light-out
`, func(t *testing.T, m *faqMachine) {
		m.onDiskIs("light-out/mnt/images/image")
		for _, p := range []string{"home/liraz/bigfiles/big", "var/www/drupal/logs/access"} {
			if _, err := os.Stat(m.onDisk("light-out/" + p)); err == nil {
				t.Errorf("%s is in the light backup", p)
			}
		}
	}},

	{"only /srv", "", `
mkdir -p /etc/tklbam.srv
echo address file:///mnt/otherdisk/srv >> /etc/tklbam.srv/conf
export TKLBAM_REGISTRY=/var/lib/tklbam.srv
export TKLBAM_CONF=/etc/tklbam.srv

tklbam-init --force-profile=empty
tklbam-backup --skip-packages --skip-database -- /srv
tklbam-restore --address=file:///mnt/otherdisk/srv --raw-download=/mnt/otherdisk/srv-out
`, func(t *testing.T, m *faqMachine) {
		m.onDiskIs("srv-out/srv/big")
		entries, err := os.ReadDir(m.onDisk("srv-out"))
		ok(t, err)
		if len(entries) != 2 {
			t.Errorf("the backup holds %v", entries)
		}
	}},

	{"raw", "", `
echo -/srv >> /etc/tklbam/overrides
export TKLBAM_REGISTRY=/var/lib/tklbam.srv-raw
tklbam-init --solo
tklbam-backup --raw-upload=/srv --address=file:///mnt/otherdisk/srv-raw
rm /srv/big
tklbam-restore --raw-download=/srv --address=file:///mnt/otherdisk/srv-raw
`, func(t *testing.T, m *faqMachine) { m.holds("/srv/big", "big\n") }},

	{"raw is no system", "", `
export TKLBAM_REGISTRY=/var/lib/tklbam.srv-raw
! tklbam-restore --address=file:///mnt/otherdisk/srv-raw 2> /root/error
`, func(t *testing.T, m *faqMachine) { says(t, result{stdout: m.read("/root/error")}, 0, "--raw-download") }},

	{"tarball", "", `
cd /tmp
mkdir mybackup
tklbam-backup --dump=mybackup/
tar jcvf mybackup.tar.bz2 mybackup/
`, func(t *testing.T, m *faqMachine) { m.shell(`rm -r /tmp/mybackup /var/www/drupal`) }},

	{"from the tarball", "", `
cd /tmp
tar jxvf mybackup.tar.bz2
tklbam-restore mybackup/
`, func(t *testing.T, m *faqMachine) { m.holds("/var/www/drupal/index.html", "page\n") }},
}

// typing types lines, and shows what came of it when that was not what it
// should be.
func (m *faqMachine) typing(stdin, lines string) {
	m.t.Helper()
	if r := m.typed(stdin, lines); strings.Contains(r.stderr, "error:") {
		m.t.Errorf("%s\nsays\n%s", lines, r.output())
	}
}

// TestFAQIncomplete: what the FAQ has without the arguments that it takes, or
// that the Hub would tell, says what is missing.
func TestFAQIncomplete(t *testing.T) {
	m, _ := newLone(t)
	m.write("/srv/big", "big\n")
	for _, args := range [][]string{nil, {"--raw-upload=/srv"}, {"--upload-raw=/srv"}, {"--skip-packages", "--skip-database", "--", "/srv"}} {
		m.fails(2, []string{"--address"}, append([]string{"tklbam-backup"}, args...)...)
	}
	m.fails(2, []string{"create-profile"}, "tklbam-internal", "create-profile")
	m.fails(2, []string{"Hub"}, "tklbam-restore", "--raw-download=/srv", "12")
}
