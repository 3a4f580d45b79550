package mysqlfs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// rows4M makes a table of 4 MB, for there to be a middle of it.
const rows4M = "create database if not exists d; use d; create or replace table d.t (id int primary key, v varchar(200), key(v)); " +
	"insert into d.t select seq, repeat(char(65+seq%26), 190) from seq_1_to_20000; create or replace table d.u (a int); insert into d.u values (1)"

// TestServerDies has the server killed in the middle of Save and of Load. Both
// tell, and once it is back, Load over what is there restores everything.
func TestServerDies(t *testing.T) {
	i := start(t)
	i.sql(rows4M)
	ctx, lim := context.Background(), limitsOf(t, "mysql:d", "-mysql:mysql")
	dir, _ := i.save("mysql:d", "-mysql:mysql")
	sums := i.sql("checksum table d.t, d.u")
	dump, client := i.dump, i.client
	kill := func() string { return "kill -9 " + strconv.Itoa(i.cmd.Process.Pid) }

	i.dump = shell(t, `[ "$2" = --help ] && exec `+dump+` "$@"; `+dump+` "$@" | { head -c 1000000; `+kill()+`; cat; }`)
	saved, err := i.Save(ctx, t.TempDir(), lim, nil)
	if text := fmt.Sprint(saved.Failed, err); !strings.Contains(text, "d`.`u`") && !strings.Contains(text, "middle of a statement") && !errors.Is(err, ErrDown) {
		t.Errorf("saved %+v: %v", saved, err)
	}
	i.dump = dump
	<-i.ended
	i.start()

	i.client = shell(t, `case "$*" in *--binary-mode*) { head -c 1000000; `+kill()+`; cat; } | exec `+client+` "$@";; *) exec `+client+` "$@";; esac`)
	loaded, err := i.Load(ctx, dir, lim, LoadOptions{Drop: true}, nil)
	if err == nil && !strings.Contains(strings.Join(loaded.Failed, " "), "ERROR 20") {
		t.Errorf("loaded %+v: %v", loaded, err)
	}
	i.client = client
	<-i.ended
	i.start()
	i.load(dir, LoadOptions{}, "mysql:d", "-mysql:mysql")
	sameLines(t, sums, i.sql("checksum table d.t, d.u"))
}

// small mounts a file system of 2 MB.
func small(t *testing.T, dir string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(dir, 0o755), syscall.Mount("none", dir, "tmpfs", 0, "size=2m")); err != nil {
		t.Skipf("no small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := own(dir); err != nil {
		t.Fatal(err)
	}
}

// TestDiskFull has no room for the tree, and none for the server's data.
func TestDiskFull(t *testing.T) {
	i := start(t)
	i.sql(rows4M)
	ctx, lim := context.Background(), limitsOf(t, "mysql:d", "-mysql:mysql")
	full := filepath.Join(t.TempDir(), "full")
	small(t, full)
	if _, err := i.Save(ctx, filepath.Join(full, "myfs"), lim, nil); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("no room for the tree: %v", err)
	}
	dir, _ := i.save("mysql:d", "-mysql:mysql")
	i.sql("drop database d")
	small(t, filepath.Join(i.dir, "data/d"))
	loaded, err := i.Load(ctx, dir, lim, LoadOptions{}, nil)
	// InnoDB says that the table is full, or only that it cannot commit.
	if err != nil || !strings.HasPrefix(strings.Join(loaded.Failed, " "), "database `d`: ERROR 11") {
		t.Errorf("no room for the data: %q, %v", loaded.Failed, err)
	}
	if got := i.sql("select * from d.u"); got != "1" {
		t.Errorf("the rest: %q", got)
	}
}

// TestMutations changes a database at random, saves it after every few
// changes, and has each tree load to what was there then.
func TestMutations(t *testing.T) {
	from, to := start(t), start(t)
	from.sql("create database d; create table d.t0 (id int primary key auto_increment, v varchar(60), f float, b blob, d datetime(3), n decimal(10,3)); create table d.t1 like d.t0; create table d.log (x int)")
	random := rand.New(rand.NewPCG(4, 2))
	const sums = "set session group_concat_max_len=100000; set @q=(select concat('checksum table ', group_concat('d.', table_name order by 1)) from information_schema.tables where table_schema='d' and table_type='base table'); prepare s from @q; execute s"
	for round := range 5 {
		var sql strings.Builder
		sql.WriteString("use d; set sql_mode='';\n")
		for range 25 {
			sql.WriteString(mutation(random, round) + ";\n")
		}
		from.sql(sql.String())
		dir, _ := from.save("-mysql:mysql")
		to.load(dir, LoadOptions{Drop: round%2 == 0})
		if round%2 == 1 { // what the tree does not know of stays
			to.load(dir, LoadOptions{Drop: true})
		}
		sameLines(t, from.dumped("d"), to.dumped("d"))
		sameLines(t, from.sql(sums), to.sql(sums))
		if t.Failed() {
			t.Fatalf("round %d, after\n%.5000s", round, sql.String())
		}
	}
}

// mutation returns a statement that changes something in database d.
func mutation(r *rand.Rand, round int) string {
	table := "t" + strconv.Itoa(r.IntN(2))
	bytes := make([]byte, r.IntN(40))
	for i := range bytes {
		bytes[i] = byte(r.Uint32())
	}
	name := fmt.Sprintf("n%d", r.IntN(4))
	switch r.IntN(12) {
	case 0, 1, 2:
		return fmt.Sprintf("insert into %s (v,f,b,d,n) values (convert(x'%x' using latin1), %d/7e0, x'%[2]x', from_unixtime(%[3]d), %[3]d/1000)", table, bytes, r.Int32())
	case 3, 4:
		return fmt.Sprintf("insert into %s (v,f) select concat(uuid(),seq), rand()*1e%d from seq_1_to_%d", table, r.IntN(30), 1+r.IntN(200))
	case 5:
		return fmt.Sprintf("update %s set v=concat('%s','\\'\\\\'), f=f*1.1 where id %% %d = 0", table, name, 2+r.IntN(20))
	case 6:
		return fmt.Sprintf("delete from %s where id %% %d = 1", table, 3+r.IntN(20))
	case 7:
		return fmt.Sprintf("alter table %s add column if not exists c%d varchar(20) default 'x;%d' %s", table, r.IntN(3), round, []string{"first", "", "after v"}[r.IntN(3)])
	case 8:
		return fmt.Sprintf("alter table %s drop column if exists c%d", table, r.IntN(3))
	case 9:
		return fmt.Sprintf("create or replace view %s as select id, v from %s where id > %d", name, table, r.IntN(100))
	case 10:
		return fmt.Sprintf("create or replace trigger tr_%s_%[2]s after delete on %[2]s for each row insert into log values (%[3]d)", name, table, r.IntN(100))
	}
	return fmt.Sprintf("create or replace function f_%s() returns int deterministic return %d; create or replace table x_%[1]s as select * from %[3]s order by id limit 10", name, r.IntN(100), table)
}
