package pgsqlfs

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tklbam/pkg/command"
)

// BenchmarkAgainstClients compares Save with pg_dump, in the format of its own
// and in that of tar, and Load with pg_restore of the same archive, each to and
// from a file. TKLBAM_BENCH_MB sets the size of the database in the archive;
// the benchmark is skipped without.
func BenchmarkAgainstClients(b *testing.B) {
	mb, err := strconv.Atoi(os.Getenv("TKLBAM_BENCH_MB"))
	if err != nil {
		b.Skip("TKLBAM_BENCH_MB says no size")
	}
	s := start(b)
	// About 300 bytes a row: numbers, text with things to escape, times and
	// some binary.
	s.exec(neutral, "CREATE DATABASE app; CREATE DATABASE bare TEMPLATE template0;")
	s.exec("app", `
CREATE TABLE t AS SELECT g AS id, g * 7 % 1000 AS k, repeat(md5(g::text), 6) || E'\'\n\t' AS c, to_timestamp(g) AS at, g / 7.0::float8 AS d, decode(md5(g::text), 'hex') AS x
FROM generate_series(1, `+strconv.Itoa(mb*3500)+`) g;
ALTER TABLE t ADD PRIMARY KEY (id);
CREATE INDEX ON t (k);`)
	archive, dir := filepath.Join(b.TempDir(), "tar"), filepath.Join(b.TempDir(), "pgfs")
	for b.Loop() {
		custom := s.clocked(func() error { return s.dumpTo(archive, "--format=custom", "--compress=0") })
		bare := s.clocked(func() error { return s.dumpTo(archive, "--format=tar") })
		save := s.clocked(func() error { s.save(dir); return nil })
		s.exec(neutral, "DROP DATABASE bare; CREATE DATABASE bare TEMPLATE template0;")
		restore := s.clocked(func() error { return s.restoreFrom(archive, "bare") })
		load := s.clocked(func() error { s.load(dir); return nil })
		l := &loader{part: part{client: &s.client}}
		analyze := s.clocked(func() error { return l.analyze(b.Context(), "app") })
		info, err := os.Stat(archive)
		if err != nil {
			b.Fatal(err)
		}
		b.Logf("%d MB: pg_dump %.2fs, as tar %.2fs, save %.2fs; pg_restore %.2fs, load %.2fs, of which to analyze %.2fs",
			info.Size()>>20, custom.Seconds(), bare.Seconds(), save.Seconds(), restore.Seconds(), load.Seconds(), analyze.Seconds())
		b.ReportMetric(custom.Seconds()/save.Seconds(), "dump/save")
		b.ReportMetric(bare.Seconds()/save.Seconds(), "tar/save")
		b.ReportMetric(restore.Seconds()/load.Seconds(), "restore/load")
		b.ReportMetric(analyze.Seconds()/load.Seconds(), "analyze/load")
	}
}

func (s *server) clocked(do func() error) time.Duration {
	s.Helper()
	begin := time.Now()
	if err := do(); err != nil {
		s.Fatal(err)
	}
	return time.Since(begin)
}

func (s *server) dumpTo(path string, options ...string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.bare(s.command("pg_dump", append(s.connect("app"), options...)...), nil, f)
}

func (s *server) restoreFrom(path, database string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.bare(s.command("pg_restore", append(s.connect(database), "--format=tar")...), f, nil)
}

// bare runs a program with files as its input and output.
func (s *server) bare(c command.Command, in io.Reader, out io.Writer) error {
	cmd := s.process(c)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
	return cmd.Run()
}
