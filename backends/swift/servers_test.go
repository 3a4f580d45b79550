package swift_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/backends"
	"tklbam/backends/swift"
)

// The user of all servers here: as TempAuth writes it, "account:user", and
// as Keystone, "project:user". The configuration of the former takes neither
// spaces nor other letters than ASCII's in a password.
const (
	testUser     = "test:tester"
	testPassword = `p:a"s\s@/%&`
)

// systemPython is the one for which Debian's packages install modules.
const systemPython = "/usr/bin/python3"

func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
}

// A cluster is a Swift of one device on the loopback interface, shared by the
// tests of the package.
type cluster struct {
	dir       string
	port      int // of the proxy
	running   []*exec.Cmd
	memcached int
	err       error // of its start
}

var (
	theCluster  cluster
	clusterOnce sync.Once
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := errors.Join(theCluster.stop(), theKeystone.stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// startCluster returns the URL of the running cluster.
func startCluster(t *testing.T) string {
	t.Helper()
	for _, program := range []string{systemPython, "memcached", "swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server"} {
		needs(t, program)
	}
	clusterOnce.Do(func() { theCluster.err = theCluster.start() })
	if theCluster.err != nil {
		t.Fatal(theCluster.err)
	}
	return theCluster.url()
}

func (c *cluster) url() string { return fmt.Sprintf("http://127.0.0.1:%d", c.port) }

const rings = `
import sys
from swift.common.ring import RingBuilder
for name, port in zip(("account", "container", "object"), sys.argv[2:]):
    b = RingBuilder(2, 1, 0)
    b.add_dev(dict(region=1, zone=1, ip="127.0.0.1", port=int(port), device="d1", weight=1, meta="",
                   replication_ip="127.0.0.1", replication_port=int(port)))
    b.rebalance()
    b.get_ring().save("%s/%s.ring.gz" % (sys.argv[1], name))
`

// serve is what the commands for servers do. They read swift.conf in /etc/swift
// whatever their own configuration says.
const serve = `
import sys
from swift.common import utils
utils.set_swift_dir(sys.argv[1])
from swift.common.wsgi import run_wsgi
sys.exit(run_wsgi(sys.argv[2], sys.argv[3] + "-server"))
`

// A short listing limit makes many pages.
const swiftConfig = `
[swift-hash]
swift_hash_path_suffix = suffix
swift_hash_path_prefix = prefix
[swift-constraints]
container_listing_limit = 700
[storage-policy:0]
name = gold
default = yes
[storage-policy:1]
name = silver
`

const storageConfig = `
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = %[2]d
workers = 0
user = %[4]s
swift_dir = %[1]s
devices = %[1]s/devices
mount_check = false
log_address = %[1]s/none
[pipeline:main]
pipeline = %[3]s-server
[app:%[3]s-server]
use = egg:swift#%[3]s
`

const proxyConfig = `
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = %[2]d
workers = 0
user = %[3]s
swift_dir = %[1]s
log_address = %[1]s/none
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats bulk %[4]s copy container-quotas slo dlo proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:%[5]d
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = %[6]s .admin
[filter:copy]
use = egg:swift#copy
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:slo]
use = egg:swift#slo
rate_limit_under_size = 0
[filter:dlo]
use = egg:swift#dlo
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
%[7]s
`

// start starts the servers.
func (c *cluster) start() (err error) {
	if c.dir, err = xattrDir(); err != nil {
		return err
	}
	ports, err := freePorts(5)
	if err != nil {
		return err
	}
	c.port, c.memcached = ports[3], ports[4]
	files := map[string]string{"swift.conf": swiftConfig, "proxy.conf": c.proxy(c.port, "tempauth", "")}
	for i, name := range []string{"account", "container", "object"} {
		files[name+".conf"] = fmt.Sprintf(storageConfig, c.dir, ports[i], name, userName())
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := errors.Join(os.MkdirAll(c.dir+"/devices/d1", 0o700), c.makeRings(ports[:3])); err != nil {
		return err
	}
	if err := c.run("memcached", "-l", "127.0.0.1", "-p", strconv.Itoa(c.memcached), "-u", userName()); err != nil {
		return err
	}
	for _, name := range []string{"account", "container", "object", "proxy"} {
		if err := c.run(systemPython, "-c", serve, c.dir, filepath.Join(c.dir, name+".conf"), name); err != nil {
			return err
		}
	}
	for _, port := range ports {
		if err := answers(port); err != nil {
			return fmt.Errorf("%w\n%s", err, c.log())
		}
	}
	return nil
}

// proxy returns the configuration of a proxy server: its filters for
// authentication, and more sections for them.
func (c *cluster) proxy(port int, auth, more string) string {
	return fmt.Sprintf(proxyConfig, c.dir, port, userName(), auth, c.memcached, testPassword, more)
}

func userName() string {
	u, err := user.Current()
	if err != nil {
		return "root"
	}
	return u.Username
}

func (c *cluster) makeRings(ports []int) error {
	args := []string{"-c", rings, c.dir}
	for _, port := range ports {
		args = append(args, strconv.Itoa(port))
	}
	// An object ring for each policy.
	out, err := exec.Command(systemPython, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make rings: %w\n%s", err, out)
	}
	ring, err := os.ReadFile(c.dir + "/object.ring.gz")
	return errors.Join(err, os.WriteFile(c.dir+"/object-1.ring.gz", ring, 0o600))
}

// xattrDir returns a directory for state where files take extended attributes,
// in which Swift keeps all but the content.
func xattrDir() (string, error) {
	for _, parent := range []string{"/dev/shm", os.TempDir(), "/var/tmp"} {
		dir, err := os.MkdirTemp(parent, "swift-test-*")
		if err != nil {
			continue
		}
		if unix.Setxattr(dir, "user.test", []byte("1"), 0) == nil {
			return dir, nil
		}
		if err := os.RemoveAll(dir); err != nil {
			return "", err
		}
	}
	return "", errors.New("no directory for temporary files takes extended attributes")
}

func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// run starts a server in the foreground.
func (c *cluster) run(program string, args ...string) error {
	log, err := os.OpenFile(c.dir+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = diesWithTest()
	if err := cmd.Start(); err != nil {
		return err
	}
	c.running = append(c.running, cmd)
	return nil
}

func (c *cluster) log() []byte {
	text, err := os.ReadFile(c.dir + "/log")
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(text)
}

// answers waits until a port takes connections.
func answers(port int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a server takes no connections: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *cluster) stop() error {
	for _, cmd := range c.running {
		cmd.Process.Kill()
		cmd.Wait() // killed, it says
	}
	c.running = nil
	if c.dir == "" {
		return nil
	}
	return os.RemoveAll(c.dir)
}

// account returns the account of the tests on a cluster.
func account(url string) swift.Account {
	return swift.Account{AuthURL: url + "/auth/v1.0", User: testUser, Password: backends.NewSecret(testPassword)}
}

func tryOpen(ctx context.Context, env swift.Environment, address string, create bool) (backends.Backend, error) {
	return backends.Open(ctx, []backends.Driver{swift.Driver(env)}, address, backends.Options{Create: create})
}

func open(t *testing.T, env swift.Environment, address string) backends.Backend {
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
