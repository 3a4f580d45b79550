package ftp_test

import (
	"context"
	"fmt"
	"os/exec"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/backendtest/throughput"
	"tklbam/backends/ftp"
)

// BenchmarkTransfer compares with curl, with vsftpd as the server.
func BenchmarkTransfer(b *testing.B) {
	throughput.Size(b)
	curl := servers.Needs(b, "curl")
	s := servers.Vsftpd(b, servers.NoTLS)
	near := fmt.Sprintf("127.0.0.1:%d", s.Port)
	driver := ftp.Driver(ftp.Environment{})
	n := 0
	throughput.Run(b, near, throughput.FarFTP(b, near), func(b *testing.B, address string) throughput.Site {
		n++
		dir, plain := fmt.Sprintf("dir/driver%d", n), fmt.Sprintf("ftp://%s/dir/plain%d/", address, n)
		return throughput.Site{
			Open: func(ctx context.Context) (backends.Backend, error) {
				return backends.Open(ctx, []backends.Driver{driver}, "ftp://"+address+"/"+dir, backends.Options{Create: true})
			},
			Up: func(string) *exec.Cmd {
				return exec.Command(curl, "-sSf", "--ftp-create-dirs", "-T", throughput.Glob, plain)
			},
			Down: func(string) *exec.Cmd {
				return exec.Command(curl, "-sSf", "--remote-name-all", plain+throughput.Glob)
			},
		}
	})
}
