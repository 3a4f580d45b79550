package webdav_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/backendtest/throughput"
	"tklbam/backends/webdav"
)

// BenchmarkTransfer compares with curl, with Apache as the server.
func BenchmarkTransfer(b *testing.B) {
	throughput.Size(b)
	curl := servers.Needs(b, "curl")
	s := servers.Apache(b, servers.ApacheOptions{})
	near := strings.Replace(s.Host, "localhost", "127.0.0.1", 1)
	driver := webdav.Driver(webdav.Environment{User: servers.User, Password: backends.NewSecret(servers.Password), SpoolDir: s.Dir})
	n := 0
	throughput.Run(b, near, throughput.Far(b, near), func(b *testing.B, address string) throughput.Site {
		n++
		dir, plain := fmt.Sprintf("dav/driver%d", n), fmt.Sprintf("http://%s/dav/plain%d/", address, n)
		dav := func(args ...string) *exec.Cmd {
			return exec.Command(curl, append([]string{"-sSf", "-u", servers.User + ":" + servers.Password}, args...)...)
		}
		if out, err := dav("-X", "MKCOL", plain).CombinedOutput(); err != nil {
			b.Fatalf("make a collection: %v\n%s", err, out)
		}
		return throughput.Site{
			Open: func(ctx context.Context) (backends.Backend, error) {
				return backends.Open(ctx, []backends.Driver{driver}, "webdav://"+address+"/"+dir, backends.Options{Create: true})
			},
			Up:   func(string) *exec.Cmd { return dav("-T", throughput.Glob, plain) },
			Down: func(string) *exec.Cmd { return dav("--remote-name-all", plain+throughput.Glob) },
		}
	})
}
