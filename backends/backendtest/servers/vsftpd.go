package servers

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// An FTPServer is one whose users begin in a directory that has a directory
// "dir", to which everyone may write.
type FTPServer struct {
	Root   string
	Port   int
	CAFile string // with its certificate, if it has one
}

// TLS says how an FTP server encrypts.
type TLS int

// The ways to encrypt. A server that encrypts insists on it.
const (
	NoTLS TLS = iota
	ExplicitTLS
	ImplicitTLS
)

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

// Vsftpd starts vsftpd: anonymous, with LIST and no MLSD. It runs as root
// only.
func Vsftpd(t testing.TB, tls TLS) *FTPServer {
	t.Helper()
	program := Needs(t, "vsftpd")
	needsRoot(t, program)
	dir := OpenDir(t, "files/dir")
	check(t, os.Mkdir(dir+"/empty", 0o755))
	s := &FTPServer{Root: dir + "/files", Port: FreePort(t)}
	config := fmt.Sprintf(vsftpdConfig, dir, s.Port)
	if tls != NoTLS {
		cert, key := Certificate(t, dir)
		s.CAFile = cert
		implicit := strings.ToUpper(map[bool]string{true: "yes", false: "no"}[tls == ImplicitTLS])
		config += fmt.Sprintf(vsftpdTLS, cert, key, implicit)
	}
	write(t, dir+"/vsftpd.conf", config)
	serve(t, syscall.SIGINT, loopback(s.Port), dir+"/log", program, dir+"/vsftpd.conf")
	return s
}
