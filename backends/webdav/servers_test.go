package webdav_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	netdav "golang.org/x/net/webdav"

	"tklbam/backends"
	"tklbam/backends/backendtest"
	"tklbam/backends/webdav"
)

// The user of all servers here. The characters are those that addresses and
// headers may get wrong.
const (
	testUser     = "back up"
	testPassword = `p:a"s\s@/%&ü`
)

func needs(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
	return ""
}

// A server is a real one on the loopback interface.
type server struct {
	root    string // the directory its collection "dav" is in
	address string // of the server's root, without user and slash at the end
	env     webdav.Environment
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start runs a server in the foreground until the test ends, and waits until
// it takes connections.
func start(t *testing.T, port int, program string, args ...string) {
	t.Helper()
	var output bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-exited:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-exited
		}
	})
	deadline := time.After(10 * time.Second)
	for {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("%s ended: %v\n%s", program, err, output.String())
		case <-deadline:
			t.Fatalf("%s takes no connections: %v", program, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

const apacheConfig = `
ServerRoot %[1]s
ServerName localhost
Listen 127.0.0.1:%[2]d
PidFile %[1]s/pid
ErrorLog %[1]s/error.log
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
	%[4]s
	Require valid-user
</Directory>
`

const (
	basicAuth  = "AuthType Basic\n AuthUserFile %q"
	digestAuth = "AuthType Digest\n AuthUserFile %q\n AuthDigestNonceLifetime %d"
)

// apache starts Apache with mod_dav. nonceLife is in seconds, 0 for Basic.
func apache(t *testing.T, nonceLife int, tls bool) *server {
	t.Helper()
	program := needs(t, "apache2")
	dir, port := serverDir(t), freePort(t)
	users := filepath.Join(dir, "users")
	auth := fmt.Sprintf(digestAuth, users, nonceLife)
	sum := md5.Sum([]byte(testUser + `:a realm, of sorts:` + testPassword))
	entry := testUser + `:a realm, of sorts:` + hex.EncodeToString(sum[:])
	if nonceLife == 0 {
		auth = fmt.Sprintf(basicAuth, users)
		needs(t, "openssl")
		hash, err := exec.Command("openssl", "passwd", "-apr1", testPassword).Output()
		if err != nil {
			t.Fatal(err)
		}
		entry = testUser + ":" + string(hash)
	}
	write(t, users, entry+"\n")
	s := &server{root: filepath.Join(dir, "files"), address: fmt.Sprintf("webdav://localhost:%d", port), env: environment(dir)}
	encryption := ""
	if tls {
		s.address = strings.Replace(s.address, "webdav", "webdavs", 1)
		s.env.CAFile = certificate(t, dir)
		encryption = fmt.Sprintf("SSLEngine on\nSSLCertificateFile %q\nSSLCertificateKeyFile %q", s.env.CAFile, dir+"/key.pem")
	}
	config := filepath.Join(dir, "apache.conf")
	write(t, config, fmt.Sprintf(apacheConfig, dir, port, encryption, auth))
	start(t, port, program, "-D", "FOREGROUND", "-f", config)
	return s
}

func environment(dir string) webdav.Environment {
	return webdav.Environment{User: testUser, Password: backends.NewSecret(testPassword), SpoolDir: dir}
}

// serverDir returns a directory that www-data, as which Apache runs when it is
// started by root, may write.
func serverDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(dir+"/files/dav", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"files", "files/dav"} {
		if err := os.Chmod(filepath.Join(dir, d), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// certificate makes a self-signed one for localhost.
func certificate(t *testing.T, dir string) string {
	t.Helper()
	needs(t, "openssl")
	cert := filepath.Join(dir, "cert.pem")
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
		"-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", dir+"/key.pem", "-out", cert).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return cert
}

// goServer serves a directory with golang.org/x/net/webdav, which rclone and
// others are built on, with Basic authentication.
func goServer(t *testing.T) *server {
	t.Helper()
	dir := serverDir(t)
	h := &netdav.Handler{FileSystem: netdav.Dir(dir + "/files"), LockSystem: netdav.NewMemLS()}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != testUser || password != testPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="go"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return &server{root: dir + "/files", address: strings.Replace(s.URL, "http", "webdav", 1), env: environment(dir)}
}

// open opens a collection of a server.
func (s *server) open(t *testing.T, path string, opts backends.Options) backends.Backend {
	t.Helper()
	b, err := s.tryOpen(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func (s *server) tryOpen(ctx context.Context, path string, opts backends.Options) (backends.Backend, error) {
	return backends.Open(ctx, []backends.Driver{webdav.Driver(s.env)}, s.address+path, opts)
}

// conform runs the suite, each of its targets in a collection of its own.
func conform(t *testing.T, s *server) {
	t.Parallel()
	n := 0
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		n++
		return s.open(t, fmt.Sprintf("/dav/a%%20b%%C3%%BC+%%25/%d", n), backends.Options{Create: true})
	})
}

func TestApacheBasic(t *testing.T)  { conform(t, apache(t, 0, false)) }
func TestApacheDigest(t *testing.T) { conform(t, apache(t, 1, true)) }
func TestGoServer(t *testing.T)     { conform(t, goServer(t)) }
