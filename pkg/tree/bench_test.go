package tree

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
)

// The benchmarks work on 60,000 small files, in memory where possible: a disk
// measures its file system.
const (
	benchDirs  = 600
	benchFiles = 100 // in each
)

func benchEntries() []*archive.Entry {
	var list []*archive.Entry
	for i := range benchDirs {
		dir := fmt.Sprintf("dir-%02d/sub-%03d", i/20, i)
		list = append(list, directory(dir))
		for j := range benchFiles {
			list = append(list, file(fmt.Sprintf("%s/some-file-%04d.txt", dir, j)))
		}
	}
	return list
}

// loop times the body of a benchmark, in processor time too (user and system,
// children included), which on a busy machine says more than the wall clock.
func loop(b *testing.B, body func()) {
	b.Helper()
	var sum time.Duration
	for b.Loop() {
		from := usage(b)
		body()
		sum += usage(b) - from
	}
	b.ReportMetric(float64(sum.Milliseconds())/float64(b.N), "cpu-ms/op")
}

// loopIn is loop with a new directory each time.
func loopIn(b *testing.B, body func(dir string)) {
	b.Helper()
	var sum time.Duration
	for b.Loop() {
		b.StopTimer()
		dir := inMemory(b)
		from := usage(b)
		b.StartTimer()
		body(dir)
		b.StopTimer()
		sum += usage(b) - from
		must(b, os.RemoveAll(dir))
		b.StartTimer()
	}
	b.ReportMetric(float64(sum.Milliseconds())/float64(b.N), "cpu-ms/op")
}

func usage(b *testing.B) (sum time.Duration) {
	b.Helper()
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var r unix.Rusage
		must(b, unix.Getrusage(who, &r))
		sum += time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	return sum
}

func BenchmarkScan(b *testing.B) {
	dir := inMemory(b)
	entries := benchEntries()
	writeAll(b, dir, entries)
	var list []Selected
	for _, e := range entries {
		list = append(list, Selected{Path: e.Path})
	}
	b.Run("find -ls", func(b *testing.B) {
		needs(b, "find")
		loop(b, func() { must(b, exec.Command("find", dir, "-ls").Run()) })
	})
	for name, opts := range map[string]Options{"all": {Root: dir}, "listed": {Root: dir, Select: list}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			loop(b, func() { scanAll(b, opts, func(*Source, *archive.Entry) {}) })
		})
	}
	b.Run("attributes", func(b *testing.B) {
		loop(b, func() {
			scanAll(b, Options{Root: dir}, func(s *Source, e *archive.Entry) {
				_, err := s.Xattrs(e)
				must(b, err)
			})
		})
	})
	b.Run("contents", func(b *testing.B) {
		loop(b, func() {
			buf := make([]byte, 64<<10)
			scanAll(b, Options{Root: dir}, func(s *Source, e *archive.Entry) {
				if e.Type == archive.Regular {
					readWhole(b, s, e, buf)
				}
			})
		})
	})
}

func scanAll(b *testing.B, opts Options, visit func(*Source, *archive.Entry)) {
	b.Helper()
	s, err := NewSource(opts)
	must(b, err)
	defer s.Close()
	n := 0
	for {
		node, err := s.Next(b.Context())
		if err == io.EOF {
			break
		}
		must(b, err)
		must(b, node.Err)
		visit(s, node.Entry)
		n++
	}
	if n < benchDirs*benchFiles {
		b.Fatalf("%d entries", n)
	}
}

// readWhole does to a file all that a session does.
func readWhole(b *testing.B, s *Source, e *archive.Entry, buf []byte) {
	b.Helper()
	f, err := s.Open(e)
	must(b, err)
	defer f.Close()
	_, err = f.Xattrs()
	for err == nil {
		_, err = f.Read(buf)
	}
	if err != io.EOF {
		b.Fatal(err)
	}
	if changed, err := f.Changed(); changed || err != nil {
		b.Fatal(changed, err)
	}
}

func BenchmarkWrite(b *testing.B) {
	entries := benchEntries()
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		loopIn(b, func(dir string) { writeAll(b, dir, entries) })
	})
	b.Run("tar -x", func(b *testing.B) {
		packed, archived := inMemory(b), filepath.Join(inMemory(b), "all.tar")
		writeAll(b, packed, entries)
		run(b, "tar", "-C", packed, "-cf", archived, ".")
		loopIn(b, func(dir string) { run(b, "tar", "-C", dir, "-xf", archived) })
	})
}

func writeAll(b *testing.B, dir string, entries []*archive.Entry) {
	b.Helper()
	tg, err := NewTarget(dir, TargetOptions{})
	must(b, err)
	defer tg.Close()
	for _, e := range entries {
		if e.Type == archive.Directory {
			must(b, tg.Mkdir(e))
			continue
		}
		must(b, write(tg, e, e.Path))
	}
	for i := len(entries) - 1; i >= 0; i-- {
		if entries[i].Type == archive.Directory {
			must(b, tg.SetDirMeta(entries[i]))
		}
	}
}
