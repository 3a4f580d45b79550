package swift_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"tklbam/backends"
	"tklbam/backends/swift"
)

// A keystone is an identity service, and a second proxy of the cluster that
// asks it.
type keystone struct {
	cluster // its processes
	proxy   int
	err     error
}

var (
	theKeystone  keystone
	keystoneOnce sync.Once
)

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

// startKeystone returns the URL of the identity service, without a version.
func startKeystone(t *testing.T) string {
	t.Helper()
	startCluster(t)
	needs(t, "keystone-manage")
	needs(t, "keystone-wsgi-public")
	keystoneOnce.Do(func() { theKeystone.err = theKeystone.start() })
	if theKeystone.err != nil {
		t.Fatal(theKeystone.err)
	}
	return theKeystone.url()
}

func (k *keystone) start() (err error) {
	if k.dir, err = xattrDir(); err != nil {
		return err
	}
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	k.port, k.proxy = ports[0], ports[1]
	conf := filepath.Join(k.dir, "keystone.conf")
	err = errors.Join(
		os.WriteFile(conf, fmt.Appendf(nil, keystoneConfig, k.dir), 0o600),
		os.WriteFile(k.dir+"/proxy.conf", []byte(theCluster.proxy(k.proxy, "authtoken keystoneauth", fmt.Sprintf(keystoneFilters, k.url()+"/v3", testPassword))), 0o600),
		os.WriteFile(k.dir+"/catalogue", fmt.Appendf(nil, keystoneCatalogue, k.proxy, k.url()), 0o600),
		os.Mkdir(k.dir+"/fernet", 0o700),
	)
	if err != nil {
		return err
	}
	who := userName()
	for _, args := range [][]string{
		{"db_sync"},
		{"fernet_setup", "--keystone-user", who, "--keystone-group", who},
		{"bootstrap", "--bootstrap-username", "tester", "--bootstrap-password", testPassword, "--bootstrap-project-name", "test"},
	} {
		cmd := exec.Command("keystone-manage", append([]string{"--config-file", conf}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("keystone-manage %s: %w\n%s", args[0], err, out)
		}
	}
	return k.serve(conf)
}

// serve starts both servers.
func (k *keystone) serve(conf string) error {
	err := errors.Join(
		k.run("env", "OS_KEYSTONE_CONFIG_DIR="+k.dir, "OS_KEYSTONE_CONFIG_FILES="+filepath.Base(conf),
			"keystone-wsgi-public", "-b", "127.0.0.1", "-p", strconv.Itoa(k.port)),
		k.run(systemPython, "-c", serve, theCluster.dir, k.dir+"/proxy.conf", "proxy"))
	if err != nil {
		return err
	}
	for _, port := range []int{k.port, k.proxy} {
		if err := answers(port); err != nil {
			return fmt.Errorf("%w\n%s", err, k.log())
		}
	}
	return nil
}

func TestKeystone(t *testing.T) {
	url := startKeystone(t)
	whole := swift.Account{
		AuthURL: url + "/v3", AuthVersion: "3", User: "tester", Password: backends.NewSecret(testPassword),
		Project: "test", UserDomain: "Default", ProjectDomain: "Default", Region: "here",
	}
	for name, change := range map[string]func(a *swift.Account){
		"as Duplicity":      func(*swift.Account) {},
		"as an openrc file": func(a *swift.Account) { a.AuthURL, a.AuthVersion, a.Region = url, "", "" },
		"domains by id": func(a *swift.Account) {
			a.UserDomain, a.UserDomainID, a.ProjectDomain, a.ProjectDomainID = "", "default", "", "default"
		},
		"project before the user": func(a *swift.Account) { a.Project, a.User = "", testUser },
		"internal endpoint":       func(a *swift.Account) { a.EndpointType = "internalURL" },
	} {
		t.Run(name, func(t *testing.T) {
			acc := whole
			change(&acc)
			b := open(t, swift.Environment{Swift: acc}, "swift://keystone/prefix")
			storesAndReads(t, b, []byte("content"))
		})
	}
	for name, change := range map[string]func(a *swift.Account){
		"wrong password": func(a *swift.Account) { a.Password = backends.NewSecret("wrong secret") },
		"wrong region":   func(a *swift.Account) { a.Region = "elsewhere" },
		"wrong project":  func(a *swift.Account) { a.Project = "none" },
	} {
		t.Run(name, func(t *testing.T) {
			acc := whole
			change(&acc)
			_, err := tryOpen(t.Context(), swift.Environment{Swift: acc}, "swift://keystone", true)
			wantFinal(t, err)
			t.Log(err)
		})
	}
}
