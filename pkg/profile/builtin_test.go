package profile

import (
	"strings"
	"testing"

	"tklbam/pkg/limits"
)

func readEmbedded(t *testing.T, text string) limits.List {
	t.Helper()
	list, err := limits.ReadPaths(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, l := range list {
		if seen[l.Path] {
			t.Errorf("%q is listed twice", l.Path)
		}
		seen[l.Path] = true
	}
	return list
}

func expectMatches(t *testing.T, list limits.List, want bool, paths string) {
	t.Helper()
	in := list.Paths()
	for _, path := range strings.Fields(paths) {
		if in.Match(path) != want {
			t.Errorf("%q is in: %v", path, !want)
		}
	}
}

func TestGeneric(t *testing.T) {
	list := readEmbedded(t, genericConf)
	expectMatches(t, list, true, `
		/etc /etc/passwd /etc/shadow /etc/apache2/apache2.conf /etc/cron.d/job /etc/ssl/private/key.pem
		/etc/ssl/certs/cert.pem /etc/hostname /etc/ssh/ssh_host_rsa_key /etc/fstab /etc/x.dpkg-old
		/root/.ssh/authorized_keys /root/.bashrc /home/u/.config/x /home/u/file /opt/app/x /srv/x
		/usr/local/bin/x /var/www/html/index.php /var/mail/root /var/spool/cron/crontabs/root
		/var/lib/redis/dump.rdb /var/lib/ldap/data.mdb /var/lib/unknown-app/db /var/lib/dhcp/dhcpd.leases
		/var/lib/docker/volumes/v/_data/x /home/u/.local/share/containers/storage/volumes/v
		/var/lib/spamassassin/bayes/x /var/lib/systemd/linger/u /var/lib/dbus/machine-id /var/lib/private/x
		/var/lib/samba/private/passdb.tdb /var/opt/x /var/lib/letsencrypt/x`)
	expectMatches(t, list, false, `
		/ /usr /usr/bin/x /boot/vmlinuz /var /var/log/syslog /var/cache/apt/x /tmp/x /dev/sda /TKLBAM/fsdelta
		/etc/ld.so.cache /etc/alternatives/vi /etc/passwd- /etc/x.dpkg-new /etc/a/b/x.ucf-dist /etc/mtab
		/etc/ssl/certs/0b1b94ef.0 /etc/ssl/certs/ca-certificates.crt
		/root/.cache/x /home/u/.cache/x /home/u/.local/share/containers/storage/overlay/x
		/var/lib/dpkg/status /var/lib/apt/lists/x /var/lib/mysql/ibdata1 /var/lib/mysql-8.0/x
		/var/lib/postgresql/15/main/x /var/lib/tklbam/secret /var/lib/tklbam.srv/secret /var/lib/tklbam2/key
		/var/lib/docker/overlay2/x /var/lib/docker/volumes/metadata.db /var/lib/dhcp/dhclient.eth0.leases
		/var/lib/systemd/random-seed /var/lib/php/sessions/sess_x /var/spool/postfix/active/x /var/spool/cups/x
		/var/spool/cron/atjobs/x /var/lib/spamassassin/4.000000/x /var/backups/tklbam-rollback/x /srv/lost+found/x`)
	// An override that includes everything brings in neither of these.
	everything := append(list, limits.Limit{Kind: limits.Path, Path: "/"})
	expectMatches(t, everything, true, `/ /usr/bin/x /var/log/syslog /boot/x`)
	expectMatches(t, everything, false, `/proc/1/mem /sys/x /TKLBAM/x /swapfile /var/cache/tklbam/x /var/lib/dpkg/status`)
}

// An exclusion that nothing includes the surroundings of has a reason only in
// the last section, which is there for overrides.
func TestGenericExclusionsExclude(t *testing.T) {
	const lastSection = "## Whatever else"
	before, after, ok := strings.Cut(genericConf, lastSection)
	if !ok {
		t.Fatal("the last section is gone")
	}
	list := readEmbedded(t, before)
	for i, l := range list {
		if !l.Exclude {
			continue
		}
		without := append(append(limits.List{}, list[:i]...), list[i+1:]...)
		if !without.Paths().Match(l.Path) {
			t.Errorf("%q is out already", l)
		}
	}
	for _, l := range readEmbedded(t, "#"+after) {
		if !l.Exclude {
			t.Errorf("%q is in the last section", l)
		}
	}
}

func TestIdentity(t *testing.T) {
	list := Identity()
	if len(list) != len(readEmbedded(t, identity)) {
		t.Error("it is not what is embedded")
	}
	for _, l := range list {
		if l.Exclude {
			t.Errorf("%q is an exclusion", l)
		}
	}
	expectMatches(t, list, true, `
		/etc/hostname /etc/hosts /etc/machine-id /etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_rsa_key.pub
		/etc/fstab /etc/crypttab /etc/mdadm/mdadm.conf /etc/resolv.conf /etc/network/interfaces.d/eth0
		/etc/netplan/50-cloud-init.yaml /etc/NetworkManager/system-connections/x.nmconnection /etc/systemd/network/x.link
		/etc/initramfs-tools/conf.d/resume /etc/udev/rules.d/70-persistent-net.rules /etc/default/grub /etc/adjtime
		/etc/dhcpcd.conf /var/lib/dbus/machine-id /var/lib/tklbam/secret`)
	expectMatches(t, list, false, `
		/ /etc /etc/ssh/sshd_config /etc/ssh /etc/passwd /etc/network/if-up.d/x /etc/udev/rules.d/99-local.rules
		/etc/NetworkManager/NetworkManager.conf /etc/default/ssh /etc/systemd/system/x.service /etc/dhcp/dhcpd.conf
		/etc/mailname /home/u/.ssh/id_rsa /var/lib/dhcp/dhcpd.leases /var/www`)
}
