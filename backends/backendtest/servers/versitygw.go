package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// versitygw is an S3 gateway to a directory. It is built from the module proxy
// in a module of its own, once for a user.
const (
	versitygw        = "github.com/versity/versitygw"
	versitygwVersion = "v1.8.0"
)

// The user that a VersityGW begins with, who may do all.
const (
	S3Key    = "rootkey"
	S3Secret = "root/secret+x"
)

// An S3Server is a running versitygw.
type S3Server struct {
	Host   string // address and port
	Dir    string // holds a directory for each bucket
	CAFile string // with its certificate, if it has one
}

// S3Options say what is special about a VersityGW.
type S3Options struct {
	Host string   // a free address and port; one of 127.0.0.1 if it is empty
	TLS  bool     // for 127.0.0.1
	Args []string // more of its arguments
}

// VersityGW runs a server until the test ends.
func VersityGW(t testing.TB, o S3Options) *S3Server {
	t.Helper()
	program := needsVersityGW(t)
	etc := t.TempDir()
	s := &S3Server{Host: o.Host, Dir: t.TempDir()}
	if s.Host == "" {
		s.Host = loopback(FreePort(t))
	}
	args := []string{"--port", s.Host, "--access", S3Key, "--secret", S3Secret,
		"--quiet", "--keep-alive", "--iam-dir", etc, "--iam-cache-disable"}
	if o.TLS {
		cert, key := Certificate(t, etc)
		s.CAFile = cert
		args = append(args, "--cert", cert, "--key", key)
	}
	args = append(append(args, o.Args...), "posix", s.Dir)
	serve(t, os.Kill, s.Host, filepath.Join(t.TempDir(), "log"), program, args...)
	return s
}

// Admin runs a command of the server's own client.
func (s *S3Server) Admin(t testing.TB, args ...string) {
	t.Helper()
	args = append([]string{"admin", "--access", S3Key, "--secret", S3Secret, "--endpoint-url", "http://" + s.Host}, args...)
	if out, err := exec.CommandContext(t.Context(), needsVersityGW(t), args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

func needsVersityGW(t testing.TB) string {
	t.Helper()
	path, err := buildVersityGW()
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("versitygw cannot be built: %v", err)
	}
	t.Skipf("versitygw cannot be built: %v", err)
	return ""
}

// buildVersityGW returns the path of the server's program.
var buildVersityGW = sync.OnceValues(func() (string, error) {
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
