package rclone

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"

	"tklbam/backends"
)

// remoteName is what rclone calls the target: an alias that is made for its
// process alone, so that no path has to be put into the texts of requests.
const remoteName = "tklbamtarget:"

// maxIdle is how many connections wait for later calls.
const maxIdle = 16

// server is an rclone process that serves one target.
type server struct {
	url, password string
	client        *http.Client
	process       *process
	closed        atomic.Bool
}

// startServer starts a process for a remote with a path and waits until it
// listens.
func startServer(ctx context.Context, environ []string, remote string) (*server, error) {
	path, err := exec.LookPath("rclone")
	if err != nil {
		return nil, fmt.Errorf("find the rclone program: %w", err)
	}
	s := &server{password: rand.Text()}
	// Times are without bounds: they would be those of a whole transfer.
	cmd := exec.Command(path, "rcd", "--rc-addr=127.0.0.1:0", "--rc-serve",
		"--rc-server-read-timeout=0", "--rc-server-write-timeout=0",
		"--ask-password=false", "--log-level=NOTICE", "--ignore-times")
	cmd.Env = append(rcloneEnviron(environ),
		"RCLONE_CONFIG_TKLBAMTARGET_TYPE=alias", "RCLONE_CONFIG_TKLBAMTARGET_REMOTE="+remote,
		"RCLONE_RC_USER="+userName, "RCLONE_RC_PASS="+s.password)
	if s.process, err = startProcess(cmd); err != nil {
		return nil, fmt.Errorf("start rclone: %w", err)
	}
	if s.url, err = s.process.listening(ctx); err != nil {
		s.process.end()
		return nil, err
	}
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: maxIdle, DisableCompression: true}}
	return s, nil
}

// rcloneEnviron leaves out what would change how the process is spoken to. As
// with Duplicity, what is deleted on Google Drive takes no space in its bin.
func rcloneEnviron(environ []string) []string {
	keep := slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		return slices.ContainsFunc([]string{"RCLONE_RC_", "RCLONE_LOG_", "RCLONE_USE_JSON_LOG", "RCLONE_SYSLOG", "RCLONE_QUIET", "RCLONE_VERBOSE"},
			func(prefix string) bool { return strings.HasPrefix(v, prefix) })
	})
	return append(keep, "RCLONE_DRIVE_USE_TRASH=false")
}

// close ends the process; the closed server gives errors.
func (s *server) close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.client.CloseIdleConnections()
	s.process.end()
	return nil
}

// lost makes of an error of a request what callers of a backend know.
func (s *server) lost(ctx context.Context, err error) error {
	switch {
	case err == nil || err == io.EOF:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case s.process.ended():
		return fmt.Errorf("rclone has ended with %q: %w", printable(s.process.lastMessage()), err)
	}
	return fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
}

// check returns an error if the server can't be asked.
func (s *server) check(ctx context.Context) error {
	if s.closed.Load() {
		return fs.ErrClosed
	}
	return ctx.Err()
}
