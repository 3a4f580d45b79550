package s3

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"tklbam/backends"
)

// amazon is the service of addresses that name none.
const amazon = "s3.amazonaws.com"

// A location is where the files of an address are: under keys of a bucket
// that are the prefix and the name.
type location struct {
	endpoint string // host[:port], an IPv6 address in brackets
	bucket   string
	prefix   string // empty or ending in a slash
}

// locate reads an address as Duplicity does: the first part of the path is
// the bucket, the others are the prefix, and empty parts count for nothing.
func locate(a backends.Address, opts Options) (location, error) {
	endpoint, err := findEndpoint(a, opts)
	if err != nil {
		return location{}, err
	}
	parts := strings.FieldsFunc(a.Path, func(r rune) bool { return r == '/' })
	if len(parts) == 0 {
		return location{}, errors.New("it names no bucket: the forms are s3://host/bucket[/prefix] and s3+http://bucket[/prefix]")
	}
	if err := s3utils.CheckValidBucketName(parts[0]); err != nil {
		return location{}, fmt.Errorf("bucket %q: %w", parts[0], err)
	}
	l := location{endpoint: endpoint, bucket: parts[0]}
	if len(parts) > 1 {
		l.prefix = strings.Join(parts[1:], "/") + "/"
	}
	return l, nil
}

// url returns the bucket's, in the style of paths.
func (l location) url(opts Options) url.URL {
	u := url.URL{Scheme: "https", Host: l.endpoint, Path: "/" + l.bucket}
	if opts.PlainHTTP {
		u.Scheme = "http"
	}
	return u
}

// findEndpoint returns the host[:port] of the service.
func findEndpoint(a backends.Address, opts Options) (string, error) {
	switch {
	case a.Host != "":
		return hostPort(a.Host, a.Port), nil
	case opts.Endpoint == "":
		return amazon, nil
	}
	scheme, host, found := strings.Cut(opts.Endpoint, "://")
	if !found {
		return opts.Endpoint, nil
	}
	if scheme == "http" && !opts.PlainHTTP {
		return "", fmt.Errorf("endpoint %q has no TLS, and plain HTTP is not allowed", opts.Endpoint)
	}
	if scheme != "http" && scheme != "https" {
		return "", fmt.Errorf("endpoint %q is neither https:// nor http://", opts.Endpoint)
	}
	return strings.TrimRight(host, "/"), nil
}

func hostPort(host string, port int) string {
	if port != 0 {
		return net.JoinHostPort(host, strconv.Itoa(port))
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
