// Package throughput compares how fast a driver moves the volumes of a chain
// with what the plain client of its protocol makes of the same files: in one
// run, on the loopback interface and over a link with a delay.
package throughput

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/backendtest/faultproxy"
)

const (
	// Delay is that of the far link, each way.
	Delay = 50 * time.Millisecond

	// Glob matches the names of the files, in the manner of curl.
	Glob = "volume[0-11]"

	// files is how many are moved, and parallel how many of them at a time
	// by a driver.
	files    = 12
	parallel = 4

	// rounds is how often each side is measured. The best time counts.
	rounds = 3
)

// A Site is an empty place on a server, as one run uses it: the driver's and
// the plain client's files are apart.
type Site struct {
	// Open opens the driver's target, which Run closes. It is part of what
	// is measured, as is the plain client's login.
	Open func(ctx context.Context) (backends.Backend, error)

	// Up is the plain client that stores all files in a directory, one
	// process with its own defaults, and Down the one that fetches those
	// that Up stored into an empty directory. Both are the client's working
	// directory as well.
	Up, Down func(dir string) *exec.Cmd
}

// Run measures up and down, near and far, against a server that has both
// addresses: site says where there, for each sub-benchmark. The far address is
// one of Far or FarFTP. TKLBAM_BENCH_MB is the size of all files; the
// benchmark is skipped without.
//
// The metric "of-plain" is the driver's throughput divided by that of the
// plain client.
func Run(b *testing.B, near, far string, site func(b *testing.B, address string) Site) {
	size := Size(b)
	for _, link := range []struct{ name, address string }{{"loopback", near}, {"delayed", far}} {
		b.Run("up/"+link.name, func(b *testing.B) {
			m := newMeasurement(b, size, site(b, link.address))
			m.compare(b, m.plainUp, m.up)
		})
		b.Run("down/"+link.name, func(b *testing.B) {
			m := newMeasurement(b, size, site(b, link.address))
			m.plainUp(b)
			m.up(b)
			m.compare(b, m.plainDown, m.down)
		})
	}
}

// Size returns TKLBAM_BENCH_MB in bytes, and skips a benchmark without it. It
// comes first: a server need not be started for nothing.
func Size(b *testing.B) int {
	b.Helper()
	mb, err := strconv.Atoi(os.Getenv("TKLBAM_BENCH_MB"))
	if err != nil || mb <= 0 {
		b.Skip("TKLBAM_BENCH_MB says no size")
	}
	return mb << 20
}

// Far returns the address of a server, "host:port", at the other end of a link
// with a delay.
func Far(b *testing.B, server string) string {
	b.Helper()
	p, address := faultproxy.Start(b, server)
	p.SetDelay(Delay)
	return address
}

// FarFTP is Far for an FTP server, whose data connections have it too.
func FarFTP(b *testing.B, server string) string {
	b.Helper()
	p, address := faultproxy.StartFTP(b, server)
	p.Control.SetDelay(Delay)
	p.Data.SetDelay(Delay)
	return address
}

// measurement is one sub-benchmark.
type measurement struct {
	Site
	source string // a directory with the files
	size   int64  // of each
}

func newMeasurement(b *testing.B, size int, s Site) *measurement {
	b.Helper()
	m := &measurement{Site: s, source: b.TempDir(), size: int64(size / files)}
	random := rand.NewChaCha8([32]byte{})
	for i := range files {
		f, err := os.Create(filepath.Join(m.source, name(i)))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyN(f, random, m.size); err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
	return m
}

func name(i int) string { return fmt.Sprintf("volume%d", i) }

// compare measures the plain client and the driver in turn.
func (m *measurement) compare(b *testing.B, plain, driver func(b *testing.B) time.Duration) {
	for b.Loop() {
		bestPlain, best := plain(b), driver(b)
		for range rounds - 1 {
			bestPlain, best = min(bestPlain, plain(b)), min(best, driver(b))
		}
		b.ReportMetric(0, "ns/op") // of all of it
		rate := func(d time.Duration) float64 { return float64(m.size*files) / 1e6 / d.Seconds() }
		b.ReportMetric(rate(bestPlain), "plain-MB/s")
		b.ReportMetric(rate(best), "driver-MB/s")
		b.ReportMetric(bestPlain.Seconds()/best.Seconds(), "of-plain")
	}
}

func (m *measurement) plainUp(b *testing.B) time.Duration {
	return m.client(b, m.Site.Up(m.source), m.source)
}

func (m *measurement) plainDown(b *testing.B) time.Duration {
	dir := emptyDir(b)
	defer os.RemoveAll(dir)
	took := m.client(b, m.Site.Down(dir), dir)
	for i := range files {
		info, err := os.Stat(filepath.Join(dir, name(i)))
		if err != nil {
			b.Fatal(err)
		}
		if info.Size() != m.size {
			b.Fatalf("the plain client fetched %d bytes of %d", info.Size(), m.size)
		}
	}
	return took
}

func emptyDir(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp("", "throughput-")
	if err != nil {
		b.Fatal(err)
	}
	return dir
}

func (m *measurement) client(b *testing.B, cmd *exec.Cmd, dir string) time.Duration {
	b.Helper()
	cmd.Dir = dir
	begin := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return time.Since(begin)
}

func (m *measurement) up(b *testing.B) time.Duration {
	return m.driver(b, func(ctx context.Context, t backends.Backend, name string) error {
		return t.Put(ctx, name, func(w io.Writer) error {
			f, err := os.Open(filepath.Join(m.source, name))
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(w, f)
			return err
		})
	})
}

func (m *measurement) down(b *testing.B) time.Duration {
	dir := emptyDir(b)
	defer os.RemoveAll(dir)
	return m.driver(b, func(ctx context.Context, t backends.Backend, name string) error {
		r, err := t.Open(ctx, name)
		if err != nil {
			return err
		}
		defer r.Close()
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		defer f.Close()
		n, err := io.Copy(f, r)
		if err == nil && n != m.size {
			err = fmt.Errorf("the driver read %d bytes of %d", n, m.size)
		}
		return err
	})
}

// driver moves all files with the driver, parallel at a time and in order, as
// a chain does.
func (m *measurement) driver(b *testing.B, move func(ctx context.Context, t backends.Backend, name string) error) time.Duration {
	b.Helper()
	begin := time.Now()
	t, err := m.Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	slots, moved := make(chan struct{}, parallel), make(chan error, files)
	for i := range files {
		slots <- struct{}{}
		go func() {
			moved <- move(b.Context(), t, name(i))
			<-slots
		}()
	}
	for range files {
		if moveErr := <-moved; moveErr != nil {
			err = moveErr
		}
	}
	if closeErr := t.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}
