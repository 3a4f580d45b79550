package mysqlfs

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// BenchmarkAgainstClients compares Save and Load with the bare dump client and
// with the client loading its dump. TKLBAM_BENCH_MB sets the size of the
// database; the benchmark is skipped without. With a FLOAT column, what the
// dump client asks for and gets goes through a relay.
func BenchmarkAgainstClients(b *testing.B) {
	b.Run("plain", func(b *testing.B) { againstClients(b, "double") })
	b.Run("float", func(b *testing.B) { againstClients(b, "float") })
}

func againstClients(b *testing.B, number string) {
	mb, err := strconv.Atoi(os.Getenv("TKLBAM_BENCH_MB"))
	if err != nil {
		b.Skip("TKLBAM_BENCH_MB says no size")
	}
	i := start(b, "--innodb-buffer-pool-size=1G", "--innodb-log-file-size=256M")
	// About 300 bytes a row in the dump: numbers, text with things to escape,
	// times and some binary.
	i.sql("create database b; use b; create table b.t (id int primary key, k int, c varchar(200), t datetime, d " + number + ", x varbinary(30), key(k)); " +
		"insert into b.t select seq, seq*7%1000, concat(repeat(md5(seq),5),'\\'\\n'), from_unixtime(seq), seq/7, unhex(md5(seq)) from seq_1_to_" + strconv.Itoa(mb*3500))
	dir := b.TempDir()
	dumped := func(options ...string) time.Duration {
		return clocked(b, func() error {
			f, err := os.Create(filepath.Join(dir, "dump.sql"))
			if err != nil {
				return err
			}
			defer f.Close()
			cmd := exec.Command("mariadb-dump", append([]string{"--no-defaults", "-S", i.socket, "--single-transaction", "--quick", "--databases", "b"}, options...)...)
			cmd.Stdout = f
			return cmd.Run()
		})
	}
	loaded := func() time.Duration {
		i.sql("drop database b")
		return clocked(b, func() error {
			f, err := os.Open(filepath.Join(dir, "dump.sql"))
			if err != nil {
				return err
			}
			defer f.Close()
			cmd := exec.Command("mariadb", "--no-defaults", "-S", i.socket)
			cmd.Stdin = f
			return cmd.Run()
		})
	}
	ctx, lim := context.Background(), limitsOf(b, "mysql:b", "-mysql:mysql")
	for b.Loop() {
		single := dumped("--skip-extended-insert", "--hex-blob")
		plain := dumped()
		myfs := filepath.Join(dir, "myfs")
		save := clocked(b, func() error { _, err := i.Save(ctx, myfs, lim, nil); return err })
		size, err := os.Stat(filepath.Join(myfs, "b/tables/t/rows"))
		if err != nil {
			b.Fatal(err)
		}
		bare := loaded()
		i.sql("drop database b")
		load := clocked(b, func() error { _, err := i.Load(ctx, myfs, lim, LoadOptions{}, nil); return err })
		b.Logf("%d MB of rows: dump %.2fs, with a statement per row %.2fs, save %.2fs; load the dump %.2fs, load the tree %.2fs",
			size.Size()>>20, plain.Seconds(), single.Seconds(), save.Seconds(), bare.Seconds(), load.Seconds())
		b.ReportMetric(plain.Seconds()/save.Seconds(), "save/dump")
		b.ReportMetric(bare.Seconds()/load.Seconds(), "load/load")
	}
}

func clocked(b *testing.B, do func() error) time.Duration {
	b.Helper()
	begin := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}
