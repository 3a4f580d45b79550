package ftp_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/backendtest"
	"tklbam/backends/ftp"
)

// The user of pyftpdlib. The characters are those that addresses and commands
// may get wrong.
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
	if err != nil {
		absent(t, program)
	}
	return path
}

func absent(t *testing.T, program string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
}

// A server is a real one on the loopback interface.
type server struct {
	root    string // the directory its users begin in
	address string // without path
	port    int
	env     ftp.Environment
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
func start(t *testing.T, host string, port int, program string, args ...string) {
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
		conn, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
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

// serverDir returns a directory that any user may write.
func serverDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/files/dir", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"", "files/dir"} {
		if err := os.Chmod(filepath.Join(dir, d), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// certificate makes a self-signed one for localhost.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	needs(t, "openssl")
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
		"-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return cert, key
}

const vsftpdConfig = `listen=YES
background=NO
listen_address=127.0.0.1
listen_port=%[2]d
anonymous_enable=YES
local_enable=NO
write_enable=YES
anon_root=%[1]s/files
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
anon_umask=022
allow_writeable_chroot=YES
no_anon_password=YES
seccomp_sandbox=NO
max_per_ip=0
ftp_username=daemon
secure_chroot_dir=%[1]s/empty
xferlog_enable=NO
`

const vsftpdTLS = `ssl_enable=YES
allow_anon_ssl=YES
force_anon_data_ssl=YES
force_anon_logins_ssl=YES
require_ssl_reuse=YES
ssl_tlsv1=YES
ssl_ciphers=HIGH
rsa_cert_file=%[1]s
rsa_private_key_file=%[2]s
implicit_ssl=%[3]s
`

// vsftpd starts vsftpd: anonymous, with LIST and no MLSD. It runs as root
// only. The scheme says which encryption it insists on.
func vsftpd(t *testing.T, scheme string, implicit bool) *server {
	t.Helper()
	program := needs(t, "vsftpd")
	if os.Getuid() != 0 {
		t.Skip("vsftpd needs to be started by root")
	}
	dir, port := serverDir(t), freePort(t)
	if err := os.Mkdir(dir+"/empty", 0o755); err != nil {
		t.Fatal(err)
	}
	s := &server{root: dir + "/files", address: fmt.Sprintf("%s://localhost:%d", scheme, port), port: port}
	config := fmt.Sprintf(vsftpdConfig, dir, port)
	if scheme != "ftp" {
		cert, key := certificate(t, dir)
		s.env.CAFile = cert
		config += fmt.Sprintf(vsftpdTLS, cert, key, map[bool]string{true: "YES", false: "NO"}[implicit])
	}
	write(t, dir+"/vsftpd.conf", config)
	start(t, "127.0.0.1", port, program, dir+"/vsftpd.conf")
	return s
}

const pyftpdlibProgram = `
import sys, os, json
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

o = json.loads(sys.argv[1])
authorizer = DummyAuthorizer()
authorizer.add_user(o["user"], o["password"], o["root"], perm="elradfmwMT")

class Handler(TLS_FTPHandler if o["cert"] else FTPHandler):
    proto_cmds = dict(TLS_FTPHandler.proto_cmds if o["cert"] else FTPHandler.proto_cmds)

    def ftp_RNTO(self, path):
        if o["norename"] and os.path.lexists(path):
            self._rnfr = None
            self.respond("553 File exists.")
            return
        return super().ftp_RNTO(path)

Handler.authorizer = authorizer
Handler.auth_failed_timeout = 0
for c in o["without"]:
    del Handler.proto_cmds[c]
if o["cert"]:
    Handler.certfile, Handler.keyfile = o["cert"], o["key"]
    Handler.tls_control_required = Handler.tls_data_required = True
import logging
logging.disable(logging.INFO)
server = FTPServer((o["host"], o["port"]), Handler)
server.max_cons = 512
server.serve_forever(handle_exit=True)
`

// An oddity is a thing that a server does not do.
type oddity struct {
	sixth    bool // it listens on [::1]
	tls      bool
	norename bool     // over a file
	without  []string // commands
}

// pyftpdlib starts pyftpdlib: with MLSD, and a user.
func pyftpdlib(t *testing.T, o oddity) *server {
	t.Helper()
	python := "python3"
	if !hasPyftpdlib(python) {
		python = "/usr/bin/python3" // the system's, which its packages are for
	}
	if !hasPyftpdlib(python) {
		absent(t, "pyftpdlib (python3-pyftpdlib and python3-openssl)")
	}
	dir, port := serverDir(t), freePort(t)
	s := &server{root: dir + "/files", address: fmt.Sprintf("ftp://localhost:%d", port), port: port}
	s.env.User, s.env.Password = testUser, backends.NewSecret(testPassword)
	cert, key := "", ""
	if o.tls {
		cert, key = certificate(t, dir)
		s.env.CAFile = cert
		s.address = strings.Replace(s.address, "ftp", "ftpes", 1)
	}
	without := `"` + strings.Join(o.without, `","`) + `"`
	if o.without == nil {
		without = ""
	}
	host := "127.0.0.1"
	if o.sixth {
		host = "::1"
	}
	options := fmt.Sprintf(`{"host": %q, "user": %q, "password": %q, "root": %q, "port": %d, "cert": %q, "key": %q, "norename": %v, "without": [%s]}`,
		host, testUser, testPassword, s.root, port, cert, key, o.norename, without)
	start(t, host, port, python, "-W", "ignore", "-c", pyftpdlibProgram, options)
	return s
}

func hasPyftpdlib(python string) bool {
	return exec.Command(python, "-W", "ignore", "-c", "import pyftpdlib, OpenSSL").Run() == nil
}

func (s *server) tryOpen(ctx context.Context, path string, opts backends.Options) (backends.Backend, error) {
	return backends.Open(ctx, []backends.Driver{ftp.Driver(s.env)}, s.address+path, opts)
}

func (s *server) open(t *testing.T, path string, opts backends.Options) backends.Backend {
	t.Helper()
	b, err := s.tryOpen(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// conform runs the suite, each of its targets in a directory of its own.
func conform(t *testing.T, s *server) {
	t.Parallel()
	n := 0
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		n++
		return s.open(t, fmt.Sprintf("/dir/a%%20b%%C3%%BC+%%25/%d", n), backends.Options{Create: true})
	})
}

func TestVsftpd(t *testing.T)         { conform(t, vsftpd(t, "ftp", false)) }
func TestVsftpdImplicit(t *testing.T) { conform(t, vsftpd(t, "ftps", true)) }
func TestPyftpdlib(t *testing.T)      { conform(t, pyftpdlib(t, oddity{})) }
