package rsync_test

import (
	"os"
	"path/filepath"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/rsync"
)

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A daemon is an rsync daemon with the module "files" for a directory.
type daemon struct{ *servers.RsyncServer }

func startDaemon(t testing.TB, lines ...string) *daemon {
	t.Helper()
	return &daemon{servers.Rsyncd(t, lines...)}
}

// address returns the address of a path in the module.
func (d *daemon) address(path string) string {
	return "rsync://127.0.0.1:" + d.Port() + "::/files" + path
}

// environment returns one that has the test's own environment variables.
func environment() rsync.Environment { return rsync.Environment{Environ: os.Environ()} }

func try(t testing.TB, env rsync.Environment, address string, opts backends.Options) (backends.Backend, error) {
	t.Helper()
	env.SpoolDir = t.TempDir()
	t.Cleanup(func() {
		if left, err := os.ReadDir(env.SpoolDir); err != nil || len(left) > 0 {
			t.Errorf("%d spool directories are left of %s, error %v", len(left), address, err)
		}
	})
	return backends.Open(t.Context(), []backends.Driver{rsync.Driver(env)}, address, opts)
}

// open opens a target, and makes it.
func open(t testing.TB, env rsync.Environment, address string) backends.Backend {
	t.Helper()
	b, err := try(t, env, address, backends.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A shell is OpenSSH's server, which runs commands in a directory as this user.
type shell struct {
	*servers.SSHServer
	home string
	env  rsync.Environment
}

// startShell starts a server, and has a client that it knows.
func startShell(t testing.TB) *shell {
	t.Helper()
	servers.Needs(t, "rsync")
	servers.Needs(t, "ssh")
	s := &shell{home: t.TempDir(), env: environment()}
	s.SSHServer = servers.SSHD(t, servers.SSHOptions{Self: true, Lines: []string{
		"ForceCommand cd " + s.home + ` && eval "$SSH_ORIGINAL_COMMAND"`,
	}})
	client := filepath.Join(t.TempDir(), "a user")
	s.Admit(t, client)
	s.env.Shell = []string{"ssh", "-F", "none", "-i", filepath.Join(client, ".ssh/id_ed25519"),
		"-o", `UserKnownHostsFile="` + filepath.Join(client, ".ssh/known_hosts") + `"`}
	return s
}

// address returns the address of a path that starts with one slash or two.
func (s *shell) address(path string) string {
	return "rsync://" + s.User + "@127.0.0.1:" + s.Port() + path
}

// local returns an environment whose remote shell runs the commands on this
// machine, as ssh would have a shell do.
func local(t testing.TB) rsync.Environment {
	t.Helper()
	path := filepath.Join(t.TempDir(), "remote shell")
	write(t, path, "#!/bin/sh\ntest \"$1\" = host || exit 255\nshift\nexec sh -c \"$*\"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	env := environment()
	env.Shell = []string{path}
	return env
}
