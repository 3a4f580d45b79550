package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tklbam/backends/backendtest/servers"
)

// The user where stock Duplicity would not quote another.
const plainUser, plainPassword = "keeper", "plainwords"

// A peer is one of stock Duplicity's backends.
type peer struct {
	name    string
	program string // that it needs, or
	module  string // of Python
	start   starter
	options func(b *box, s *site) []string
	scheme  string // of its addresses, ours if it is empty
}

func noOptions(*box, *site) []string { return nil }

func sshOptions(b *box, _ *site) []string {
	ssh := b.path("home/.ssh")
	return []string{"--ssh-options=-oIdentityFile=" + ssh + "/id_ed25519 -oUserKnownHostsFile=" + ssh + "/known_hosts"}
}

var peers = []peer{
	{"file", "", "", fileSite, noOptions, ""},
	{"sftp through paramiko", "", "paramiko", sftpSite, sshOptions, ""},
	{"sftp through pexpect", "sftp", "pexpect", sftpSite, sshOptions, "pexpect+sftp"},
	{"ftp through lftp", "lftp", "", ftpSite(plainUser, plainPassword), noOptions, ""},
	{"ftp through ncftp", "ncftpput", "", ftpSite(plainUser, plainPassword), noOptions, "ncftp+ftp"},
	{"webdav", "", "", webdavSite(plainUser, plainPassword, 0), noOptions, ""},
	{"rsync", "rsync", "", rsyncSite, noOptions, ""},
	{"s3 through boto", "", "boto", s3PlainSite, func(*box, *site) []string {
		return []string{"--s3-unencrypted-connection"}
	}, ""},
	{"s3 through boto3", "", "boto3", s3Site, func(_ *box, s *site) []string {
		return []string{"--s3-endpoint-url=https://" + s.addr}
	}, "boto3+s3"},
}

// address is that of a directory of a site to stock Duplicity.
func (p peer) address(s *site, path string) string {
	scheme, rest, _ := strings.Cut(s.address, "://")
	if p.scheme != "" {
		scheme = p.scheme
	}
	switch p.name {
	case "s3 through boto": // which knows a region for hosts of three parts alone
		rest = strings.Replace(rest, "127.0.0.80:80", "127.0.80", 1)
	case "s3 through boto3":
		rest = strings.TrimPrefix(rest, s.addr+"/")
	}
	return scheme + "://" + rest + path
}

// needed skips the test where the backend lacks something.
func (p peer) needed(t testing.TB) {
	t.Helper()
	needs(t, "duplicity", "gpg")
	if p.program != "" {
		needs(t, p.program)
	}
	if p.module == "pexpect" && os.Getenv("CI") != "true" {
		t.Skip("pexpect takes 15 s: it is for CI=true")
	}
	if p.module != "" && exec.Command("/usr/bin/python3", "-c", "import "+p.module).Run() != nil {
		servers.Absent(t, "python3-"+p.module)
	}
}

// stock prepares stock sessions on a directory of a site.
func (p peer) stock(b *box, s *site, path string) *duplicity {
	b.t.Helper()
	d := newDuplicity(b.t, b.storage, b.secret(), append(p.options(b, s), "--num-retries=1")...)
	d.target = p.address(s, path)
	d.env = append(d.env, s.env...)
	d.env = append(d.env, "PYTHONWARNINGS=ignore", "S3_USE_SIGV4=True", s.variable+"="+s.password, "FTP_PASSWORD="+s.password)
	return d
}

// TestStockStorage has stock Duplicity restore from real servers what ours
// stored there, and ours what stock did.
func TestStockStorage(t *testing.T) {
	for i, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			p.needed(t)
			b := newBox(t, "encryption gpg", "volsize 1")
			s := p.start(t, b)
			g := newGardener(t, uint64(300+i))
			g.file("big", g.noise(1<<20))
			g.names()
			b.use(s, "ours")
			points := sessions(t, g, 1, func() point { return b.point(g) })
			d := p.stock(b, s, "ours")
			same(t, "stock's of our first", d.restore(&points[0]), points[0].tree, stock)
			same(t, "stock's of our last", d.restore(&points[1]), points[1].tree, stock)

			s.mkdir(t, "theirs")
			d = p.stock(b, s, "theirs")
			at, kind := time.Now().Truncate(time.Second), "full"
			points = sessions(t, g, 1, func() point {
				p := d.backup(kind, g, at)
				at, kind = at.Add(5*time.Second), "incr"
				return p
			})
			b.use(s, "theirs")
			for _, p := range points {
				same(t, "ours of "+filepath.Base(d.target), b.restore(p.timeArg()), p.tree, stock)
			}
		})
	}
}
