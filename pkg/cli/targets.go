package cli

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"tklbam/backends"
	"tklbam/backends/all"
	"tklbam/backends/file"
	"tklbam/backends/ftp"
	"tklbam/backends/imap"
	"tklbam/backends/rclone"
	"tklbam/backends/rsync"
	"tklbam/backends/s3"
	"tklbam/backends/sftp"
	"tklbam/backends/swift"
	"tklbam/backends/webdav"
	"tklbam/pkg/conf"
)

// openAddress opens the target at an address with what the drivers are told by
// the environment and the configuration.
func (a *app) openAddress(cf *conf.Conf, address backends.Address, opts backends.Options) (backends.Backend, error) {
	b, err := backends.OpenAddress(a.ctx, all.Drivers(a.drivers(cf)), address, opts)
	if errors.Is(err, fs.ErrPermission) && address.Scheme != "file" {
		err = &accessError{err}
	}
	return b, err
}

// An accessError is the refusal of a server, whoever runs this program.
type accessError struct{ error }

func (e *accessError) Unwrap() error { return e.error }

func (a *app) drivers(cf *conf.Conf) all.Environment {
	spool := a.spoolDir()
	return all.Environment{
		File:   file.Options{RequireMount: cf.RequireMount},
		S3:     a.s3Options(cf),
		SFTP:   a.sftpEnvironment(),
		FTP:    ftp.Environment{Password: a.passwordOf("ftp"), CAFile: cf.CAFile},
		WebDAV: webdav.Environment{Password: a.passwordOf("webdav"), SpoolDir: spool, CAFile: cf.CAFile},
		Rsync:  rsync.Environment{Environ: os.Environ(), Password: a.passwordOf("rsync"), SpoolDir: spool},
		Swift:  a.swiftEnvironment(cf, spool),
		IMAP: imap.Environment{
			Password: a.passwordOf("imap"), Server: a.getenv("IMAP_SERVER"), Mailbox: cf.IMAPMailbox, CAFile: cf.CAFile, TempDir: spool,
		},
		Rclone: rclone.Environment{Environ: os.Environ(), SpoolDir: spool},
	}
}

// spoolDir is where volumes wait to be sent: unlike /tmp it is seldom a file
// system in memory.
func (a *app) spoolDir() string {
	if dir := a.getenv("TMPDIR"); dir != "" {
		return dir
	}
	return defaultScratch
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
		Endpoint:     a.first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
		Region:       a.first("AWS_REGION", "AWS_DEFAULT_REGION"),
		CAFile:       a.caFile(cf, "AWS_CA_BUNDLE"),
		StorageClass: cf.S3StorageClass,
		Proxy:        http.ProxyFromEnvironment,
		Parallel:     max(cf.S3ParallelUploads, 1),
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

// swiftEnvironment is that of Duplicity, and of OpenStack's own programs.
func (a *app) swiftEnvironment(cf *conf.Conf, spool string) swift.Environment {
	return swift.Environment{
		Swift: swift.Account{
			AuthURL:           a.first("SWIFT_AUTHURL", "OS_AUTH_URL", "ST_AUTH"),
			AuthVersion:       a.first("SWIFT_AUTHVERSION", "OS_IDENTITY_API_VERSION", "ST_AUTH_VERSION"),
			User:              a.first("SWIFT_USERNAME", "OS_USERNAME", "ST_USER"),
			Password:          a.password("SWIFT_PASSWORD", "OS_PASSWORD", "ST_KEY"),
			UserID:            a.first("SWIFT_USERID", "OS_USER_ID"),
			UserDomain:        a.first("SWIFT_USER_DOMAIN_NAME", "OS_USER_DOMAIN_NAME"),
			UserDomainID:      a.first("SWIFT_USER_DOMAIN_ID", "OS_USER_DOMAIN_ID"),
			Project:           a.first("SWIFT_PROJECT_NAME", "SWIFT_TENANTNAME", "OS_PROJECT_NAME", "OS_TENANT_NAME"),
			ProjectID:         a.first("SWIFT_TENANTID", "OS_PROJECT_ID", "OS_TENANT_ID"),
			ProjectDomain:     a.first("SWIFT_PROJECT_DOMAIN_NAME", "OS_PROJECT_DOMAIN_NAME"),
			ProjectDomainID:   a.first("SWIFT_PROJECT_DOMAIN_ID", "OS_PROJECT_DOMAIN_ID"),
			TrustID:           a.getenv("OS_TRUST_ID"),
			ApplicationID:     a.getenv("OS_APPLICATION_CREDENTIAL_ID"),
			ApplicationName:   a.getenv("OS_APPLICATION_CREDENTIAL_NAME"),
			ApplicationSecret: a.password("OS_APPLICATION_CREDENTIAL_SECRET"),
			Region:            a.first("SWIFT_REGIONNAME", "OS_REGION_NAME"),
			EndpointType:      a.first("SWIFT_ENDPOINT_TYPE", "OS_ENDPOINT_TYPE"),
			StorageURL:        a.first("SWIFT_PREAUTHURL", "OS_STORAGE_URL"),
			Token:             a.password("SWIFT_PREAUTHTOKEN", "OS_AUTH_TOKEN"),
		},
		CloudFiles: swift.Account{
			AuthURL: a.getenv("CLOUDFILES_AUTHURL"), User: a.getenv("CLOUDFILES_USERNAME"),
			Password: a.password("CLOUDFILES_APIKEY"), Region: a.getenv("CLOUDFILES_REGION"),
		},
		CAFile: a.caFile(cf, "OS_CACERT"), Proxy: http.ProxyFromEnvironment, SpoolDir: spool,
	}
}

// caFile is the file of certificates that is configured, or a variable's.
func (a *app) caFile(cf *conf.Conf, variable string) string {
	if cf.CAFile != "" {
		return cf.CAFile
	}
	return a.getenv(variable)
}
