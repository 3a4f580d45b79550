package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"tklbam/pkg/conf"
	"tklbam/pkg/keypacket"
	"tklbam/pkg/registry"
)

// registry opens the state directory of this user.
func (a *app) registry() (*registry.Registry, error) {
	path := a.getenv(registry.EnvVar)
	if path == "" {
		path = registry.DefaultPathFor(os.Getuid(), a.getenv("HOME"))
	}
	r, err := registry.Open(path)
	if err != nil {
		return nil, err
	}
	for _, w := range r.Check() {
		fmt.Fprintln(a.stderr, "warning:", w)
	}
	return r, nil
}

// conf loads the configuration and puts the options of the command line that
// are options of the configuration over it.
func (a *app) conf(c *cli.Context) (*conf.Conf, error) {
	cf, err := conf.Load(a.confDir())
	if err != nil {
		return nil, err
	}
	if err := a.cacheDir(cf); err != nil {
		return nil, err
	}
	for _, o := range conf.Options() {
		if !c.IsSet(o.Name) {
			continue
		}
		if err := cf.Set(o.Name, fmt.Sprint(c.Value(o.Name))); err != nil {
			return nil, &usageError{err}
		}
	}
	return cf, nil
}

// cacheDir moves the default cache to the user's own when the system's is not
// for this user.
func (a *app) cacheDir(cf *conf.Conf) error {
	if cf.CacheDir != conf.Default().CacheDir || os.Getuid() == 0 {
		return nil
	}
	base := a.getenv("XDG_CACHE_HOME")
	if base == "" {
		base = filepath.Join(a.getenv("HOME"), ".cache")
	}
	return cf.Set("cache-dir", filepath.Join(base, "tklbam"))
}

// secret is the registry's, or the first line of --secretfile.
func (a *app) secret(c *cli.Context, r *registry.Registry) (secret []byte, weak bool, err error) {
	if path := c.String("secretfile"); path != "" {
		secret, err := firstLine(path)
		return secret, !keypacket.Generated(secret), err
	}
	text, err := r.Secret()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, fmt.Errorf("there is no secret in %q: run \"tklbam-init --solo\" first", r.Path())
	}
	return []byte(text), false, err
}
