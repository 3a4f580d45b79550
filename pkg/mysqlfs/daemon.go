package mysqlfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tklbam/pkg/command"
)

// A Daemon is a Service whose normal state is the affair of commands, and
// which is run in between as a process of its own, in a directory that only
// the server and its administrator can enter.
type Daemon struct {
	Runner  command.Runner
	Start   []string // command that starts the server as the system does
	Stop    []string // command that ends it
	Program string   // of the server, which reads the system's configuration
	Options []string // that it is always given, first
	Dir     string   // holds the socket and the process id in between; made and removed

	// PIDFiles are where the server, as the system starts it, may write its
	// process id. Some systems' commands end the server by asking it to, which
	// takes the very credentials that it refuses.
	PIDFiles []string
}

// SystemDaemon is the server of this system, by whichever of its names it
// goes. It is started and ended by systemd where that runs, else by its init
// script; a server that something else keeps running is an error that wraps
// fs.ErrNotExist.
func SystemDaemon(run command.Runner) (*Daemon, error) {
	program := firstFile("/usr/sbin/mariadbd", "/usr/sbin/mysqld", "/usr/libexec/mariadbd", "/usr/libexec/mysqld")
	control := serviceControl("/")
	if program == "" || control == nil {
		return nil, fmt.Errorf("find the database server's service, which systemd or an init script is needed for: %w", fs.ErrNotExist)
	}
	return &Daemon{
		Runner: run, Program: program, Dir: "/run/tklbam-mysql",
		Start: control("start"), Stop: control("stop"),
		PIDFiles: []string{"/run/mysqld/mysqld.pid", "/run/mariadb/mariadb.pid"},
	}, nil
}

// serviceNames are what the server's service is called, the usual one first.
var serviceNames = []string{"mariadb", "mysql", "mysqld"}

// serviceControl returns a function for the command of the service in the
// system at root that does what its argument says: start or stop. It is nil if
// the service is under nobody's control.
func serviceControl(root string) func(verb string) []string {
	file := func(format, name string) bool {
		return firstFile(filepath.Join(root, fmt.Sprintf(format, name))) != ""
	}
	booted := firstFile(filepath.Join(root, "run/systemd/system")) != ""
	for _, name := range serviceNames {
		script := "/etc/init.d/" + name
		switch {
		case booted && (file("lib/systemd/system/%s.service", name) || file("usr/lib/systemd/system/%s.service", name) ||
			file("etc/systemd/system/%s.service", name) || file("etc/init.d/%s", name)): // of which it makes a unit
			return func(verb string) []string { return []string{"systemctl", verb, name + ".service"} }
		case file("etc/init.d/%s", name):
			return func(verb string) []string { return []string{script, verb} }
		}
	}
	return nil
}

