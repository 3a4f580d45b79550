package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"tklbam/backends"
)

// Options are what a target needs to be known besides its address. The zero
// value is Amazon over TLS without any credentials. Where a variable or an
// option of Duplicity's is named, the value it has belongs into the field:
// the driver reads no environment itself.
type Options struct {
	// Endpoint is the service of s3+http:// addresses, which name none:
	// "https://host[:port]" or "host[:port]", Amazon if empty.
	// AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL; Duplicity's --s3-endpoint-url.
	Endpoint string

	// Region is where a new bucket is made, and what requests are signed
	// for when the service does not tell where a bucket is. AWS_REGION,
	// AWS_DEFAULT_REGION; Duplicity's --s3-region-name.
	Region string

	// PlainHTTP gives up TLS. Duplicity's --s3-unencrypted-connection.
	PlainHTTP bool

	// CAFile is a file of PEM certificates that are trusted instead of the
	// system's. AWS_CA_BUNDLE; Duplicity's --ssl-cacert-file.
	CAFile string

	// Proxy says which proxy a request takes, such as
	// http.ProxyFromEnvironment; nil is none.
	Proxy func(*http.Request) (*url.URL, error)

	// Style is how requests name the bucket.
	Style Style

	// StorageClass is the class files are stored in, such as STANDARD_IA;
	// "" is the bucket's own. Classes whose files can't be read at once
	// (GLACIER, DEEP_ARCHIVE) get volumes alone: every backup reads the
	// others. Amazon's are checked, other services have their own.
	// Duplicity's --s3-use-ia, --s3-use-glacier and others.
	StorageClass string

	// Parallel is the number of parts of one file on their way at a time;
	// 0 is 4. Duplicity's --s3-multipart-max-procs.
	Parallel int

	// PartSize is the size in bytes above which a file is sent in parts,
	// and of the parts; 0 is 8 MiB. S3 takes none below 5 MiB. A Put holds
	// up to Parallel+1 of them in memory. Duplicity's
	// --s3-multipart-chunk-size.
	PartSize int

	// StallTimeout ends a connection on which no byte moves while one is
	// waited for; 0 is a minute. Duplicity's --timeout.
	StallTimeout time.Duration

	// The first of these that has credentials counts, after those in the
	// address (s3://key:secret@host/bucket).

	// Credentials are fixed ones. AWS_ACCESS_KEY_ID,
	// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.
	Credentials Credentials

	// Renew fetches temporary ones, at first and before they expire.
	Renew func(ctx context.Context) (Credentials, error)

	// CredentialsFiles are AWS shared files, of which absent ones count as
	// empty, and Profile the section in them, "default" if empty.
	// AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials), AWS_CONFIG_FILE
	// (~/.aws/config); AWS_PROFILE.
	CredentialsFiles []string
	Profile          string

	// MetadataURL is the instance metadata service of a machine at Amazon,
	// "http://169.254.169.254"; it is not asked if empty.
	// AWS_EC2_METADATA_SERVICE_ENDPOINT, AWS_EC2_METADATA_DISABLED.
	MetadataURL string
}

// Credentials are what requests are signed with.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey backends.Secret
	SessionToken    backends.Secret // of temporary credentials
	Expires         time.Time       // zero if they don't
}

// A Style is a way to name the bucket in a request.
type Style string

// The styles. AutoStyle is VirtualStyle for Amazon and the few others known to
// want it where the bucket's name allows, and PathStyle elsewhere.
const (
	AutoStyle    Style = ""
	PathStyle    Style = "path"    // https://host/bucket/name
	VirtualStyle Style = "virtual" // https://bucket.host/name
)

const (
	defaultParallel = 4
	defaultPartSize = 8 << 20
	minPartSize     = 5 << 20 // S3's own limit, for all parts but the last
	maxParallel     = 64
	maxPartSize     = 1 << 30
	defaultStall    = time.Minute
)

// withDefaults returns the options with the zero numbers replaced.
func (o Options) withDefaults() (Options, error) {
	if o.Parallel == 0 {
		o.Parallel = defaultParallel
	}
	if o.PartSize == 0 {
		o.PartSize = defaultPartSize
	}
	if o.StallTimeout == 0 {
		o.StallTimeout = defaultStall
	}
	switch {
	case o.Parallel < 1 || o.Parallel > maxParallel:
		return o, fmt.Errorf("%d parallel uploads: the number is from 1 to %d", o.Parallel, maxParallel)
	case o.PartSize < minPartSize || o.PartSize > maxPartSize:
		return o, fmt.Errorf("parts of %d bytes: the size is from %d to %d", o.PartSize, minPartSize, maxPartSize)
	case o.StallTimeout < 0:
		return o, errors.New("the stall timeout is negative")
	case o.Style != AutoStyle && o.Style != PathStyle && o.Style != VirtualStyle:
		return o, fmt.Errorf("style %q is neither %q nor %q", o.Style, PathStyle, VirtualStyle)
	}
	return o, nil
}
