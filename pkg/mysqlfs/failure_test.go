package mysqlfs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tklbam/pkg/command"
	"tklbam/pkg/limits"
)

// shell makes a program out of a line of shell.
func shell(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSaveTellsOfFailures(t *testing.T) {
	i := start(t)
	i.sql("create database d; create table d.t (a int); create table d.u (a int); insert into d.t values (1); create procedure d.p() select 1")
	real := i.dump
	lim := limitsOf(t, "mysql:d", "-mysql:mysql")
	for name, test := range map[string]struct{ dump, want string }{
		"end status":      {real + ` "$@"; echo "dump: cannot" >&2; exit 2`, "dump: cannot"},
		"silent status":   {real + ` "$@"; exit 3`, "exit status 3"},
		"killed early":    {`kill -9 $$`, "killed"},
		"killed half way": {real + ` "$@" | head -c 1500; kill -9 $$`, "killed"},
		"cut":             {real + ` "$@" | head -c 1500`, "middle of a statement"},
		"table left out":  {real + ` "$@" --ignore-table=d.t`, "table `d`.`t` is not in the dump"},
		"no routines":     {real + ` --skip-routines "$@" | grep -v PROCEDURE`, "procedure `d`.`p` is not in the dump"},
		"nothing":         {`:`, "table `d`.`t` is not in the dump"},
	} {
		i.dump = shell(t, strings.Replace(test.dump, `"$@" --ignore-table=d.t`, `--ignore-table=d.t "$@"`, 1))
		// Options that say where to read options come first.
		if strings.Contains(test.dump, "--ignore-table") || strings.Contains(test.dump, "--skip-routines") {
			i.dump = shell(t, `first=$1; shift; `+strings.NewReplacer(`--skip-routines "$@"`, `$first "$@" | sed "/PROCEDURE/d"`, `"$@" --ignore-table=d.t`, `$first --ignore-table=d.t "$@"`).Replace(test.dump))
		}
		saved, err := i.Save(context.Background(), t.TempDir(), lim, nil)
		all := strings.Join(saved.Failed, "; ")
		if err != nil {
			all = err.Error()
		}
		if !strings.Contains(all, test.want) {
			t.Errorf("%s: %q, want %q", name, all, test.want)
		}
	}
	i.dump = real
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Save(context.Background(), file+"/myfs", lim, nil); err == nil {
		t.Error("saved below a file")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := i.Save(ctx, t.TempDir(), lim, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	i.shutdown()
	if _, err := i.Save(context.Background(), t.TempDir(), lim, nil); !errors.Is(err, ErrDown) {
		t.Errorf("without a server: %v", err)
	}
}

func TestLoadTellsOfFailures(t *testing.T) {
	i := start(t)
	dir := recorded(t, "mariadb-10.1.sql")
	bad := filepath.Join(dir, "shop/tables/abad")
	if err := errors.Join(os.Mkdir(bad, 0o700), os.WriteFile(bad+"/init", []byte("CREATE TABLE `abad` (a nonsense);\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	loaded, err := i.Load(context.Background(), dir, nil, LoadOptions{}, nil)
	if err != nil || len(loaded.Failed) != 1 || !strings.Contains(loaded.Failed[0], "database `shop`: ERROR 4161") {
		t.Errorf("%q: %v", loaded.Failed, err)
	}
	if got := i.sql("select count(*) from shop.items"); got != "2" {
		t.Errorf("the rest: %s", got)
	}
	real := i.client
	i.client = shell(t, `case "$*" in *--binary-mode*) head -c 500 >/dev/null; kill -9 $$;; esac; exec `+real+` "$@"`)
	loaded, err = i.Load(context.Background(), dir, nil, LoadOptions{}, nil)
	if err != nil || !strings.Contains(strings.Join(loaded.Failed, ""), "killed") {
		t.Errorf("killed client: %q: %v", loaded.Failed, err)
	}
	i.client = real
	if _, err := i.Load(context.Background(), dir+"/nowhere", nil, LoadOptions{}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no tree: %v", err)
	}
}

// TestDrop has nothing left in a database that the tree does not have.
func TestDrop(t *testing.T) {
	i := start(t)
	i.sql("create database d; create table d.t (a int); insert into d.t values (1); create user anna@localhost")
	dir, _ := i.save()
	i.sql("create table d.later (a int); create view d.v as select 1; update d.t set a=2; create user berta@localhost; create database later")
	i.load(dir, LoadOptions{Drop: true})
	if err := i.Drop(context.Background(), "later", "never"); err != nil {
		t.Error(err)
	}
	if err := i.Drop(context.Background(), "mysql"); err == nil {
		t.Error("dropped the server's own")
	}
	if got := i.sql("show full tables from d; select a from d.t; select user from mysql.user where host='localhost' and user in ('anna','berta'); show databases like 'later'"); got != "t\tBASE TABLE\n1\nanna" {
		t.Errorf("afterwards: %q", got)
	}
	i.healthy()
}

// TestLimits has excluded tables without rows, and databases that are out not
// at all.
func TestLimits(t *testing.T) {
	i := start(t)
	i.sql("create database a; create table a.t (x int); insert into a.t values (1); create table a.log (x int); insert into a.log values (1); create database b; create table b.t (x int)")
	dir, saved := i.save("-mysql:a/log", "-mysql:b")
	if saved.DatabasesFound != 2 || saved.Databases != 2 {
		t.Errorf("saved %+v", saved)
	}
	got := files(t, dir)
	if _, ok := got["a/tables/log/rows"]; ok || got["a/tables/log/init"] == "" || got["a/tables/t/rows"] != "1\n" || got["b/init"] != "" {
		t.Errorf("files: %q", got)
	}
	i.sql("drop database a")
	var reported []string
	loaded, err := i.Load(context.Background(), dir, limitsOf(t, "mysql:a", "-mysql:mysql"), LoadOptions{}, func(it Item) { reported = append(reported, it.String()) })
	if err != nil || loaded.Databases != 1 || strings.Join(reported, " ") != "database: a table: a/log table: a/t" {
		t.Errorf("%+v %q: %v", loaded, reported, err)
	}
	if got := i.sql("select count(*) from a.log; select count(*) from a.t"); got != "0\n1" {
		t.Errorf("rows: %q", got)
	}
	i.sql("drop database a")
	simulated, err := i.Load(context.Background(), dir, limits.List{}.DB(limits.MySQL), LoadOptions{Simulate: true}, nil)
	if err != nil || simulated.Databases != 2 || i.sql("show databases like 'a'") != "" {
		t.Errorf("simulated %+v: %v", simulated, err)
	}
}

// TestUnchangedRows has a change of a hundred rows change a hundred lines,
// also where the dump client's queries are changed.
func TestUnchangedRows(t *testing.T) {
	i := start(t)
	i.sql("create database d; use d; create table t (id int primary key, v varchar(50), f float); insert into t select seq, md5(seq), seq/7 from seq_1_to_20000; " +
		"create table u like t; alter table u drop f; insert into u select id, v from t; create view w as select * from t; analyze table t, u")
	before, _ := i.save()
	i.sql("update d.t set v='new' where id % 400 = 0; update d.u set v='new' where id % 400 = 0")
	after, _ := i.save()
	a, b := files(t, before), files(t, after)
	changed := 0
	for name := range a {
		was, is := strings.Split(a[name], "\n"), strings.Split(b[name], "\n")
		if len(was) != len(is) {
			t.Fatalf("%s has %d lines, had %d", name, len(is), len(was))
		}
		for n := range was {
			if was[n] != is[n] {
				changed++
			}
		}
		if a[name] != b[name] && !strings.HasSuffix(name, "/rows") {
			t.Errorf("%s changed", name)
		}
	}
	if changed != 100 || len(a) != len(b) {
		t.Errorf("%d lines changed, of %d files and %d", changed, len(a), len(b))
	}
}

// TestPassword has a password reach the client, and not its arguments.
func TestPassword(t *testing.T) {
	i := start(t)
	const password = `p"w \'#; x`
	i.sql("create user u identified by 'p\"w \\\\\\'#; x'; grant all on *.* to u")
	defaults := filepath.Join(t.TempDir(), "my.cnf")
	if err := os.WriteFile(defaults, []byte("[client]\nsocket="+i.socket+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, access := range []Access{{Socket: i.socket, User: "u", Password: password}, {DefaultsFile: defaults, User: "u", Password: password}} {
		s, err := Open(command.Exec{}, access)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.Join(s.args("x"), " "), `p"w`) {
			t.Error("the password is among the arguments")
		}
		if rows, err := s.query(context.Background(), "SELECT CURRENT_USER(), 'a\tb\n'"); err != nil || rows[0][0] != "u@%" || rows[0][1] != "a\tb\n" {
			t.Errorf("%q: %v", rows, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.private); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the password is still there: %v", err)
		}
	}
	s, err := Open(command.Exec{}, Access{DefaultsFile: defaults, User: "u", Password: "wrong"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Check(context.Background()); !errors.Is(err, ErrDenied) {
		t.Errorf("wrong password: %v", err)
	}
}
