package cli

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"tklbam/backends"
	"tklbam/backends/all"
	"tklbam/backends/ftp"
	"tklbam/backends/s3"
	"tklbam/backends/sftp"
	"tklbam/backends/webdav"
	"tklbam/pkg/conf"
	"tklbam/pkg/term"
)

// target opens the target at an address with what the drivers are told by the
// environment and the configuration.
func (a *app) target(cf *conf.Conf, address string, opts backends.Options) (backends.Backend, error) {
	env := all.Environment{
		S3: a.s3Options(cf), SFTP: a.sftpEnvironment(),
		FTP: ftp.Environment{Password: a.password("FTP_PASSWORD")},
		WebDAV: webdav.Environment{
			Password: a.password("WEBDAV_PASSWORD", "FTP_PASSWORD"), SpoolDir: os.TempDir(),
		},
	}
	return backends.Open(a.ctx, all.Drivers(env), address, opts)
}

// first is the value of the first variable that is set.
func (a *app) first(names ...string) string {
	for _, name := range names {
		if v := a.getenv(name); v != "" {
			return v
		}
	}
	return ""
}

// password is a secret of the environment, under the names Duplicity knows.
func (a *app) password(names ...string) backends.Secret { return backends.NewSecret(a.first(names...)) }

func (a *app) home(path string) string { return filepath.Join(a.getenv("HOME"), path) }

// s3Options are those of the AWS programs.
func (a *app) s3Options(cf *conf.Conf) s3.Options {
	o := s3.Options{
		Endpoint: a.first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
		Region:   a.first("AWS_REGION", "AWS_DEFAULT_REGION"),
		CAFile:   a.getenv("AWS_CA_BUNDLE"),
		Proxy:    http.ProxyFromEnvironment,
		Parallel: max(cf.S3ParallelUploads, 1),
		Credentials: s3.Credentials{
			AccessKeyID:     a.getenv("AWS_ACCESS_KEY_ID"),
			SecretAccessKey: a.password("AWS_SECRET_ACCESS_KEY"),
			SessionToken:    a.password("AWS_SESSION_TOKEN"),
		},
		Profile:     a.getenv("AWS_PROFILE"),
		MetadataURL: a.getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
	}
	// Who gives an endpoint without TLS means it.
	o.Endpoint, o.PlainHTTP = strings.CutPrefix(o.Endpoint, "http://")
	for _, f := range []struct{ variable, path string }{
		{"AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"}, {"AWS_CONFIG_FILE", ".aws/config"},
	} {
		path := a.getenv(f.variable)
		if path == "" {
			path = a.home(f.path)
		}
		o.CredentialsFiles = append(o.CredentialsFiles, path)
	}
	if o.MetadataURL == "" && a.getenv("AWS_EC2_METADATA_DISABLED") != "true" {
		o.MetadataURL = "http://169.254.169.254"
	}
	return o
}

// sftpEnvironment is that of ssh, with Duplicity's variable for a password.
func (a *app) sftpEnvironment() sftp.Environment {
	return sftp.Environment{
		User: a.first("LOGNAME", "USER"), HomeDir: a.getenv("HOME"), SystemDir: "/etc/ssh",
		AgentSocket: a.getenv("SSH_AUTH_SOCK"), Password: a.password("FTP_PASSWORD"), Ask: a.asker(),
	}
}

// asker asks a person, if there is one.
func (a *app) asker() func(context.Context, string) (backends.Secret, error) {
	if !term.IsTerminal(a.stdin) {
		return nil
	}
	return func(ctx context.Context, question string) (backends.Secret, error) {
		answer, err := term.ReadPassphrase(ctx, a.stdin, a.stderr, question, false)
		return backends.NewSecret(string(answer)), err
	}
}
