package rsync_test

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/backendtest/throughput"
	"tklbam/backends/rsync"
)

// BenchmarkTransfer compares with rsync itself, which needs one run for all
// files, and a daemon.
func BenchmarkTransfer(b *testing.B) {
	throughput.Size(b)
	d := startDaemon(b)
	compare(b, d.Addr, func(address, path string) (string, []string) {
		_, port, _ := net.SplitHostPort(address)
		return "rsync://127.0.0.1:" + port + "::/files" + path, []string{"--sockopts=TCP_NODELAY", "--port=" + port, "127.0.0.1::files" + path}
	}, environment())
}

// BenchmarkTransferShell is BenchmarkTransfer with ssh.
func BenchmarkTransferShell(b *testing.B) {
	throughput.Size(b)
	s := startShell(b)
	s.env.Shell = append(s.env.Shell, "-o", "HostKeyAlias="+fmt.Sprintf("[127.0.0.1]:%s", s.Port()))
	var words []string
	for _, word := range s.env.Shell {
		words = append(words, "'"+word+"'")
	}
	compare(b, s.Addr, func(address, path string) (string, []string) {
		_, port, _ := net.SplitHostPort(address)
		return "rsync://" + s.User + "@127.0.0.1:" + port + path,
			[]string{"--rsh=" + strings.Join(words, " ") + " -p " + port, s.User + "@127.0.0.1:" + s.home + path}
	}, s.env)
}

// compare benchmarks a server. target returns for a path the address, and the
// arguments of rsync, of which the last is the place.
func compare(b *testing.B, addr string, target func(address, path string) (string, []string), env rsync.Environment) {
	program, n := servers.Needs(b, "rsync"), 0
	env.SpoolDir = b.TempDir()
	throughput.Run(b, addr, throughput.Far(b, addr), func(b *testing.B, address string) throughput.Site {
		n++
		driver, _ := target(address, fmt.Sprintf("/driver%d", n))
		_, plain := target(address, fmt.Sprintf("/plain%d/", n))
		options, place := plain[:len(plain)-1], plain[len(plain)-1]
		run := func(from, to string) *exec.Cmd {
			return exec.Command(program, append(slices.Clone(options), "--recursive", "--whole-file", "--ignore-times", from, to)...)
		}
		return throughput.Site{
			Open: func(ctx context.Context) (backends.Backend, error) {
				return backends.Open(ctx, []backends.Driver{rsync.Driver(env)}, driver, backends.Options{Create: true})
			},
			Up:   func(dir string) *exec.Cmd { return run(dir+"/", place) },
			Down: func(dir string) *exec.Cmd { return run(place, dir+"/") },
		}
	})
}
