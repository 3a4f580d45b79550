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

const (
	benchDirs  = 600
	benchFiles = 100 // in each
)

// benchTree makes the tree that both benchmarks work on: 60,000 small files.
func benchTree(b *testing.B, dir string) {
	b.Helper()
	writeAll(b, dir, benchEntries())
}

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

// processorTime reports the user and system time of a benchmark's loop,
// children included: unlike the wall clock's it means something on a busy
// machine.
func processorTime(b *testing.B) {
	start := usage(b)
	b.Cleanup(func() { b.ReportMetric(float64((usage(b)-start).Milliseconds())/float64(b.N), "cpu-ms/op") })
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
	benchTree(b, dir)
	scanOnce := func(visit func(*Source, *archive.Entry)) int {
		s, err := NewSource(Options{Root: dir})
		must(b, err)
		defer s.Close()
		n := 0
		for {
			node, err := s.Next(b.Context())
			if err == io.EOF {
				return n
			}
			must(b, err)
			must(b, node.Err)
			visit(s, node.Entry)
			n++
		}
	}
	scanOnce(func(*Source, *archive.Entry) {})
	b.Run("find -ls", func(b *testing.B) {
		needs(b, "find")
		processorTime(b)
		for b.Loop() {
			must(b, exec.Command("find", dir, "-ls").Run())
		}
	})
	b.Run("entries", func(b *testing.B) {
		b.ReportAllocs()
		processorTime(b)
		for b.Loop() {
			scanOnce(func(*Source, *archive.Entry) {})
		}
	})
	b.Run("entries and attributes", func(b *testing.B) {
		processorTime(b)
		for b.Loop() {
			scanOnce(func(s *Source, e *archive.Entry) {
				_, err := s.Xattrs(e)
				must(b, err)
			})
		}
	})
	b.Run("contents", func(b *testing.B) {
		buf := make([]byte, 64<<10)
		processorTime(b)
		for b.Loop() {
			scanOnce(func(s *Source, e *archive.Entry) {
				if e.Type != archive.Regular {
					return
				}
				f, err := s.Open(e)
				must(b, err)
				defer f.Close()
				_, err = f.Xattrs()
				must(b, err)
				for err == nil {
					_, err = f.Read(buf)
				}
				changed, err := f.Changed()
				if changed || err != nil {
					b.Fatal(changed, err)
				}
			})
		}
	})
	b.Run("listed", func(b *testing.B) {
		var list []Selected
		for _, e := range benchEntries() {
			if len(list)%3 > 0 || e.Type == archive.Regular {
				list = append(list, Selected{Path: e.Path})
			}
		}
		processorTime(b)
		for b.Loop() {
			s, err := NewSource(Options{Root: dir, Select: list})
			must(b, err)
			if n := len(collect(b, s)); n < len(list) {
				b.Fatalf("%d of %d", n, len(list))
			}
			s.Close()
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	entries := benchEntries()
	b.Run("entries", func(b *testing.B) {
		b.ReportAllocs()
		processorTime(b)
		for b.Loop() {
			b.StopTimer()
			dir := inMemory(b)
			b.StartTimer()
			writeAll(b, dir, entries)
			b.StopTimer()
			must(b, os.RemoveAll(dir))
			b.StartTimer()
		}
	})
	b.Run("tar -x", func(b *testing.B) {
		needs(b, "tar")
		packed := inMemory(b)
		writeAll(b, filepath.Join(packed), entries)
		archived := filepath.Join(inMemory(b), "all.tar")
		run(b, "tar", "-C", packed, "-cf", archived, ".")
		processorTime(b)
		for b.Loop() {
			b.StopTimer()
			dir := inMemory(b)
			b.StartTimer()
			run(b, "tar", "-C", dir, "-xf", archived)
			b.StopTimer()
			must(b, os.RemoveAll(dir))
			b.StartTimer()
		}
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
