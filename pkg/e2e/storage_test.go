package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tklbam/backends/backendtest/servers"
)

// TestStorage has a full and an incremental backup on every kind of server, and
// restores both. The password, from the environment, shows nowhere.
func TestStorage(t *testing.T) {
	for i, k := range sites {
		t.Run(k.name, func(t *testing.T) {
			b := newBox(t, "volsize 1")
			s := k.start(t, b)
			b.use(s, "a%20b/c")
			g := newGardener(t, uint64(200+i))
			g.sizes()
			g.names()
			points := sessions(t, g, 1, func() point {
				at := b.watched(s, "backup", "--raw-upload="+g.root)
				return point{at, look(t, g.root)}
			})
			st := b.status(0)
			if len(st.Chains) != 1 || len(st.Chains[0].Sets) != 2 || st.Damaged || !st.Checked || len(st.Foreign) > 0 {
				t.Fatalf("status %+v", st)
			}
			for i, p := range points {
				same(t, fmt.Sprintf("set %d", i), b.restore(p.timeArg()), p.tree, exact)
			}
			dst := b.path("out")
			b.watched(s, "restore", "--raw-download="+dst)
			same(t, "the latest", look(t, dst), points[1].tree, exact)
			b.unkept(s.password)
		})
	}
}

// TestTypedPassword has passwords in addresses, percent-encoded.
func TestTypedPassword(t *testing.T) {
	for _, k := range sites {
		if !k.typed {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			b := newBox(t)
			s := k.start(t, b)
			b.env = s.env
			typed := ":" + strings.ReplaceAll(url.QueryEscape(s.password), "+", "%20") + "@"
			b.target = strings.Replace(s.address, s.login, strings.TrimSuffix(s.login, "@")+typed, 1) + "typed"
			g := newGardener(t, 1)
			g.file("a", []byte("content"))
			var out strings.Builder
			for _, args := range [][]string{
				{"backup", "--json", "--raw-upload=" + g.root}, {"backup", "--raw-upload=" + g.root}, {"status"}, {"status", "--json"},
				{"restore", "--raw-download=" + b.path("out")}, {"restore", "--json", "--raw-download=" + b.path("json")},
			} {
				out.WriteString(b.must(args[0], append(args[1:], b.address())...).output())
			}
			same(t, "restored", look(t, b.path("json")), look(t, g.root), exact)
			b.unseen(s.password, "the output", out.String())
			b.unkept(s.password)
		})
	}
}

// TestWrongPassword has every command end soon, and say why.
func TestWrongPassword(t *testing.T) {
	const wrong = "not-the-secret"
	for _, k := range sites {
		if !k.password {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			b := newBox(t)
			s := k.start(t, b)
			right := s.password
			s.password = wrong
			b.use(s, "wrong")
			g := newGardener(t, 1)
			g.file("a", []byte("content"))
			for _, args := range [][]string{
				{"backup", "--raw-upload=" + g.root}, {"backup", "--json", "--raw-upload=" + g.root}, {"status"}, {"status", "--json"},
				{"restore", "--raw-download=" + b.path("out")},
			} {
				start := time.Now()
				r := b.run(args[0], append(args[1:], b.address())...)
				if d := time.Since(start); d > 8*time.Second {
					t.Errorf("%s took %v", args, d)
				}
				b.says(r, 1)
				if !saysDenied(r.stderr) {
					t.Errorf("%s says nothing of a password that is wrong: %s", args, r.output())
				}
				for _, secret := range []string{wrong, right} {
					b.unseen(secret, args[0], r.output()+readLog(t, b))
				}
			}
		})
	}
}

