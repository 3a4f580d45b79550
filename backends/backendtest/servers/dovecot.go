package servers

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The user of a Dovecot. The characters are those that addresses and commands
// may get wrong.
const (
	IMAPUser     = "back up@mail.example"
	IMAPPassword = `p:a"s\s@/%&ü {3}`
)

// An IMAPServer is a running Dovecot.
type IMAPServer struct {
	Dir           string
	Host          string
	Port, TLSPort int    // the second is for TLS from the first byte
	CAFile        string // with its certificate
}

// DovecotOptions say what is special about a Dovecot.
type DovecotOptions struct {
	IP             string // 127.0.0.1 if it is empty
	Standard       bool   // on the ports of IMAP
	User, Password string // IMAPUser, IMAPPassword if they are empty
	Mail           string // how it keeps mail
	Config         string // more of its configuration
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

// withDefaults fills in what is empty.
func (o DovecotOptions) withDefaults() DovecotOptions {
	for to, value := range map[*string]string{
		&o.IP: "127.0.0.1", &o.Mail: "sdbox:~/box", &o.User: IMAPUser, &o.Password: IMAPPassword,
	} {
		if *to == "" {
			*to = value
		}
	}
	return o
}

// Dovecot starts Dovecot. It runs as root only.
func Dovecot(t testing.TB, o DovecotOptions) *IMAPServer {
	t.Helper()
	program := Needs(t, "dovecot")
	needsRoot(t, program)
	o = o.withDefaults()
	dir := t.TempDir()
	check(t, os.Chmod(filepath.Dir(dir), 0o755))
	check(t, os.Chmod(dir, 0o755))
	s := &IMAPServer{Dir: dir, Host: o.IP, Port: 143, TLSPort: 993}
	if !o.Standard {
		s.Port, s.TLSPort = FreePort(t), FreePort(t)
	}
	owner := mailOwner(t, dir+"/mail")
	s.CAFile, _ = Certificate(t, dir, o.IP)
	write(t, dir+"/users", fmt.Sprintf("%s:{PLAIN.b64}%s\n", o.User, base64.StdEncoding.EncodeToString([]byte(o.Password))))
	write(t, dir+"/conf", fmt.Sprintf(dovecotConfig, dir, o.IP, s.Port, s.TLSPort, o.Mail, owner.Uid, owner.Gid)+o.Config)
	serve(t, syscall.SIGINT, net.JoinHostPort(o.IP, strconv.Itoa(s.Port)), dir+"/log", program, "-F", "-c", dir+"/conf")
	return s
}

// mailOwner makes a directory of a user without rights, and returns that.
func mailOwner(t testing.TB, dir string) *user.User {
	t.Helper()
	u, err := user.Lookup("nobody")
	check(t, err)
	number, err := strconv.Atoi(u.Uid)
	check(t, err)
	group, err := strconv.Atoi(u.Gid)
	check(t, err)
	check(t, os.Mkdir(dir, 0o700))
	check(t, os.Chown(dir, number, group))
	return u
}

// Kick ends all connections, and waits until they are gone.
func (s *IMAPServer) Kick(t testing.TB) {
	t.Helper()
	doveadm := func(args ...string) string {
		out, err := exec.Command(Needs(t, "doveadm"), append([]string{"-f", "flow", "-c", s.Dir + "/conf"}, args...)...).CombinedOutput()
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
