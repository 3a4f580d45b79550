package s3_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/s3"
)

// versitygw is the server of these tests, an S3 gateway to a directory. It is
// built from the module proxy in a module of its own, once for a user.
const (
	versitygw        = "github.com/versity/versitygw"
	versitygwVersion = "v1.8.0"
)

// buildServer returns the path of the server's program.
var buildServer = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "tklbam-test")
	path := filepath.Join(dir, "versitygw-"+versitygwVersion)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	module, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(module)
	program := filepath.Join(module, "versitygw")
	for _, args := range [][]string{
		{"mod", "init", "server"},
		{"get", versitygw + "/cmd/versitygw@" + versitygwVersion},
		{"build", "-o", program, versitygw + "/cmd/versitygw"},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir = module
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %s: %w\n%s", args[0], err, out)
		}
	}
	return path, os.Rename(program, path)
})

// needsServer skips a test where the server can't be built, or fails it in CI.
func needsServer(t *testing.T) string {
	t.Helper()
	path, err := buildServer()
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("versitygw cannot be built: %v", err)
	}
	t.Skipf("versitygw cannot be built: %v", err)
	return ""
}

const (
	rootKey    = "rootkey"
	rootSecret = "root/secret+x"
	bucket     = "bucket"
)

// A server is a running one with its directory.
type server struct {
	host string // address and port
	dir  string // holds a directory for each bucket
	ca   string // file with its certificate, if it has one
	iam  string // directory of its users
}

// startServer runs a server until the test ends.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	return startServerWith(t, &server{}, args...)
}

// startTLSServer runs one with a certificate for its address.
func startTLSServer(t *testing.T) *server {
	t.Helper()
	s := &server{}
	var key string
	s.ca, key = makeCertificate(t)
	return startServerWith(t, s, "--cert", s.ca, "--key", key)
}

func startServerWith(t *testing.T, s *server, args ...string) *server {
	t.Helper()
	program := needsServer(t)
	s.dir, s.iam = t.TempDir(), t.TempDir()
	if s.host == "" {
		s.host = freeAddress(t)
	}
	args = append([]string{"--port", s.host, "--access", rootKey, "--secret", rootSecret,
		"--quiet", "--keep-alive", "--iam-dir", s.iam, "--iam-cache-disable"}, args...)
	cmd := exec.Command(program, append(args, "posix", s.dir)...)
	var messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &messages, &messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	if err := waitForServer(s.host, ended); err != nil {
		t.Fatalf("start versitygw: %v\n%s", err, &messages)
	}
	return s
}

// waitForServer returns when the server takes connections.
func waitForServer(host string, ended chan error) error {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		conn, err := net.Dial("tcp", host)
		if err == nil {
			return conn.Close()
		}
		select {
		case err := <-ended:
			ended <- err
			return fmt.Errorf("it ended: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("it takes no connections")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// makeCertificate returns the files of a certificate for 127.0.0.1 that signs
// itself, and of its key.
func makeCertificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, keyErr := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	cert, certErr := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	keyBytes, marshalErr := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(keyErr, certErr, marshalErr); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, p []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: p}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", cert), write("key.pem", "PRIVATE KEY", keyBytes)
}

// options are those for the server and its root user.
func (s *server) options() s3.Options {
	return s3.Options{
		PlainHTTP:   s.ca == "",
		CAFile:      s.ca,
		Credentials: s3.Credentials{AccessKeyID: rootKey, SecretAccessKey: backends.NewSecret(rootSecret)},
	}
}

func (s *server) makeBucket(t *testing.T, name string) {
	t.Helper()
	open(t, "s3://"+s.host+"/"+name, s.options(), backends.Options{Create: true})
}

// open opens an address, which must work.
func open(t *testing.T, address string, opts s3.Options, o backends.Options) backends.Backend {
	t.Helper()
	b, err := openAddress(t, address, opts, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openAddress(t *testing.T, address string, opts s3.Options, o backends.Options) (backends.Backend, error) {
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

// admin runs a command of the server's own client.
func (s *server) admin(t *testing.T, args ...string) {
	t.Helper()
	args = append([]string{"admin", "--access", rootKey, "--secret", rootSecret, "--endpoint-url", "http://" + s.host}, args...)
	if out, err := exec.CommandContext(t.Context(), needsServer(t), args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}
