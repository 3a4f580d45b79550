package servers

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A WebDAVServer has the user of this package and a collection "dav".
type WebDAVServer struct {
	Dir    string // for files that the server's user may read
	Root   string // the directory that the collection is in
	Host   string // localhost, or the address, and port
	CAFile string // with its certificate, if it has one
}

const apacheConfig = `
ServerRoot %[1]s
ServerName localhost
Listen 127.0.0.1:%[2]d
PidFile %[1]s/pid
ErrorLog %[1]s/log
Mutex file:%[1]s default
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authn_file_module /usr/lib/apache2/modules/mod_authn_file.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
LoadModule auth_basic_module /usr/lib/apache2/modules/mod_auth_basic.so
LoadModule auth_digest_module /usr/lib/apache2/modules/mod_auth_digest.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
LoadModule dav_module /usr/lib/apache2/modules/mod_dav.so
LoadModule dav_fs_module /usr/lib/apache2/modules/mod_dav_fs.so
User www-data
Group www-data
DavLockDB %[1]s/locks
DocumentRoot %[1]s/files
AllowEncodedSlashes NoDecode
%[3]s
<Directory %[1]s/files>
	Dav On
	DirectorySlash On
	AuthName "a realm, of sorts"
	AuthUserFile %[1]s/users
	%[4]s
	Require valid-user
</Directory>
`

// ApacheOptions say what is special about an Apache.
type ApacheOptions struct {
	User, Password string // those of this package if both are empty
	NonceLife      int    // in seconds, of Digest; 0 for Basic authentication
	TLS            bool
}

// Apache starts Apache with mod_dav.
func Apache(t testing.TB, o ApacheOptions) *WebDAVServer {
	t.Helper()
	program := Needs(t, "apache2")
	if o.User == "" && o.Password == "" {
		o.User, o.Password = User, Password
	}
	s, port := webDAV(t), FreePort(t)
	s.Host = fmt.Sprintf("localhost:%d", port)
	encryption := ""
	if o.TLS {
		cert, key := Certificate(t, s.Dir)
		s.CAFile = cert
		encryption = fmt.Sprintf("SSLEngine on\nSSLCertificateFile %q\nSSLCertificateKeyFile %q", cert, key)
	}
	auth, entry := o.authentication(t)
	write(t, s.Dir+"/users", entry+"\n")
	config := filepath.Join(s.Dir, "apache.conf")
	write(t, config, fmt.Sprintf(apacheConfig, s.Dir, port, encryption, auth))
	serve(t, syscall.SIGINT, loopback(port), s.Dir+"/log", program, "-D", "FOREGROUND", "-f", config)
	return s
}

// authentication returns the lines of a configuration and the entry of the
// user.
func (o ApacheOptions) authentication(t testing.TB) (lines, entry string) {
	t.Helper()
	if o.NonceLife > 0 {
		sum := md5.Sum([]byte(o.User + `:a realm, of sorts:` + o.Password))
		return fmt.Sprintf("AuthType Digest\n\tAuthDigestNonceLifetime %d", o.NonceLife), o.User + `:a realm, of sorts:` + hex.EncodeToString(sum[:])
	}
	hash, err := exec.Command(Needs(t, "openssl"), "passwd", "-apr1", o.Password).Output()
	check(t, err)
	return "AuthType Basic", o.User + ":" + strings.TrimSpace(string(hash))
}

// webDAV makes the directories of a server, which www-data may write, as which
// Apache runs when it is started by root.
func webDAV(t testing.TB) *WebDAVServer {
	t.Helper()
	dir := OpenDir(t, "files", "files/dav")
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		check(t, os.Chmod(d, 0o777))
	}
	return &WebDAVServer{Dir: dir, Root: dir + "/files"}
}
