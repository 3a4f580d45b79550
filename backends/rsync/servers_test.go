package rsync_test

import (
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"tklbam/backends"
	"tklbam/backends/rsync"
)

// needs skips a test where a program it needs is absent, or fails it in CI.
func needs(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil && program == "sshd" {
		path, err = exec.LookPath("/usr/sbin/sshd")
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

// A server runs a command for each connection, as inetd does.
type server struct {
	addr  string
	procs sync.WaitGroup

	mu      sync.Mutex
	command []string
}

// serve takes connections until the test ends.
func serve(t testing.TB, command ...string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: l.Addr().String(), command: command}
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			s.procs.Add(1)
			go s.run(conn)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		s.procs.Wait()
	})
	return s
}

func (s *server) run(conn net.Conn) {
	defer s.procs.Done()
	defer conn.Close()
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		return
	}
	defer file.Close()
	s.mu.Lock()
	cmd := exec.Command(s.command[0], s.command[1:]...)
	s.mu.Unlock()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = file, file, io.Discard
	cmd.Run()
}

// become has the server run another command for later connections.
func (s *server) become(command ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.command = command
}

// port returns the port it listens on.
func (s *server) port() string {
	_, port, _ := net.SplitHostPort(s.addr)
	return port
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A daemon is an rsync daemon with the module "files" for a directory.
type daemon struct {
	*server
	dir string
}

// password is the one of the user "plain". It has characters that mean
// something in addresses.
const password = "hunter2 % /"

// startDaemon starts a daemon whose module has more lines. SECRETS in them is
// a file with the password.
func startDaemon(t testing.TB, lines ...string) *daemon {
	t.Helper()
	rsync := needs(t, "rsync")
	etc, dir := t.TempDir(), t.TempDir()
	write(t, filepath.Join(etc, "secrets"), "plain:"+password+"\n")
	id := ""
	if os.Geteuid() == 0 {
		id = "uid = 0\ngid = 0\n"
	}
	conf := fmt.Sprintf("use chroot = no\nreverse lookup = no\nsocket options = TCP_NODELAY\nlog file = %s\nlock file = %s\n%s[files]\npath = %s\nread only = no\n%s\n",
		filepath.Join(etc, "log"), filepath.Join(etc, "lock"), id, dir, strings.Join(lines, "\n"))
	write(t, filepath.Join(etc, "rsyncd.conf"), strings.ReplaceAll(conf, "SECRETS", filepath.Join(etc, "secrets")))
	d := &daemon{serve(t, rsync, "--daemon", "--config="+filepath.Join(etc, "rsyncd.conf")), dir}
	t.Cleanup(func() {
		if log, err := os.ReadFile(filepath.Join(etc, "log")); t.Failed() && err == nil {
			t.Logf("rsync daemon: …%s", log[max(0, len(log)-2000):])
		}
	})
	return d
}

// address returns the address of a path in the module.
func (d *daemon) address(path string) string {
	return "rsync://127.0.0.1:" + d.port() + "::/files" + path
}

// environment returns one that has the test's own environment variables.
func environment() rsync.Environment { return rsync.Environment{Environ: os.Environ()} }

func try(t testing.TB, env rsync.Environment, address string, opts backends.Options) (backends.Backend, error) {
	t.Helper()
	env.SpoolDir = t.TempDir()
	t.Cleanup(func() {
		if left, err := os.ReadDir(env.SpoolDir); err != nil || len(left) > 0 {
			t.Errorf("%d spool directories are left of %s, error %v", len(left), address, err)
		}
	})
	return backends.Open(t.Context(), []backends.Driver{rsync.Driver(env)}, address, opts)
}

// open opens a target, and makes it.
func open(t testing.TB, env rsync.Environment, address string) backends.Backend {
	t.Helper()
	b, err := try(t, env, address, backends.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A shell is OpenSSH's server, which runs commands in a directory as this user.
type shell struct {
	*server
	home string
	env  rsync.Environment
}

// startShell starts a server, and has a client that it knows.
func startShell(t testing.TB) *shell {
	t.Helper()
	needs(t, "rsync")
	needs(t, "ssh")
	sshd, etc := needs(t, "sshd"), t.TempDir()
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Skipf("sshd's directory for privilege separation can't be made: %v", err)
		}
	}
	s := &shell{home: t.TempDir()}
	hostKey, userKey := newKey(t, filepath.Join(etc, "host")), newKey(t, filepath.Join(etc, "user"))
	write(t, filepath.Join(etc, "authorized_keys"), userKey)
	write(t, filepath.Join(etc, "sshd_config"), strings.Join([]string{
		"HostKey " + filepath.Join(etc, "host"), "AuthorizedKeysFile " + filepath.Join(etc, "authorized_keys"),
		"StrictModes no", "UsePAM no", "PidFile none", "LogLevel ERROR", "PermitRootLogin yes",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"ForceCommand cd " + s.home + ` && eval "$SSH_ORIGINAL_COMMAND"`,
	}, "\n")+"\n")
	s.server = serve(t, sshd, "-i", "-f", filepath.Join(etc, "sshd_config"), "-E", filepath.Join(etc, "log"))
	write(t, filepath.Join(etc, "known hosts"), fmt.Sprintf("[127.0.0.1]:%s %s", s.port(), hostKey))
	s.env = environment()
	s.env.Shell = []string{"ssh", "-F", "none", "-i", filepath.Join(etc, "user"), "-o", `UserKnownHostsFile="` + filepath.Join(etc, "known hosts") + `"`}
	return s
}

// newKey writes a private key and returns the public one as a line.
func newKey(t testing.TB, path string) string {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	sshPublic, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(pem.EncodeToMemory(block)))
	return string(ssh.MarshalAuthorizedKey(sshPublic))
}

// address returns the address of a path that starts with one slash or two.
func (s *shell) address(t testing.TB, path string) string {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return "rsync://" + me.Username + "@127.0.0.1:" + s.port() + path
}

// local returns an environment whose remote shell runs the commands on this
// machine, as ssh would have a shell do.
func local(t testing.TB) rsync.Environment {
	t.Helper()
	path := filepath.Join(t.TempDir(), "remote shell")
	write(t, path, "#!/bin/sh\ntest \"$1\" = host || exit 255\nshift\nexec sh -c \"$*\"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	env := environment()
	env.Shell = []string{path}
	return env
}
