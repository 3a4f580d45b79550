package swift_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/swift"
)

const (
	testUser     = servers.SwiftUser
	testPassword = servers.SwiftPassword
)

// The servers, which all tests share.
var (
	theCluster = sync.OnceValues(func() (*servers.SwiftCluster, error) {
		c, err := servers.StartSwift()
		if err == nil {
			stop = append(stop, c.Stop)
		}
		return c, err
	})
	theKeystone = sync.OnceValues(func() (*servers.KeystoneService, error) {
		c, err := theCluster()
		if err != nil {
			return nil, err
		}
		k, err := servers.StartKeystone(c)
		if err == nil {
			stop = append(stop, k.Stop)
		}
		return k, err
	})
	stop []func() error
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, stop := range stop {
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// startCluster returns the URL of the running cluster.
func startCluster(t testing.TB) string {
	t.Helper()
	servers.NeedsSwift(t)
	c, err := theCluster()
	if err != nil {
		t.Fatal(err)
	}
	return c.URL()
}

// startKeystone returns the URL of the identity service, without a version.
func startKeystone(t testing.TB) string {
	t.Helper()
	servers.NeedsSwift(t)
	servers.NeedsKeystone(t)
	k, err := theKeystone()
	if err != nil {
		t.Fatal(err)
	}
	return k.URL()
}

// account returns the account of the tests on a cluster.
func account(url string) swift.Account {
	return swift.Account{AuthURL: url + "/auth/v1.0", User: testUser, Password: backends.NewSecret(testPassword)}
}

func tryOpen(ctx context.Context, env swift.Environment, address string, create bool) (backends.Backend, error) {
	return backends.Open(ctx, []backends.Driver{swift.Driver(env)}, address, backends.Options{Create: create})
}

func open(t testing.TB, env swift.Environment, address string) backends.Backend {
	t.Helper()
	b, err := tryOpen(t.Context(), env, address, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// A raw is a client of its own, to look at a cluster with.
type raw struct {
	t       *testing.T
	account string
	token   string
}

func login(t *testing.T, acc swift.Account) raw {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, acc.AuthURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Auth-User", acc.User)
	req.Header.Set("X-Auth-Key", acc.Password.Reveal())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return raw{t, res.Header.Get("X-Storage-Url"), res.Header.Get("X-Auth-Token")}
}

// do sends a request, with header lines "name: value", and returns the body.
func (r raw) do(method, path, body string, header ...string) string {
	r.t.Helper()
	req, err := http.NewRequest(method, r.account+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", r.token)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(res.Body); err != nil || res.StatusCode/100 != 2 {
		r.t.Fatalf("%s %s: %s %v", method, path, res.Status, err)
	}
	return out.String()
}

// names lists a container.
func (r raw) names(container string) []string {
	r.t.Helper()
	return strings.Fields(r.do(http.MethodGet, "/"+container, ""))
}
