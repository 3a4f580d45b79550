package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// A KeystoneService is an identity service, and a second proxy of a cluster
// that asks it: for the project "test" of the user "tester" in the region
// "here", with SwiftPassword.
type KeystoneService struct {
	SwiftCluster // its processes
	proxyPort    int
}

const keystoneConfig = `
[DEFAULT]
log_file = %[1]s/keystone.log
[database]
connection = sqlite:///%[1]s/db
[token]
provider = fernet
[fernet_tokens]
key_repository = %[1]s/fernet
[identity]
password_hash_rounds = 4
[catalog]
driver = templated
template_file = %[1]s/catalogue
`

const keystoneCatalogue = `
catalog.here.object-store.publicURL = http://127.0.0.1:%[1]d/v1/AUTH_$(project_id)s
catalog.here.object-store.internalURL = http://127.0.0.1:%[1]d/v1/AUTH_$(project_id)s
catalog.here.object-store.name = swift
catalog.here.identity.publicURL = %[2]s/v3
catalog.here.identity.internalURL = %[2]s/v3
catalog.here.identity.name = keystone
`

const keystoneFilters = `
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = %[1]s
auth_url = %[1]s
auth_type = password
username = tester
password = %[2]s
project_name = test
user_domain_name = Default
project_domain_name = Default
delay_auth_decision = true
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin
`

// NeedsKeystone skips a test where a Keystone cannot be started.
func NeedsKeystone(t testing.TB) {
	t.Helper()
	Needs(t, "keystone-manage")
	Needs(t, "keystone-wsgi-public")
}

// StartKeystone starts one for a cluster, for several tests. Its URL is
// without a version. Stop ends it.
func StartKeystone(c *SwiftCluster) (k *KeystoneService, err error) {
	k = &KeystoneService{}
	if k.dir, err = xattrDir(); err != nil {
		return nil, err
	}
	if err := k.start(c); err != nil {
		return nil, errors.Join(err, k.Stop())
	}
	return k, nil
}

func (k *KeystoneService) start(c *SwiftCluster) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	k.port, k.proxyPort = ports[0], ports[1]
	conf := filepath.Join(k.dir, "keystone.conf")
	filters := fmt.Sprintf(keystoneFilters, k.URL()+"/v3", SwiftPassword)
	err = errors.Join(
		os.WriteFile(conf, fmt.Appendf(nil, keystoneConfig, k.dir), 0o600),
		os.WriteFile(k.dir+"/proxy.conf", []byte(c.proxy(k.proxyPort, "authtoken keystoneauth", filters)), 0o600),
		os.WriteFile(k.dir+"/catalogue", fmt.Appendf(nil, keystoneCatalogue, k.proxyPort, k.URL()), 0o600),
		os.Mkdir(k.dir+"/fernet", 0o700),
		manageKeystone(conf),
	)
	if err != nil {
		return err
	}
	return k.serve(c, conf)
}

// manageKeystone makes the database, the keys and the user.
func manageKeystone(conf string) error {
	who := userName()
	for _, args := range [][]string{
		{"db_sync"},
		{"fernet_setup", "--keystone-user", who, "--keystone-group", who},
		{"bootstrap", "--bootstrap-username", "tester", "--bootstrap-password", SwiftPassword, "--bootstrap-project-name", "test"},
	} {
		cmd := exec.Command("keystone-manage", append([]string{"--config-file", conf}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("keystone-manage %s: %w\n%s", args[0], err, out)
		}
	}
	return nil
}

// serve starts both servers.
func (k *KeystoneService) serve(c *SwiftCluster, conf string) error {
	err := errors.Join(
		k.run("env", "OS_KEYSTONE_CONFIG_DIR="+k.dir, "OS_KEYSTONE_CONFIG_FILES="+filepath.Base(conf),
			"keystone-wsgi-public", "-b", "127.0.0.1", "-p", strconv.Itoa(k.port)),
		k.run(systemPython, "-c", serveSwift, c.dir, k.dir+"/proxy.conf", "proxy"))
	if err != nil {
		return err
	}
	return k.answer(k.port, k.proxyPort)
}
