package s3

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"tklbam/backends"
)

const (
	// attempts is how often one request is tried, a second or so apart: a
	// part that has to be sent again costs less than the whole file. Longer
	// outages are for the caller to sit out.
	attempts = 3

	dialTimeout = 30 * time.Second

	// socketBuffer is the size of a connection's buffers: net/http's own
	// 4 KiB make for many small system calls.
	socketBuffer = 128 << 10

	// idleFiles is for how many files at a time connections are kept
	// between requests: each part has one, and another costs two round
	// trips for TLS.
	idleFiles = 8
)

// newTransport returns the connections to a service.
func newTransport(opts Options) (*http.Transport, error) {
	roots, err := backends.LoadRoots(opts.CAFile)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:               opts.Proxy,
		DialContext:         backends.Dialer(dialTimeout, opts.StallTimeout),
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout: min(dialTimeout, opts.StallTimeout),
		MaxIdleConnsPerHost: idleFiles * opts.Parallel,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true, // files come as they are stored
		WriteBufferSize:     socketBuffer,
		ReadBufferSize:      socketBuffer,
	}, nil
}

// newClient returns a client for the bucket at a location.
func newClient(ctx context.Context, l location, opts Options, creds *credentials.Credentials, transport http.RoundTripper) (*minio.Core, error) {
	region := opts.Region
	if asked := askRegion(ctx, l, opts, transport); asked != "" {
		region = asked
	}
	return minio.NewCore(l.endpoint, &minio.Options{
		Creds:        creds,
		Secure:       !opts.PlainHTTP,
		Transport:    transport,
		Region:       region,
		BucketLookup: lookup(l, opts),
		MaxRetries:   attempts,
	})
}

// lookup maps the style to the client's. Amazon keeps old buckets whose names
// are no host names, in upper case or with underscores.
func lookup(l location, opts Options) minio.BucketLookupType {
	switch {
	case opts.Style == VirtualStyle:
		return minio.BucketLookupDNS
	case opts.Style == PathStyle, s3utils.CheckValidBucketNameStrict(l.bucket) != nil:
		return minio.BucketLookupPath
	}
	return minio.BucketLookupAuto
}

// askRegion asks Amazon where a bucket is: it tells everyone, in a header of
// whatever answer it gives, while the request made for the purpose needs a
// permission that narrow credentials lack. Where there is no answer "" leaves
// the question to the client, whose requests meet the same trouble and report
// it.
func askRegion(ctx context.Context, l location, opts Options, transport http.RoundTripper) string {
	bucket := l.url(opts)
	if !s3utils.IsAmazonEndpoint(bucket) {
		return ""
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, bucket.String(), nil)
	if err != nil {
		return ""
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return ""
	}
	resp.Body.Close()
	return resp.Header.Get("X-Amz-Bucket-Region")
}
