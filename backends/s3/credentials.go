package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"tklbam/backends"
)

// newCredentials returns what requests are signed with, and whether it can be
// had anew when it has expired.
func newCredentials(a backends.Address, opts Options) (creds *credentials.Credentials, renewable bool, err error) {
	fixed := opts.Credentials
	if a.User != "" || a.Password.Reveal() != "" {
		fixed = Credentials{AccessKeyID: a.User, SecretAccessKey: a.Password}
	}
	switch {
	case (fixed.AccessKeyID == "") != (fixed.SecretAccessKey.Reveal() == ""):
		return nil, false, fmt.Errorf("the credentials are half there: they have an access key and a secret key: %w", fs.ErrPermission)
	case fixed.AccessKeyID != "":
		return credentials.NewStaticV4(fixed.AccessKeyID, fixed.SecretAccessKey.Reveal(), fixed.SessionToken.Reveal()), false, nil
	}
	return credentials.New(&chain{sources: sources(opts)}), true, nil
}

// sources returns the places to look for credentials, in order.
func sources(opts Options) []credentials.Provider {
	var all []credentials.Provider
	if opts.Renew != nil {
		all = append(all, &renewed{fetch: opts.Renew})
	}
	profile := opts.Profile
	if profile == "" {
		profile = "default"
	}
	for _, name := range opts.CredentialsFiles {
		if name != "" { // which would stand for files named in the environment
			all = append(all, &credentials.FileAWSCredentials{Filename: name, Profile: profile})
		}
	}
	if opts.MetadataURL != "" {
		all = append(all, &renewed{fetch: newMetadata(opts.MetadataURL).fetch})
	}
	return all
}

// errNoCredentials tells an operator where to put them.
var errNoCredentials = fmt.Errorf("no credentials in address, environment, AWS files or instance metadata: %w", fs.ErrPermission)

// chain is the first of several sources that has credentials.
type chain struct {
	sources []credentials.Provider
	current credentials.Provider
}

// RetrieveWithCredContext implements credentials.Provider.
func (c *chain) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	var reasons []string
	for _, source := range c.sources {
		v, err := source.RetrieveWithCredContext(cc)
		if err == nil && v.AccessKeyID != "" && v.SecretAccessKey != "" {
			c.current = source
			return v, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			reasons = append(reasons, err.Error())
		}
	}
	if reasons == nil {
		return credentials.Value{}, errNoCredentials
	}
	return credentials.Value{}, fmt.Errorf("%w (%s)", errNoCredentials, strings.Join(reasons, "; "))
}

// Retrieve implements credentials.Provider.
func (c *chain) Retrieve() (credentials.Value, error) {
	return c.RetrieveWithCredContext(&credentials.CredContext{Context: context.Background()})
}

// IsExpired implements credentials.Provider.
func (c *chain) IsExpired() bool { return c.current == nil || c.current.IsExpired() }

// renewed are temporary credentials from a function.
type renewed struct {
	credentials.Expiry
	fetch   func(ctx context.Context) (Credentials, error)
	forever bool // those it gave have no end
}

// RetrieveWithCredContext implements credentials.Provider.
func (r *renewed) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	ctx := context.Background()
	if cc != nil && cc.Context != nil {
		ctx = cc.Context
	}
	c, err := r.fetch(ctx)
	if err != nil {
		return credentials.Value{}, fmt.Errorf("fetch credentials: %w", err)
	}
	r.forever = c.Expires.IsZero()
	r.SetExpiration(c.Expires, credentials.DefaultExpiryWindow)
	return credentials.Value{
		AccessKeyID:     c.AccessKeyID,
		SecretAccessKey: c.SecretAccessKey.Reveal(),
		SessionToken:    c.SessionToken.Reveal(),
		Expiration:      c.Expires,
		SignerType:      credentials.SignatureV4,
	}, nil
}

// Retrieve implements credentials.Provider.
func (r *renewed) Retrieve() (credentials.Value, error) { return r.RetrieveWithCredContext(nil) }

// IsExpired implements credentials.Provider.
func (r *renewed) IsExpired() bool { return !r.forever && r.Expiry.IsExpired() }
