package mysqlfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// inexact makes a database of what dump clients do not dump as it is.
const inexact = "set sql_mode=''; create database d; use d; " +
	"create table f (id int primary key, `we``ird, FROM` float, g float(10,3), z float zerofill, t text); " +
	"insert into f values (1,16777216,12345678.125,16777217,'x'),(2,0.1,0.1,1,'\\\\'),(3,1e-45,1,3,''),(4,3.4028234e38,1,2,null)," +
	"(5,1.17549435e-38,1,3,null),(6,123456.7,1,1e15,null),(7,-1.5,1,2,''),(8,null,null,null,null),(9,9999995,1,2,'FROM'); " +
	"create table v (id int primary key, a float as (id/7e0) stored, b float as (id/3e0) virtual, c float invisible); insert into v (id,c) values (1,1.23456789); " +
	"create table c (id int primary key, a varchar(20) character set ascii, l2 text character set cp1250, g text character set gbk, s text character set sjis, " +
	"u text character set ucs2, e char(5) character set eucjpms, j text character set cp932, en enum('a') character set gbk, ok text); " +
	"insert into c values (1,x'80',x'8183',x'fefe',x'8540',x'd800',x'a9a9',x'81ca','a','é'),(2,'','','','','','','','','\\''),(3,null,null,null,null,null,null,null,null,null); " +
	"create table fine (id int primary key, a varchar(20) character set ascii, g text character set gbk); insert into fine values (1,'x','漢字');"

const inexactSums = "checksum table d.f, d.v, d.c, d.fine; select id, hex(a), hex(l2), hex(g), hex(s), hex(u), hex(e), hex(j), en, ok from d.c; " +
	"select id, cast(`we``ird, FROM` as double), g, z+0e0, t from d.f; select id, a+0e0, b+0e0, c+0e0 from d.v"

// TestExact has values come back that the dump client alone rounds, or has
// question marks for; all else is written as the client does.
func TestExact(t *testing.T) {
	from := start(t)
	from.sql(inexact)
	dir, _ := from.save("-mysql:mysql")
	to := start(t)
	to.load(dir, LoadOptions{})
	sameLines(t, from.sql(inexactSums), to.sql(inexactSums))
	got := files(t, dir)
	if want := "1,16777216,10000000.000,16777216,'x'\n2,0.1,0.100,1,'\\\\'\n3,1.4013e-45,1.000,3,''\n4,3.4028234663852886e38,1.000,2,NULL\n" +
		"5,1.1754943508222875e-38,1.000,3,NULL\n6,123456.703125,1.000,1e15,NULL\n7,-1.5,1.000,2,''\n8,NULL,NULL,NULL,NULL\n9,9999995,1.000,2,'FROM'\n"; got["d/tables/f/rows"] != want {
		t.Errorf("rows: %s", got["d/tables/f/rows"])
	}
	if want := "1,'x','漢字'\n"; got["d/tables/fine/rows"] != want {
		t.Errorf("rows: %s", got["d/tables/fine/rows"])
	}
	// The server has code points in UTF-8 that are no characters.
	if want := "1,0x80,0x8183,0xFEFE,0x8540,'\xed\xa0\x80',0xA9A9,'￢','a','é'\n2,'','','','','','','','','\\''\n"; !strings.HasPrefix(got["d/tables/c/rows"], want) {
		t.Errorf("rows: %s", got["d/tables/c/rows"])
	}
}

// TestNotExact has the loss told where it can't be helped.
func TestNotExact(t *testing.T) {
	i := start(t)
	i.sql(inexact)
	ctx, lim := context.Background(), limitsOf(t, "mysql:d", "-mysql:mysql")
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "absent")) // so that there is no way through
	saved, err := i.Save(ctx, filepath.Join(i.dir, "myfs"), lim, nil)
	if err != nil {
		t.Fatal(err)
	}
	const lost = " is saved with values that are rounded or have question marks, in "
	want := []string{"table `d`.`c`" + lost + "`a`, `l2`, `g`, `s`, `e`: ", "table `d`.`f`" + lost + "`we``ird, FROM`, `z`: ", "table `d`.`v`" + lost + "`a`, `b`, `c`: "}
	if len(saved.Failed) != len(want) {
		t.Fatalf("%q", saved.Failed)
	}
	for n, want := range want {
		if !strings.HasPrefix(saved.Failed[n], want) {
			t.Errorf("%q, want %q", saved.Failed[n], want)
		}
	}
}

