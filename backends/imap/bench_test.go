package imap_test

import (
	"context"
	"fmt"
	"os/exec"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/backendtest/throughput"
	"tklbam/backends/imap"
)

// The plain client is curl with base64: its own encoder is ten times slower.
const (
	curlUp = `for i in $(seq 0 11); do
	{ printf 'Content-Transfer-Encoding: base64\n\n' && base64 volume$i; } > mail$i || exit 1
done
curl -sSf --user plain:plain -T "mail[0-11]" "$URL" && rm mail*`

	curlDown = `curl -sSf --user plain:plain -o '#1' "$URL;UID=[1-12];SECTION=1" || exit 1
for i in $(seq 0 11); do
	base64 -di $((i + 1)) > volume$i || exit 1
done`
)

// BenchmarkTransfer compares with curl, without TLS.
func BenchmarkTransfer(b *testing.B) {
	throughput.Size(b)
	servers.Needs(b, "curl")
	s := dovecot(b, setup{User: "plain", Password: "plain"})
	near, n := fmt.Sprintf("127.0.0.1:%d", s.Port), 0
	throughput.Run(b, near, throughput.Far(b, near), func(b *testing.B, address string) throughput.Site {
		n++
		target := func(name string) string { return fmt.Sprintf("imap://plain@%s/%s%d", address, name, n) }
		open := func(ctx context.Context, address string) (backends.Backend, error) {
			return backends.Open(ctx, []backends.Driver{imap.Driver(s.env)}, address, backends.Options{Create: true})
		}
		made, err := open(b.Context(), target("plain"))
		if err != nil {
			b.Fatal(err)
		}
		if err := made.Close(); err != nil {
			b.Fatal(err)
		}
		curl := func(script string) *exec.Cmd {
			cmd := exec.Command("sh", "-c", script)
			cmd.Env = append(cmd.Environ(), fmt.Sprintf("URL=imap://%s/plain%d", address, n))
			return cmd
		}
		return throughput.Site{
			Open: func(ctx context.Context) (backends.Backend, error) { return open(ctx, target("driver")) },
			Up:   func(string) *exec.Cmd { return curl(curlUp) },
			Down: func(string) *exec.Cmd { return curl(curlDown) },
		}
	})
}
