package e2e

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tklbam/backends/backendtest/servers"
)

// A site is a place for a target on a real server, as a box uses it.
type site struct {
	address  string   // ends where a path goes on, without a password
	login    string   // the part of it where a password goes in, ":" in front; "" if none does
	variable string   // that holds the password; "" where there is none
	password string   // in variable
	env      []string // other variables

	dir  string // the server's at the address; "" where there are none
	addr string // of the server, host and port as the address has it
}

// A starter starts a server for a box, which ends with the test.
type starter func(t testing.TB, b *box) *site

var sites = []struct {
	name     string
	start    starter
	password bool // the user has one
	typed    bool // it goes in an address
}{
	{"file", fileSite, false, false},
	{"sftp", sftpSite, false, false},
	{"sftp with a password", sftpPasswordSite, true, true},
	{"ftp", ftpSite(servers.User, servers.Password), true, true},
	{"vsftpd", vsftpdSite, false, false},
	{"webdav", webdavSite(servers.User, servers.Password, 60), true, true},
	{"rsync", rsyncSite, true, true},
	{"s3", s3Site, true, false},
	{"swift", swiftSite, true, false},
	{"imap", imapSite, true, true},
}

// use has a box use a directory of a site. Without a password of the test's own
// the right one is in the environment.
func (b *box) use(s *site, path string) {
	b.target, b.env = s.address+path, s.env
	if s.variable != "" {
		b.env = append(b.env[:len(b.env):len(b.env)], s.variable+"="+s.password)
	}
}

// mkdir makes a directory for who makes none on the server.
func (s *site) mkdir(t testing.TB, name string) {
	t.Helper()
	if s.dir == "" {
		return
	}
	dir := filepath.Join(s.dir, name)
	ok(t, os.Mkdir(dir, 0o777))
	ok(t, os.Chmod(dir, 0o777))
}

func fileSite(t testing.TB, _ *box) *site {
	dir := tempDir(t)
	return &site{address: "file://" + dir + "/", dir: dir}
}

func sftpSite(t testing.TB, b *box) *site {
	s := servers.SSHD(t, servers.SSHOptions{Lines: []string{servers.WithSFTP}})
	s.Admit(t, b.path("home"))
	return &site{address: "sftp://" + s.User + "@" + s.Addr + "/", dir: s.Dir, addr: s.Addr}
}

func sftpPasswordSite(t testing.TB, b *box) *site {
	s := servers.SSHD(t, servers.SSHOptions{Lines: []string{servers.WithSFTP}, Password: servers.Password})
	s.Known(t, b.path("home"), s.Addr)
	return &site{
		address: "sftp://" + s.User + "@" + s.Addr + "/", login: s.User + "@", dir: s.Dir, addr: s.Addr,
		variable: "FTP_PASSWORD", password: servers.Password,
	}
}

func ftpSite(user, password string) starter {
	return func(t testing.TB, _ *box) *site {
		s := servers.Pyftpdlib(t, servers.PyftpdlibOptions{User: user, Password: password})
		login, addr := url.PathEscape(user)+"@", fmt.Sprintf("127.0.0.1:%d", s.Port)
		return &site{
			address: "ftp://" + login + addr + "/dir/", login: login, dir: s.Root + "/dir", addr: addr,
			variable: "FTP_PASSWORD", password: password,
		}
	}
}

func vsftpdSite(t testing.TB, _ *box) *site {
	s := servers.Vsftpd(t, servers.NoTLS)
	addr := fmt.Sprintf("127.0.0.1:%d", s.Port)
	return &site{address: "ftp://" + addr + "/dir/", dir: s.Root + "/dir", addr: addr}
}

// webdavSite has nonces of Digest authentication live some seconds, or Basic for
// 0.
func webdavSite(user, password string, nonceLife int) starter {
	return func(t testing.TB, _ *box) *site {
		s := servers.Apache(t, servers.ApacheOptions{User: user, Password: password, NonceLife: nonceLife})
		login, addr := url.PathEscape(user)+"@", strings.Replace(s.Host, "localhost", "127.0.0.1", 1)
		return &site{
			address: "webdav://" + login + addr + "/dav/", login: login, dir: s.Root + "/dav", addr: addr,
			variable: "WEBDAV_PASSWORD", password: password,
		}
	}
}

func rsyncSite(t testing.TB, _ *box) *site {
	s := servers.Rsyncd(t, servers.RsyncUsers...)
	return &site{
		address: "rsync://" + servers.RsyncUser + "@" + s.Addr + "::/files/", login: servers.RsyncUser + "@", dir: s.Dir, addr: s.Addr,
		variable: "RSYNC_PASSWORD", password: servers.RsyncPassword,
	}
}

func s3Site(t testing.TB, _ *box) *site {
	s := servers.VersityGW(t, servers.S3Options{TLS: true})
	return bucketSite(t, s, "AWS_CA_BUNDLE="+s.CAFile)
}

// s3PlainSite starts a server without TLS, which the environment tells of, such
// as boto wants it: on the port of HTTP, for it puts any other in the headers
// twice, and with a region that it believes to see in the host's name.
func s3PlainSite(t testing.TB, _ *box) *site {
	const host = "127.0.0.80:80"
	l, err := net.Listen("tcp", host)
	if err != nil {
		t.Skipf("needs the port %s: %v", host, err)
	}
	ok(t, l.Close())
	return bucketSite(t, servers.VersityGW(t, servers.S3Options{Host: host, Args: []string{"--region", "127"}}), "AWS_ENDPOINT_URL=http://"+host)
}

func bucketSite(t testing.TB, s *servers.S3Server, env string) *site {
	ok(t, os.Mkdir(filepath.Join(s.Dir, "bucket"), 0o755))
	return &site{
		address: "s3://" + s.Host + "/bucket/", addr: s.Host, env: []string{"AWS_ACCESS_KEY_ID=" + servers.S3Key, env},
		variable: "AWS_SECRET_ACCESS_KEY", password: servers.S3Secret,
	}
}

func swiftSite(t testing.TB, _ *box) *site {
	s := servers.Swift(t)
	return &site{
		address:  "swift://container/",
		env:      []string{"SWIFT_USERNAME=" + servers.SwiftUser, "SWIFT_AUTHURL=" + s.AuthURL(), "SWIFT_AUTHVERSION=1"},
		variable: "SWIFT_PASSWORD", password: servers.SwiftPassword,
	}
}

// noPenalty has Dovecot answer at once who fails to log in again and again.
const noPenalty = `auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`

func imapSite(t testing.TB, _ *box) *site {
	s := servers.Dovecot(t, servers.DovecotOptions{Config: noPenalty})
	login := "back%20up%40mail.example@"
	return &site{
		address: fmt.Sprintf("imaps://%s127.0.0.1:%d/", login, s.TLSPort), login: login,
		env:      []string{"SSL_CERT_FILE=" + s.CAFile},
		variable: "IMAP_PASSWORD", password: servers.IMAPPassword,
	}
}