// TestStrangers has an SSH server that does not know the user's key, and a user
// who does not know the server's.
func TestStrangers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *box, ssh *servers.SSHServer)
		words  []string
	}{
		"key": {func(_ *box, ssh *servers.SSHServer) { ssh.Write(t, "authorized_keys", "") }, []string{"keeper", "id_ed25519"}},
		"host": {func(b *box, _ *servers.SSHServer) {
			ok(t, os.Remove(b.path("home/.ssh/known_hosts")))
		}, []string{"known_hosts", "SHA256:"}},
		"another host's key": {func(b *box, ssh *servers.SSHServer) {
			_, ssh.HostKey = servers.NewKey(t)
			ssh.Known(t, b.path("home"), ssh.Addr)
		}, []string{"known_hosts", "SHA256:"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			ssh := servers.SSHD(t, servers.SSHOptions{Lines: []string{servers.WithSFTP}})
			ssh.Admit(t, b.path("home"))
			c.change(b, ssh)
			b.target = "sftp://keeper@" + ssh.Addr + "/x"
			b.fails(1, c.words, "status", b.address())
			b.fails(1, c.words, "restore", "--raw-download="+b.path("out"), b.address())
			b.fails(1, c.words, "backup", "--raw-upload="+b.path("conf"), b.address())
		})
	}
}

// saysDenied reports whether a message is clear, of one line and maybe a hint.
func saysDenied(message string) bool {
	lower := strings.ToLower(message)
	for _, word := range []string{"password", "denied", "authent", "log in", "login", "credential", "signature", "unauthorized", "permission"} {
		if strings.Contains(lower, word) {
			return strings.Count(message, "\n") <= 4
		}
	}
	return false
}

// readLog returns the log of backups and restores, which may not be there yet.
func readLog(t testing.TB, b *box) string {
	t.Helper()
	log, err := os.ReadFile(b.path("log"))
	if !os.IsNotExist(err) {
		ok(t, err)
	}
	return string(log)
}

// unseen fails the test where a text has a secret, plain or as in an address.
func (b *box) unseen(secret, what, text string) {
	b.t.Helper()
	if secret == "" {
		return
	}
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.ReplaceAll(url.QueryEscape(secret), "+", "%20")} {
		if strings.Contains(text, form) {
			b.t.Errorf("%s shows the password: %s", what, text)
			return
		}
	}
}

// unkept fails the test where the program left a secret in a file, the log for
// one.
func (b *box) unkept(secret string) {
	b.t.Helper()
	ok(b.t, filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		b.unseen(secret, path, string(content))
		return err
	}))
}

// watched runs a command on the box's target, which has to succeed, and looks
// for the password in its output and the arguments of all processes it starts.
// It returns when the session is dated.
func (b *box) watched(s *site, name string, args ...string) time.Time {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		cmd := b.command(name, append(args, "--json", b.address())...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		ok(b.t, cmd.Start())
		seen := argumentsOf(cmd)
		r := result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
		if strings.Contains(r.stderr, "another backup is running") && time.Now().Before(end) {
			continue
		}
		if r.code != 0 || r.stderr != "" {
			b.t.Fatalf("%s: exit status %d\n%s", name, r.code, r.output())
		}
		b.unseen(s.password, "the process table", seen)
		b.unseen(s.password, name, r.output())
		_, sum := events(b.t, r)
		return sum.Time
	}
}

// argumentsOf waits for a command, and returns the arguments of all processes
// of its group that were seen.
func argumentsOf(cmd *exec.Cmd) string {
	done := make(chan struct{})
	go func() {
		cmd.Wait() // the caller looks at the exit status
		close(done)
	}()
	seen := map[string]bool{}
	for {
		select {
		case <-done:
			var all strings.Builder
			for line := range seen {
				all.WriteString(line + "\n")
			}
			return all.String()
		case <-time.After(5 * time.Millisecond):
			lookAtGroup(cmd.Process.Pid, seen)
		}
	}
}

// lookAtGroup adds the arguments of the processes of a group that there are.
func lookAtGroup(group int, seen map[string]bool) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return
	}
	for _, dir := range dirs {
		var pid int
		fmt.Sscan(filepath.Base(dir), &pid)
		if of, err := syscall.Getpgid(pid); err != nil || of != group {
			continue
		}
		if line, err := os.ReadFile(dir + "/cmdline"); err == nil { // it may have ended
			seen[strings.ReplaceAll(string(line), "\x00", " ")] = true
		}
	}
}
