package imap_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/backendtest"
	"tklbam/backends/imap"
)

// The characters are those that addresses and commands may get wrong.
const (
	testUser     = "back up@mail.example"
	testPassword = `p:a"s\s@/%&ü {3}`
)

func needs(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", program)
		}
		t.Skipf("%s is not installed", program)
	}
	return path
}

// A server is a real one on the loopback interface.
type server struct {
	dir         string
	host        string
	port, sport int // without and with TLS from the first byte
	env         imap.Environment
}

// A setup is what is special about a server.
type setup struct {
	ip       string // 127.0.0.1 if it is empty
	standard bool   // on the ports of IMAP
	user     string // testUser if it is empty
	password string // testPassword if it is empty
	mail     string // how it keeps mail
	config   string // more of its configuration
}

const dovecotConfig = `
instance_name = tklbam-test
base_dir = %[1]s/r
state_dir = %[1]s/s
log_path = %[1]s/log
protocols = imap
listen = %[2]s
disable_plaintext_auth = no
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
auth_username_chars =
auth_mechanisms = plain login
mail_location = %[5]s
first_valid_uid = 1
mail_max_userip_connections = 200
mail_fsync = never
passdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
}
userdb {
  driver = static
  args = uid=%[6]s gid=%[7]s home=%[1]s/mail
}
namespace inbox {
  inbox = yes
}
service imap-login {
  client_limit = 1000
  process_limit = 4
  service_count = 0
  inet_listener imap {
    port = %[3]d
  }
  inet_listener imaps {
    port = %[4]d
    ssl = yes
  }
}
`

// dovecot starts Dovecot.
func dovecot(t *testing.T, s setup) *server {
	t.Helper()
	program := needs(t, "dovecot")
	if os.Getuid() != 0 {
		t.Skip("dovecot needs to be started by root")
	}
	if s.ip == "" {
		s.ip = "127.0.0.1"
	}
	if s.mail == "" {
		s.mail = "sdbox:~/box"
	}
	if s.user == "" {
		s.user = testUser
	}
	if s.password == "" {
		s.password = testPassword
	}
	port, sport := 143, 993
	if !s.standard {
		port, sport = freePort(t), freePort(t)
	}
	dir := serverDir(t)
	owner := owner(t, dir)
	certificate(t, dir, s.ip)
	write(t, dir+"/users", fmt.Sprintf("%s:{PLAIN.b64}%s\n", s.user, base64.StdEncoding.EncodeToString([]byte(s.password))))
	write(t, dir+"/conf", fmt.Sprintf(dovecotConfig, dir, s.ip, port, sport, s.mail, owner.Uid, owner.Gid)+s.config)
	start(t, net.JoinHostPort(s.ip, strconv.Itoa(port)), dir+"/log", program, "-F", "-c", dir+"/conf")
	return &server{dir: dir, host: s.ip, port: port, sport: sport, env: imap.Environment{
		Password: backends.NewSecret(s.password), CAFile: dir + "/cert.pem", TempDir: t.TempDir(),
	}}
}

// serverDir returns a directory that the server's processes reach.
func serverDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/mail", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// owner gives the mail to a user without rights.
func owner(t *testing.T, dir string) *user.User {
	t.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	group, err := strconv.Atoi(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir+"/mail", number, group); err != nil {
		t.Fatal(err)
	}
	return u
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
func start(t *testing.T, address, log, program string, args ...string) {
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
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			<-exited
		}
		if text, err := os.ReadFile(log); err == nil && t.Failed() {
			t.Logf("the server's log:\n%s", text[max(0, len(text)-4000):])
		}
	})
	deadline := time.After(10 * time.Second)
	for {
		conn, err := net.Dial("tcp", address)
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

// certificate makes a self-signed one for an address.
func certificate(t *testing.T, dir, ip string) {
	t.Helper()
	needs(t, "openssl")
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
		"-subj", "/CN=test", "-addext", "subjectAltName=IP:"+ip, "-keyout", dir+"/key.pem", "-out", dir+"/cert.pem").CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
}

// address returns one with a path.
func (s *server) address(scheme, path string) string {
	port := s.port
	if scheme == "imaps" {
		port = s.sport
	}
	u := strings.ReplaceAll(url.PathEscape(testUser), "@", "%40")
	return fmt.Sprintf("%s://%s@%s:%d/%s", scheme, u, s.host, port, path)
}

func tryOpen(ctx context.Context, env imap.Environment, address string, opts backends.Options) (backends.Backend, error) {
	return backends.Open(ctx, []backends.Driver{imap.Driver(env)}, address, opts)
}

func (s *server) open(t *testing.T, scheme, path string) backends.Backend {
	t.Helper()
	b, err := tryOpen(t.Context(), s.env, s.address(scheme, path), backends.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// conform runs the suite, each of its targets in a mailbox of its own.
func conform(t *testing.T, s *server, scheme string) {
	n := 0
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		n++
		return s.open(t, scheme, fmt.Sprintf("sub/a%%20b%%C3%%BC+%%25&/%d", n))
	})
}

func TestBoxTLS(t *testing.T) {
	t.Parallel()
	conform(t, dovecot(t, setup{}), "imaps")
}

func TestMaildir(t *testing.T) {
	if os.Getenv("CI") != "true" {
		t.Skip("the suite takes a minute on Maildir: it is for CI=true")
	}
	t.Parallel()
	conform(t, dovecot(t, setup{mail: "maildir:~/Maildir"}), "imap")
}

// kick ends all connections, and waits until they are gone.
func (s *server) kick(t *testing.T) {
	t.Helper()
	doveadm := func(args ...string) string {
		out, err := exec.Command(needs(t, "doveadm"), append([]string{"-f", "flow", "-c", s.dir + "/conf"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("doveadm: %v\n%s", err, out)
		}
		return string(out)
	}
	doveadm("kick", "*")
	for range 500 {
		if !strings.Contains(doveadm("who"), "username=") {
			return
		}
	}
	t.Fatal("there are still connections")
}
