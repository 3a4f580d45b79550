package mysqlfs

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tklbam/pkg/command"
)

// locked starts a server that refuses everyone.
func locked(t *testing.T) (*instance, *Daemon, Detour) {
	needs(t, "setsid")
	i := start(t)
	i.sql("create database d; create table d.t (a int); insert into d.t values (1); " +
		"create event d.e on schedule every 1 day starts '2030-01-01' do set @x=1; " +
		"update mysql.global_priv set priv=json_set(priv,'$.auth_or','[]','$.account_locked',true,'$.auth_or',json_array()); flush privileges;")
	if err := i.Check(context.Background()); !errors.Is(err, ErrDenied) {
		t.Fatalf("the server lets us in: %v", err)
	}
	script := func(name, text string) []string {
		path := filepath.Join(i.dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
		return []string{path}
	}
	options := i.args()
	user := ""
	if os.Getuid() == 0 {
		user = " --user=mysql"
	}
	d := &Daemon{
		Runner: command.Exec{}, Program: needs(t, "mariadbd"), Options: options, Dir: filepath.Join(i.dir, "detour"),
		Start: script("start", "exec setsid --fork "+needs(t, "mariadbd")+" '"+strings.Join(options, "' '")+"'"+user+"\n"),
		Stop:  script("stop", "p=$(cat "+i.dir+"/pid) || exit 0; kill $p; while kill -0 $p 2>/dev/null && ! grep -q 'State:.Z' /proc/$p/status; do sleep 0.1; done\n"),
	}
	t.Cleanup(func() { d.Runner.Run(context.Background(), command.Command{Args: d.Stop}) })
	t.Cleanup(func() { d.end(context.Background()) })
	return i, d, Detour{Service: d, Marker: filepath.Join(i.dir, "marker")}
}

func TestDetour(t *testing.T) {
	i, d, detour := locked(t)
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "myfs")
	err := detour.Do(ctx, func(ctx context.Context) error {
		if err := i.Check(ctx); !errors.Is(err, ErrDown) {
			t.Errorf("the usual socket is open: %v", err)
		}
		s, err := Open(command.Exec{}, Access{DefaultsFile: "/dev/null", Socket: d.Socket()})
		if err != nil {
			return err
		}
		saved, err := s.Save(ctx, dir, nil, nil)
		if err != nil || len(saved.Failed) > 0 {
			t.Errorf("saved %+v: %v", saved, err)
		}
		loaded, err := s.Load(ctx, dir, nil, LoadOptions{Drop: true}, nil)
		if len(loaded.Failed) > 0 {
			t.Errorf("loaded %+v", loaded)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Check(ctx); !errors.Is(err, ErrDenied) {
		t.Errorf("afterwards: %v", err)
	}
	if undone, err := detour.Undo(ctx); undone || err != nil {
		t.Errorf("undone again: %v %v", undone, err)
	}
	if err := d.Runner.Run(ctx, command.Command{Args: d.Stop}); err != nil {
		t.Fatal(err)
	}
	i.start("--skip-grant-tables")
	if got := i.sql("select db, name, interval_field from mysql.event; select * from d.t"); got != "d\te\tDAY\n1" {
		t.Errorf("restored: %q", got)
	}
	for _, part := range []string{"d/tables/t/rows", "mysql/tables/event/rows"} {
		if info, err := os.Stat(filepath.Join(dir, part)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", part, err)
		}
	}
}

// TestDetourAfterKill leaves the server as a kill at each step does.
func TestDetourAfterKill(t *testing.T) {
	i, d, detour := locked(t)
	ctx := context.Background()
	for name, leave := range map[string]func() error{
		"before the restart": func() error { return nil },
		"while it is down":   func() error { return d.Runner.Run(ctx, command.Command{Args: d.Stop}) },
		"within":             func() error { return d.Restart(ctx, withoutUsers...) },
		"while put back":     func() error { return errors.Join(d.Restart(ctx, withoutUsers...), d.end(ctx)) },
	} {
		if err := os.WriteFile(detour.Marker, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := leave(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		undone, err := detour.Undo(ctx)
		if err != nil || !undone {
			t.Errorf("%s: undone %v: %v", name, undone, err)
		}
		if err := i.Check(ctx); !errors.Is(err, ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(d.Dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the directory is still there: %v", name, err)
		}
	}
}

// childDetour has the Daemon and the marker for a process that is killed within
// its detour, as JSON.
const childDetour = "MYSQLFS_TEST_DETOUR"

// detourForever is that process. It says when it is there.
func detourForever(config string) error {
	var detour struct {
		Daemon Daemon
		Marker string
	}
	if err := json.Unmarshal([]byte(config), &detour); err != nil {
		return err
	}
	detour.Daemon.Runner = command.Exec{}
	return Detour{Service: &detour.Daemon, Marker: detour.Marker}.Do(context.Background(), func(context.Context) error {
		fmt.Println("there")
		select {}
	})
}

// TestDetourKilled kills the process in the detour, after which the next one
// puts the server back.
func TestDetourKilled(t *testing.T) {
	i, d, detour := locked(t)
	ctx := context.Background()
	plain := *d
	plain.Runner = nil
	config, err := json.Marshal(map[string]any{"Daemon": plain, "Marker": detour.Marker})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), childDetour+"="+string(config))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "there\n" {
		t.Errorf("the child says %q: %v", line, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	open, err := Open(command.Exec{}, Access{DefaultsFile: "/dev/null", Socket: d.Socket()})
	if err != nil {
		t.Fatal(err)
	}
	if err := open.Check(ctx); err != nil {
		t.Errorf("the server went with the child: %v", err)
	}
	if undone, err := detour.Undo(ctx); err != nil || !undone {
		t.Errorf("undone %v: %v", undone, err)
	}
	if err := i.Check(ctx); !errors.Is(err, ErrDenied) {
		t.Errorf("afterwards: %v", err)
	}
	if err := open.Check(ctx); !errors.Is(err, ErrDown) {
		t.Errorf("the server without access control: %v", err)
	}
	if _, err := os.Stat(detour.Marker); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the marker: %v", err)
	}
}

func TestServiceControl(t *testing.T) {
	for files, want := range map[string]string{
		"":                                   "",
		"run/systemd/system/x":               "",
		"lib/systemd/system/mariadb.service": "",
		"lib/systemd/system/mariadb.service run/systemd/system/x":    "systemctl stop mariadb.service",
		"usr/lib/systemd/system/mysqld.service run/systemd/system/x": "systemctl stop mysqld.service",
		"etc/init.d/mariadb lib/systemd/system/mariadb.service":      "/etc/init.d/mariadb stop",
		"etc/init.d/mysql":                      "/etc/init.d/mysql stop",
		"etc/init.d/mysql run/systemd/system/x": "systemctl stop mysql.service",
		"etc/init.d/mysql lib/systemd/system/mariadb.service run/systemd/system/x": "systemctl stop mariadb.service",
	} {
		root := t.TempDir()
		for _, name := range strings.Fields(files) {
			path := filepath.Join(root, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		got := ""
		if control := serviceControl(root); control != nil {
			got = strings.Join(control("stop"), " ")
		}
		if got != want {
			t.Errorf("%q: %q, want %q", files, got, want)
		}
	}
}

// A fakeService counts.
type fakeService struct {
	running  bool
	fail     error
	restarts []string
	restored int
}

func (f *fakeService) Running(context.Context) (bool, error) { return f.running, nil }
func (f *fakeService) Restart(_ context.Context, options ...string) error {
	f.restarts = append(f.restarts, strings.Join(options, " "))
	return f.fail
}
func (f *fakeService) Restore(ctx context.Context) error { f.restored++; return ctx.Err() }

func TestDetourIsUndone(t *testing.T) {
	cause := errors.New("cause")
	for name, test := range map[string]struct {
		service  fakeService
		do       error
		want     error
		restored int
	}{
		"success":       {fakeService{running: true}, nil, nil, 1},
		"failure":       {fakeService{running: true}, cause, cause, 1},
		"no restart":    {fakeService{running: true, fail: cause}, nil, cause, 1},
		"does not run":  {fakeService{}, nil, ErrDown, 0},
		"context ended": {fakeService{running: true}, context.Canceled, context.Canceled, 1},
	} {
		d := Detour{Service: &test.service, Marker: filepath.Join(t.TempDir(), "marker")}
		ctx, cancel := context.WithCancel(context.Background())
		err := d.Do(ctx, func(context.Context) error { cancel(); return test.do })
		if !errors.Is(err, test.want) || err != nil && test.want == nil {
			t.Errorf("%s: %v", name, err)
		}
		if test.service.restored != test.restored {
			t.Errorf("%s: put back %d times", name, test.service.restored)
		}
		if _, err := os.Stat(d.Marker); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the marker: %v", name, err)
		}
		cancel()
	}
}

// TestDetourFails has the server not start, and put back all the same.
func TestDetourFails(t *testing.T) {
	i, d, detour := locked(t)
	d.Options = append(d.Options, "--no-such-option")
	err := detour.Do(context.Background(), func(context.Context) error { t.Error("done"); return nil })
	if err == nil {
		t.Error("no error")
	}
	if err := i.Check(context.Background()); !errors.Is(err, ErrDenied) {
		t.Errorf("afterwards: %v", err)
	}
}
