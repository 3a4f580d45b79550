package swift_test

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/backendtest/throughput"
	"tklbam/backends/swift"
)

// BenchmarkTransfer compares with curl, which has its token beforehand.
func BenchmarkTransfer(b *testing.B) {
	throughput.Size(b)
	curl := servers.Needs(b, "curl")
	cluster := startCluster(b)
	near := strings.TrimPrefix(cluster, "http://")
	storage, token := authenticate(b, account(cluster))
	n, spool := 0, b.TempDir()
	throughput.Run(b, near, throughput.Far(b, near), func(b *testing.B, address string) throughput.Site {
		n++
		acc, container := account("http://"+address), fmt.Sprintf("driver%d", n)
		acc.StorageURL = strings.Replace(storage, near, address, 1)
		driver := swift.Driver(swift.Environment{Swift: acc, SpoolDir: spool})
		plain := fmt.Sprintf("%s/plain%d/", acc.StorageURL, n)
		send := func(args ...string) *exec.Cmd {
			return exec.Command(curl, append([]string{"-sSf", "-H", "X-Auth-Token: " + token}, args...)...)
		}
		if out, err := send("-X", "PUT", plain).CombinedOutput(); err != nil {
			b.Fatalf("make a container: %v\n%s", err, out)
		}
		return throughput.Site{
			Open: func(ctx context.Context) (backends.Backend, error) {
				return backends.Open(ctx, []backends.Driver{driver}, "swift://"+container, backends.Options{Create: true})
			},
			Up:   func(string) *exec.Cmd { return send("-T", throughput.Glob, plain) },
			Down: func(string) *exec.Cmd { return send("--remote-name-all", plain+throughput.Glob) },
		}
	})
}

// authenticate returns the URL of an account and a token for it.
func authenticate(b *testing.B, acc swift.Account) (storage, token string) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, acc.AuthURL, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("X-Auth-User", acc.User)
	req.Header.Set("X-Auth-Key", acc.Password.Reveal())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	return res.Header.Get("X-Storage-Url"), res.Header.Get("X-Auth-Token")
}
