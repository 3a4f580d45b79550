package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An RsyncServer is an rsync daemon with the module "files".
type RsyncServer struct {
	*Inetd
	Dir string // of the module
}

// The user of an Rsyncd that asks for one.
const (
	RsyncUser     = "plain"
	RsyncPassword = "hunter2 % /"
)

// RsyncUsers are lines for an Rsyncd that make it ask for the user.
var RsyncUsers = []string{"auth users = " + RsyncUser, "secrets file = SECRETS"}

// Rsyncd starts a daemon whose module has more lines. SECRETS in them is a file
// with the password.
func Rsyncd(t testing.TB, lines ...string) *RsyncServer {
	t.Helper()
	rsync := Needs(t, "rsync")
	etc, dir := t.TempDir(), t.TempDir()
	log := filepath.Join(etc, "log")
	check(t, os.WriteFile(filepath.Join(etc, "secrets"), []byte(RsyncUser+":"+RsyncPassword+"\n"), 0o600))
	id := ""
	if os.Geteuid() == 0 {
		id = "uid = 0\ngid = 0\n"
	}
	conf := fmt.Sprintf("use chroot = no\nreverse lookup = no\nsocket options = TCP_NODELAY\nlog file = %s\nlock file = %s\n%s[files]\npath = %s\nread only = no\n%s\n",
		log, filepath.Join(etc, "lock"), id, dir, strings.Join(lines, "\n"))
	write(t, filepath.Join(etc, "rsyncd.conf"), strings.ReplaceAll(conf, "SECRETS", filepath.Join(etc, "secrets")))
	t.Cleanup(func() {
		if text, err := os.ReadFile(log); t.Failed() && err == nil {
			t.Logf("rsync daemon: …%s", text[max(0, len(text)-2000):])
		}
	})
	return &RsyncServer{StartInetd(t, rsync, "--daemon", "--config="+filepath.Join(etc, "rsyncd.conf")), dir}
}
