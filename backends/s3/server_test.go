package s3_test

import (
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/s3"
)

const (
	rootKey    = servers.S3Key
	rootSecret = servers.S3Secret
	bucket     = "bucket"
)

// A server is a running versitygw.
type server struct{ *servers.S3Server }

// startServer runs a server until the test ends.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	return &server{servers.VersityGW(t, servers.S3Options{Args: args})}
}

// startTLSServer runs one with a certificate for its address.
func startTLSServer(t testing.TB) *server {
	t.Helper()
	return &server{servers.VersityGW(t, servers.S3Options{TLS: true})}
}

// options are those for the server and its root user.
func (s *server) options() s3.Options {
	return s3.Options{
		PlainHTTP:   s.CAFile == "",
		CAFile:      s.CAFile,
		Credentials: s3.Credentials{AccessKeyID: rootKey, SecretAccessKey: backends.NewSecret(rootSecret)},
	}
}

func (s *server) makeBucket(t testing.TB, name string) {
	t.Helper()
	open(t, "s3://"+s.Host+"/"+name, s.options(), backends.Options{Create: true})
}

// open opens an address, which must work.
func open(t testing.TB, address string, opts s3.Options, o backends.Options) backends.Backend {
	t.Helper()
	b, err := openAddress(t, address, opts, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openAddress(t testing.TB, address string, opts s3.Options, o backends.Options) (backends.Backend, error) {
	t.Helper()
	b, err := backends.Open(t.Context(), []backends.Driver{s3.Driver(opts)}, address, o)
	if err == nil {
		t.Cleanup(func() {
			if err := b.Close(); err != nil {
				t.Errorf("close %s: %v", b, err)
			}
		})
	}
	return b, err
}
