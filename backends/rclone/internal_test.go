package rclone

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"tklbam/backends"
)

func TestKinds(t *testing.T) {
	for _, test := range []struct {
		code    int
		message string
		want    error
	}{
		{404, "object not found", fs.ErrNotExist},
		{404, "something else", fs.ErrNotExist},
		{500, "error in ListJSON: directory not found", fs.ErrNotExist},
		{500, "AccessDenied: Access Denied status code: 403, request id: x", fs.ErrPermission},
		{500, "googleapi: Error 403: The user's Drive storage quota has been exceeded., storageQuotaExceeded", backends.ErrNoSpace},
		{500, "googleapi: Error 403: Quota exceeded for quota metric 'Queries' and limit 'Queries per minute'", backends.ErrUnavailable},
		{500, "googleapi: Error 403: User Rate Limit Exceeded, userRateLimitExceeded", backends.ErrUnavailable},
		{500, "write /mnt/x: no space left on device", backends.ErrNoSpace},
		{500, "dial tcp 127.0.0.1:1: connect: connection refused", backends.ErrUnavailable},
		{500, "dial tcp: lookup nohost.invalid: no such host", nil},
		{500, "didn't find section in config file", nil},
	} {
		err := &callError{test.code, test.message}
		for _, kind := range []error{fs.ErrNotExist, fs.ErrPermission, backends.ErrNoSpace, backends.ErrUnavailable} {
			if errors.Is(err, kind) != (kind == test.want) {
				t.Errorf("%d, %q: is %v: %t", test.code, test.message, kind, errors.Is(err, kind))
			}
		}
	}
}

func TestEnviron(t *testing.T) {
	got := strings.Join(rcloneEnviron([]string{"HOME=/h", "RCLONE_CONFIG=/c", "RCLONE_RC_ADDR=:1", "RCLONE_LOG_FILE=/l", "RCLONE_S3_REGION=x"}), " ")
	if want := "HOME=/h RCLONE_CONFIG=/c RCLONE_S3_REGION=x RCLONE_DRIVE_USE_TRASH=false"; got != want {
		t.Errorf("the environment is %s, want %s", got, want)
	}
}

// TestKilled: calls after the end of rclone fail, and say so.
func TestKilled(t *testing.T) {
	if _, err := exec.LookPath("rclone"); err != nil {
		t.Skip("rclone is not installed")
	}
	a := backends.Address{Scheme: "rclone", Path: "memory:bucket"}
	environ := append(os.Environ(), "RCLONE_CONFIG=", "RCLONE_CONFIG_MEMORY_TYPE=memory")
	b, err := open(t.Context(), Environment{Environ: environ, SpoolDir: t.TempDir()}, a, backends.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(b.(*target).server.process.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err = b.Put(t.Context(), "name", func(io.Writer) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "rclone has ended") {
		t.Errorf("Put: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