// firstFile returns the first of the paths that exists, or "".
func firstFile(paths ...string) string {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// Socket is the path of the socket while the daemon is run by Restart.
func (d *Daemon) Socket() string { return filepath.Join(d.Dir, "socket") }

func (d *Daemon) pidFile() string { return filepath.Join(d.Dir, "pid") }

// Running implements Service. A server that is the system's answers at the
// usual socket, also one that refuses credentials.
func (d *Daemon) Running(ctx context.Context) (bool, error) {
	access := Access{}
	if d.Options != nil { // the client reads the same configuration
		access = Access{DefaultsFile: "/dev/null", Socket: d.option("--socket=")}
	}
	return answers(ctx, d.Runner, access)
}

func (d *Daemon) option(prefix string) string {
	for _, o := range d.Options {
		if value, ok := strings.CutPrefix(o, prefix); ok {
			return value
		}
	}
	return ""
}

func answers(ctx context.Context, run command.Runner, access Access) (bool, error) {
	s, err := Open(run, access)
	if err != nil {
		return false, err
	}
	err = s.Check(ctx)
	switch {
	case ctx.Err() != nil:
		return false, err
	case errors.Is(err, ErrDown):
		return false, nil
	}
	return true, nil // what it says is another matter
}

// Restart implements Service. setsid lets the server go on on its own, for
// Restore to end.
func (d *Daemon) Restart(ctx context.Context, options ...string) error {
	if err := d.makeDir(); err != nil {
		return err
	}
	if err := d.stop(ctx); err != nil {
		return err
	}
	args := append([]string{"setsid", "--fork", d.Program}, d.Options...)
	args = append(args, "--socket="+d.Socket(), "--pid-file="+d.pidFile())
	if os.Geteuid() == 0 {
		args = append(args, "--user="+serverUser)
	}
	if err := d.Runner.Run(ctx, command.Command{Args: append(args, options...)}); err != nil {
		return err
	}
	begun := false
	return wait(ctx, startTime, func() (bool, error) {
		pid, err := d.process()
		if err != nil || begun && pid == 0 {
			return false, errors.Join(err, errors.New("the database server ended as soon as it was started"))
		}
		begun = begun || pid != 0
		return answers(ctx, d.Runner, Access{DefaultsFile: "/dev/null", Socket: d.Socket()})
	})
}

// stop ends the server that the system started.
func (d *Daemon) stop(ctx context.Context) error {
	err := d.Runner.Run(ctx, command.Command{Args: d.Stop})
	if err == nil || ctx.Err() != nil {
		return err
	}
	for _, name := range d.PIDFiles {
		text, rerr := os.ReadFile(name)
		pid, perr := strconv.Atoi(strings.TrimSpace(string(text)))
		if rerr != nil || perr != nil || !d.runs(pid) {
			continue
		}
		return d.terminate(ctx, pid, func() (bool, error) { return !d.runs(pid), nil })
	}
	return err
}

// runs reports whether a process is the server.
func (d *Daemon) runs(pid int) bool {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && filepath.Base(program) == filepath.Base(d.Program)
}

// terminate ends a process and waits until it is gone.
func (d *Daemon) terminate(ctx context.Context, pid int, gone func() (bool, error)) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end process %d: %w", pid, err)
	}
	return wait(ctx, stopTime, gone)
}

// serverUser is who the server runs as on every distribution.
const serverUser = "mysql"

const (
	startTime = 2 * time.Minute  // a server may have to recover first
	stopTime  = 10 * time.Minute // or to write what it holds in memory
	pollTime  = 100 * time.Millisecond
)

// makeDir makes the directory, anew.
func (d *Daemon) makeDir() error {
	if err := os.RemoveAll(d.Dir); err != nil {
		return err
	}
	if err := os.Mkdir(d.Dir, 0o700); err != nil || os.Geteuid() != 0 {
		return err
	}
	u, err := user.Lookup(serverUser)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	return os.Chown(d.Dir, uid, -1)
}

// Restore implements Service.
func (d *Daemon) Restore(ctx context.Context) error {
	if err := d.end(ctx); err != nil {
		return err
	}
	running, err := d.Running(ctx)
	if err != nil {
		return err
	}
	if !running {
		if err := d.Runner.Run(ctx, command.Command{Args: d.Start}); err != nil {
			return err
		}
	}
	err = wait(ctx, startTime, func() (bool, error) { return d.Running(ctx) })
	return errors.Join(err, os.RemoveAll(d.Dir))
}

// end ends the server that Restart started, and waits until it is gone.
func (d *Daemon) end(ctx context.Context) error {
	pid, err := d.process()
	if pid == 0 || err != nil {
		return err
	}
	return d.terminate(ctx, pid, func() (bool, error) {
		left, err := d.process()
		return left != pid, err
	})
}

// process returns the id of the server's process, found by its command line
// since it may not have come to writing down its id; 0 if there is none.
func (d *Daemon) process() (int, error) {
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	want := []byte("\x00--pid-file=" + d.pidFile() + "\x00")
	for _, name := range names {
		line, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(line, want) {
			continue // it has ended
		}
		if exe, _, _ := bytes.Cut(line, []byte{0}); string(exe) == d.Program {
			return strconv.Atoi(filepath.Base(filepath.Dir(name)))
		}
	}
	return 0, nil
}

// wait waits for a condition.
func wait(ctx context.Context, limit time.Duration, met func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	for {
		ok, err := met()
		if ok || err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the database server: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

var _ Service = (*Daemon)(nil)
