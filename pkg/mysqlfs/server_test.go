package mysqlfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tklbam/pkg/command"
	"tklbam/pkg/limits"
)

// needs returns the path of a program, without which the test is skipped.
func needs(t testing.TB, program string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/"} {
		if path, err := exec.LookPath(dir + program); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
	return ""
}

// An instance is a server of a test's own.
type instance struct {
	*Server
	t      testing.TB
	dir    string
	socket string
	cmd    *exec.Cmd
	ended  chan struct{}

	program, clientProgram string // MariaDB's, if not set
}

// templateDir is what template made.
var templateDir string

// template is the data of a new server.
var template = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mysqlfs-template-")
	if err != nil {
		return "", err
	}
	templateDir = dir
	if err := own(dir); err != nil {
		return "", err
	}
	out, err := asServer(exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+dir+"/data",
		"--auth-root-authentication-method=socket", "--skip-test-db", "--innodb-log-file-size=8M")).CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	if config := os.Getenv(childDetour); config != "" {
		fmt.Fprintln(os.Stderr, detourForever(config))
		os.Exit(1)
	}
	code := m.Run()
	if templateDir != "" {
		os.RemoveAll(templateDir)
	}
	os.Exit(code)
}

// serverID is the user that servers run as, who is nobody in particular.
func serverID() (uid, gid uint32) {
	u, err := user.Lookup("mysql")
	if err != nil || os.Getuid() != 0 {
		return uint32(os.Getuid()), uint32(os.Getgid())
	}
	id, _ := strconv.Atoi(u.Uid)
	group, _ := strconv.Atoi(u.Gid)
	return uint32(id), uint32(group)
}

func own(path string) error {
	uid, gid := serverID()
	return errors.Join(os.Chown(path, int(uid), int(gid)), os.Chmod(path, 0o755))
}

func asServer(cmd *exec.Cmd) *exec.Cmd {
	uid, gid := serverID()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
	return cmd
}

// start starts a server in a directory of its own, with more options.
func start(t testing.TB, options ...string) *instance {
	t.Helper()
	needs(t, "mariadbd")
	needs(t, "mariadb-install-db")
	from, err := template()
	if err != nil {
		t.Fatalf("make a server's data: %v", err)
	}
	dir, err := os.MkdirTemp("", "mysqlfs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := own(dir); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", from+"/data", dir+"/data").CombinedOutput(); err != nil {
		t.Fatalf("copy a server's data: %s", out)
	}
	i := &instance{t: t, dir: dir, socket: dir + "/s"}
	i.Server, err = Open(command.Exec{}, Access{DefaultsFile: "/dev/null", Socket: i.socket})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.stop)
	i.start(options...)
	return i
}

func (i *instance) args(options ...string) []string {
	return append([]string{"--no-defaults", "--datadir=" + i.dir + "/data", "--socket=" + i.socket,
		"--pid-file=" + i.dir + "/pid", "--skip-networking", "--loose-innodb-log-file-size=8M", "--innodb-buffer-pool-size=64M",
		"--innodb-flush-log-at-trx-commit=0", "--log-error=" + i.dir + "/log"}, options...)
}

func (i *instance) start(options ...string) {
	i.t.Helper()
	if i.program == "" {
		i.program, i.clientProgram = needs(i.t, "mariadbd"), "mariadb"
	}
	i.cmd = asServer(exec.Command(i.program, i.args(options...)...))
	if err := i.cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	i.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) { cmd.Wait(); close(ended) }(i.cmd, i.ended)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := i.Check(context.Background())
		if err == nil || errors.Is(err, ErrDenied) {
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(i.dir + "/log")
			i.t.Fatalf("the server does not start: %v\n%s", err, log)
		}
	}
}

func (i *instance) stop() {
	if i.cmd != nil {
		i.cmd.Process.Kill()
		<-i.ended
		i.cmd = nil
	}
}

// shutdown ends the server in good order.
func (i *instance) shutdown() {
	i.cmd.Process.Signal(syscall.SIGTERM)
	<-i.ended
	i.cmd = nil
}

// sql runs statements, as a client takes them.
func (i *instance) sql(text string) string {
	i.t.Helper()
	cmd := exec.Command(i.clientProgram, "--no-defaults", "-uroot", "-S", i.socket, "-N", "--binary-mode", "--comments",
		"--default-character-set=utf8mb4", "--max-allowed-packet=1G")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		i.t.Fatalf("sql: %v: %.3000s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// dumped returns the server's own dump of databases.
func (i *instance) dumped(names ...string) string {
	i.t.Helper()
	args := append([]string{"--no-defaults", "-S", i.socket, "--skip-dump-date", "--force", "--routines", "--events", "--hex-blob",
		"--dump-history", "--skip-extended-insert", "--max-allowed-packet=1G", "--databases", "--"}, names...)
	cmd := exec.Command("mariadb-dump", args...)
	out, _ := cmd.Output() // of broken views the end status tells
	return string(out)
}

func limitsOf(t testing.TB, args ...string) *limits.Databases {
	t.Helper()
	l, err := limits.ParseAll(args)
	if err != nil {
		t.Fatal(err)
	}
	return l.DB(limits.MySQL)
}

// save saves into a directory and expects no failure.
func (i *instance) save(lim ...string) (string, Saved) {
	i.t.Helper()
	dir := filepath.Join(i.t.TempDir(), "myfs")
	saved, err := i.Save(context.Background(), dir, limitsOf(i.t, lim...), nil)
	if err != nil {
		i.t.Fatal(err)
	}
	if len(saved.Failed) > 0 {
		i.t.Fatalf("not saved: %q", saved.Failed)
	}
	return dir, saved
}

// load loads a directory and expects no failure.
func (i *instance) load(dir string, o LoadOptions, lim ...string) Loaded {
	i.t.Helper()
	loaded, err := i.Load(context.Background(), dir, limitsOf(i.t, lim...), o, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	if len(loaded.Failed) > 0 {
		i.t.Fatalf("not loaded: %q", loaded.Failed)
	}
	return loaded
}

func TestFind(t *testing.T) {
	i := start(t)
	i.sql("create user u@localhost identified by 'pw'")
	ctx := context.Background()
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	config := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("[client]\nsocket="+i.socket+"\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, bad := config("good", "user=u\npassword=pw\n"), config("bad", "user=u\npassword=wrong\n")
	find := func(debian string) error {
		s, err := Find(ctx, command.Exec{}, debian)
		if err != nil {
			return err
		}
		rows, err := s.query(ctx, "SELECT 1")
		if err == nil && rows[0][0] != "1" {
			t.Errorf("asked: %q", rows)
		}
		return errors.Join(err, s.Close())
	}
	if err := find(good); err != nil {
		t.Errorf("debian.cnf: %v", err)
	}
	config(".my.cnf", "user=u\npassword=pw\n")
	for _, debian := range []string{bad, dir + "/absent"} {
		if err := find(debian); err != nil {
			t.Errorf("~/.my.cnf: %v", err)
		}
	}
	config(".my.cnf", "user=u\npassword=wrong\n")
	if err := find(bad); !errors.Is(err, ErrDenied) {
		t.Errorf("no credentials: %v", err)
	}
	i.shutdown()
	if err := find(good); !errors.Is(err, ErrDown) {
		t.Errorf("down: %v", err)
	}
}
