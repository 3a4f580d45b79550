package sftp_test

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/backendtest/throughput"
	"tklbam/backends/sftp"
)

// BenchmarkTransfer compares with OpenSSH's sftp.
func BenchmarkTransfer(b *testing.B) {
	throughput.Size(b)
	s := servers.SSHD(b, servers.SSHOptions{Lines: []string{servers.WithSFTP}})
	home := b.TempDir()
	s.Admit(b, home)
	far := throughput.Far(b, s.Addr)
	s.Known(b, home, s.Addr, far)
	driver := sftp.Driver(sftp.Environment{User: s.User, HomeDir: home})
	throughput.Run(b, s.Addr, far, func(b *testing.B, address string) throughput.Site {
		dir, plainDir := s.Mkdir(b), s.Mkdir(b)
		return throughput.Site{
			Open: func(ctx context.Context) (backends.Backend, error) {
				return backends.Open(ctx, []backends.Driver{driver}, "sftp://"+address+"/"+dir, backends.Options{})
			},
			Up:   func(string) *exec.Cmd { return plainSFTP(b, home, s.User, address, "put * "+plainDir) },
			Down: func(string) *exec.Cmd { return plainSFTP(b, home, s.User, address, "get "+plainDir+"/*") },
		}
	})
}

// plainSFTP returns OpenSSH's sftp with one of its commands.
func plainSFTP(b *testing.B, home, user, address, line string) *exec.Cmd {
	b.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		b.Fatal(err)
	}
	files := filepath.Join(home, ".ssh")
	cmd := exec.Command(servers.Needs(b, "sftp"), "-b", "-", "-F", "none", "-P", port, "-i", filepath.Join(files, "id_ed25519"),
		"-o", "UserKnownHostsFile="+filepath.Join(files, "known_hosts"), user+"@"+host)
	cmd.Stdin = strings.NewReader(line + "\n")
	return cmd
}
