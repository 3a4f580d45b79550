package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// The user of a Swift: as TempAuth writes it, "account:user", and as Keystone,
// "project:user". The configuration of the former takes neither spaces nor
// other letters than ASCII's in a password.
const (
	SwiftUser     = "test:tester"
	SwiftPassword = `p:a"s\s@/%&`
)

// systemPython is the one for which Debian's packages install modules.
const systemPython = "/usr/bin/python3"

// A SwiftCluster is a Swift of one device, with the policies "gold" and
// "silver".
type SwiftCluster struct {
	dir       string
	port      int // of the proxy
	running   []*process
	memcached int
}

// NeedsSwift skips a test where a Swift cannot be started.
func NeedsSwift(t testing.TB) {
	t.Helper()
	for _, program := range []string{systemPython, "memcached", "swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server"} {
		Needs(t, program)
	}
}

// Swift starts a cluster that ends with the test.
func Swift(t testing.TB) *SwiftCluster {
	t.Helper()
	NeedsSwift(t)
	c, err := StartSwift()
	check(t, err)
	t.Cleanup(func() { check(t, c.Stop()) })
	return c
}

// URL returns the URL of the proxy, without a path.
func (c *SwiftCluster) URL() string { return "http://" + loopback(c.port) }

// AuthURL returns the URL where TempAuth lets users in.
func (c *SwiftCluster) AuthURL() string { return c.URL() + "/auth/v1.0" }

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

// serveSwift is what the commands for servers do. They read swift.conf in /etc/swift
// whatever their own configuration says.
const serveSwift = `
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

// StartSwift starts a cluster for several tests. Stop ends it.
func StartSwift() (c *SwiftCluster, err error) {
	c = &SwiftCluster{}
	if c.dir, err = xattrDir(); err != nil {
		return nil, err
	}
	if err := c.start(); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *SwiftCluster) start() error {
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
	names := []string{"account", "container", "object", "proxy"}
	for _, name := range names {
		if err := c.run(systemPython, "-c", serveSwift, c.dir, filepath.Join(c.dir, name+".conf"), name); err != nil {
			return err
		}
	}
	return c.answer(append(ports[4:], ports[:4]...)...)
}

// proxy returns the configuration of a proxy server: its filters for
// authentication, and more sections for them.
func (c *SwiftCluster) proxy(port int, auth, more string) string {
	return fmt.Sprintf(proxyConfig, c.dir, port, userName(), auth, c.memcached, SwiftPassword, more)
}

func userName() string {
	u, err := user.Current()
	if err != nil {
		return "root"
	}
	return u.Username
}

func (c *SwiftCluster) makeRings(ports []int) error {
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

// run starts one of the servers.
func (c *SwiftCluster) run(program string, args ...string) error {
	p, err := launch(filepath.Join(c.dir, "log"), program, args...)
	if err == nil {
		c.running = append(c.running, p)
	}
	return err
}

// answer waits until the servers take connections, each on its port.
func (c *SwiftCluster) answer(ports ...int) error {
	for i, port := range ports {
		if err := c.running[i].answers(loopback(port)); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends the servers and removes what they stored.
func (c *SwiftCluster) Stop() error {
	for _, p := range c.running {
		p.stop(os.Kill)
	}
	c.running = nil
	return os.RemoveAll(c.dir)
}