// TestCompleteCharsets asks the server whether text in these character sets
// survives the way through Unicode, as far as a character is a byte.
func TestCompleteCharsets(t *testing.T) {
	i := start(t)
	var all strings.Builder
	for n := range 256 {
		fmt.Fprintf(&all, "%02x", n)
	}
	for line := range strings.Lines(i.sql("select character_set_name from information_schema.character_sets where maxlen = 1 and character_set_name <> 'binary'")) {
		name := strings.TrimSpace(line)
		survives := i.sql(fmt.Sprintf("set @x=x'%s'; select cast(convert(convert(convert(@x using %[2]s) using utf8mb4) using %[2]s) as binary) = @x", all.String(), name))
		want := "0"
		for _, known := range completeCharsets {
			if known == name {
				want = "1"
			}
		}
		if survives != want {
			t.Errorf("%s: survives: %s, want %s", name, survives, want)
		}
	}
}

func TestRewrite(t *testing.T) {
	e := &exact{done: objects{}, float: "X(%[1]s)", tables: map[object][]column{
		{"table", "d", "t`"}: {{"a", "", false}, {"FROM", "float", false}, {"c`,", "gbk", true}},
	}}
	const head = dumpQuery
	for query, want := range map[string]string{
		head + "* FROM `t```": head + "`a`,X(`FROM`) AS `FROM` FROM `t```",
		head + "`a`, `FROM`, `c``,`, `new` FROM `t``` FOR SYSTEM_TIME ALL": head + "`a`,X(`FROM`) AS `FROM`,CAST(`c``,` AS BINARY) AS `c``,`,`new` FROM `t``` FOR SYSTEM_TIME ALL",
		head + "`FROM` FROM `d`.`t``` WHERE 1":                             head + "X(`FROM`) AS `FROM` FROM `d`.`t``` WHERE 1",
		head + "* FROM `u`":                                                head + "* FROM `u`",
		head + "* FROM `e`.`t```":                                          head + "* FROM `e`.`t```",
		head + "1":                                                         head + "1",
		"SELECT * FROM `t```":                                              "SELECT * FROM `t```",
		"":                                                                 "",
	} {
		if got := e.rewrite("d", query); got != want {
			t.Errorf("%s:\nwant %s\n got %s", query, want, got)
		}
	}
	e.done = objects{} // as if the client asked in words unknown
	if got := e.lost(objects{{"table", "d", "t`"}: true}); len(got) != 1 || !strings.HasSuffix(got[0], "in `FROM`, `c``,`") {
		t.Errorf("lost: %q", got)
	}
	if got := e.lost(objects{}); len(got) != 0 {
		t.Errorf("lost of what is not saved: %q", got)
	}
}

// TestRelayEnds has connections through a relay end with it, and with the
// context that it was started in.
func TestRelayEnds(t *testing.T) {
	i := start(t)
	for name, end := range map[string]func(context.CancelFunc, *relay) error{
		"closed":  func(_ context.CancelFunc, r *relay) error { return r.Close() },
		"context": func(cancel context.CancelFunc, r *relay) error { cancel(); return r.Close() },
	} {
		ctx, cancel := context.WithCancel(context.Background())
		r, err := newRelay(ctx, i.socket, func(_, query string) string { return strings.ReplaceAll(query, "SLEEP(0)", "SLEEP(600)") })
		if err != nil {
			t.Fatal(err)
		}
		via, err := i.through(ctx, r, map[string]bool{"ssl": true})
		if err != nil {
			t.Fatal(err)
		}
		answer := make(chan error, 1)
		go func() { _, err := via.query(context.Background(), "SELECT SLEEP(0)"); answer <- err }()
		for i.sql("select count(*) from information_schema.processlist where info like 'SELECT SLEEP(600)%'") != "1" {
		}
		if err := end(cancel, r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := <-answer; err == nil {
			t.Errorf("%s: the query goes on", name)
		}
		if err := via.Check(context.Background()); !errors.Is(err, ErrDown) {
			t.Errorf("%s: afterwards: %v", name, err)
		}
		i.sql("delimiter ;;\nbegin not atomic declare c int; select max(id) into c from information_schema.processlist where info like 'SELECT SLEEP(600)%'; if c is not null then kill c; end if; end;;")
		cancel()
	}
}

// FuzzRequests has what a client sends come out as it went in, as far as whole
// packets go, if no query is to be changed.
func FuzzRequests(f *testing.F) {
	f.Add([]byte("\x20\x00\x00\x01............................encrypted from here on"))
	f.Add([]byte("\x03\x00\x00\x00\x02db\x04\x00\x00\x00\x03\x00\x01x\x01\x00\x00\x00\x01"))
	f.Add([]byte("\x08\x00\x00\x00\x03USE `a`\x00\x00\x00\x00\xff\xff\xff\x00cut"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		var got bytes.Buffer
		r := &relay{rewrite: func(_, query string) string { return query }}
		r.requests(&got, bytes.NewReader(sent)) // always ends with an error, that of the end
		if !bytes.HasPrefix(sent, got.Bytes()) {
			t.Errorf("%q came out as %q", sent, got.Bytes())
		}
	})
}
