package rclone_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/backendtest/throughput"
	"tklbam/backends/rclone"
)

// BenchmarkTransfer compares with rclone itself, which moves four files at a
// time, and a WebDAV server: of what rclone calls a remote one with renaming.
func BenchmarkTransfer(b *testing.B) {
	throughput.Size(b)
	program := servers.Needs(b, "rclone")
	s := servers.Apache(b, servers.ApacheOptions{})
	near := strings.Replace(s.Host, "localhost", "127.0.0.1", 1)
	password, err := exec.Command(program, "obscure", servers.Password).Output()
	if err != nil {
		b.Fatal(err)
	}
	env := rclone.Environment{SpoolDir: b.TempDir()}
	n := 0
	throughput.Run(b, near, throughput.Far(b, near), func(b *testing.B, address string) throughput.Site {
		n++
		env := env
		env.Environ = append(os.Environ(), "RCLONE_CONFIG=/dev/null", "RCLONE_CONFIG_DAV_TYPE=webdav",
			"RCLONE_CONFIG_DAV_URL=http://"+address+"/dav", "RCLONE_CONFIG_DAV_VENDOR=other",
			"RCLONE_CONFIG_DAV_USER="+servers.User, "RCLONE_CONFIG_DAV_PASS="+strings.TrimSpace(string(password)))
		plain := fmt.Sprintf("dav:plain%d", n)
		copies := func(from, to string) *exec.Cmd {
			cmd := exec.Command(program, "copy", "--ignore-times", from, to)
			cmd.Env = env.Environ
			return cmd
		}
		return throughput.Site{
			Open: func(ctx context.Context) (backends.Backend, error) {
				return backends.Open(ctx, []backends.Driver{rclone.Driver(env)}, fmt.Sprintf("rclone:dav:driver%d", n), backends.Options{Create: true})
			},
			Up:   func(dir string) *exec.Cmd { return copies(dir, plain) },
			Down: func(dir string) *exec.Cmd { return copies(plain, dir) },
		}
	})
}
