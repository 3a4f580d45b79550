package changes

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/pkg/dirindex"
)

// The benchmarks work on 100,000 unchanged files, in memory where possible: a
// disk measures its file system.
const (
	benchDirs  = 1000
	benchFiles = 100 // in each
)

func benchTree(b *testing.B) string {
	b.Helper()
	root, err := os.MkdirTemp("/dev/shm", "changes")
	if err != nil {
		root = b.TempDir()
	}
	b.Cleanup(func() { must(b, os.RemoveAll(root)) })
	for i := range benchDirs {
		dir := filepath.Join(root, fmt.Sprintf("var/dir-%02d/sub-%03d", i/20, i))
		must(b, os.MkdirAll(dir, 0o755))
		for j := range benchFiles {
			must(b, os.WriteFile(filepath.Join(dir, fmt.Sprintf("some-file-%04d.txt", j)), nil, 0o644))
		}
	}
	return root
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

func usage(b *testing.B) (sum time.Duration) {
	b.Helper()
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var r unix.Rusage
		must(b, unix.Getrusage(who, &r))
		sum += time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	return sum
}

func BenchmarkCompare(b *testing.B) {
	root := benchTree(b)
	opts := dirindex.Options{Root: root, Scope: scopeOf(b, "/var", "-/var/log", "-/var/*/cache")}
	var index bytes.Buffer
	must(b, dirindex.Create(b.Context(), &index, opts))
	b.Run("find -ls", func(b *testing.B) {
		if _, err := exec.LookPath("find"); err != nil {
			b.Skip("find is not installed")
		}
		loop(b, func() { must(b, exec.Command("find", root, "-ls").Run()) })
	})
	b.Run("compare", func(b *testing.B) {
		b.ReportAllocs()
		loop(b, func() { compareUnchanged(b, index.Bytes(), opts) })
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		b.ReportMetric(float64(mem.Sys)/(1<<20), "MB-sys")
	})
}

func compareUnchanged(b *testing.B, index []byte, opts dirindex.Options) {
	b.Helper()
	disk, err := dirindex.NewScanner(opts)
	must(b, err)
	defer disk.Close()
	c := Compare(dirindex.NewReader(bytes.NewReader(index)), disk, Options{Scope: opts.Scope})
	if change, err := c.Next(b.Context()); err != io.EOF {
		b.Fatalf("%s, %v", change, err)
	}
}
