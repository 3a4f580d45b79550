package sftp_test

import (
	"io"
	"sync"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/backendtest/faultproxy"
)

const benchSize = 64 << 20

// BenchmarkPut and BenchmarkOpen move 64 MiB over loopback, or over a link on
// which answers take 50 ms, one file at a time or four.
func BenchmarkPut(b *testing.B) {
	content := random(1 << 20)
	benchmark(b, func(b *testing.B, target backends.Backend, name string) error {
		return target.Put(b.Context(), name, func(w io.Writer) error {
			for range benchSize >> 20 {
				if _, err := w.Write(content); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func BenchmarkOpen(b *testing.B) {
	content := random(benchSize)
	benchmark(b, func(b *testing.B, target backends.Backend, name string) error {
		r, err := target.Open(b.Context(), name)
		if err != nil {
			b.StopTimer()
			put(b, target, name, content)
			b.StartTimer()
			r, err = target.Open(b.Context(), name)
		}
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(io.Discard, r)
		return err
	})
}

func benchmark(b *testing.B, transfer func(*testing.B, backends.Backend, string) error) {
	s := startServer(b, withSFTP)
	c := newClient(b, s)
	p, far := faultproxy.Start(b, s.addr)
	p.SetDelay(25 * time.Millisecond)
	c.write(b, "config", "UserKnownHostsFile ~/.ssh/known_hosts\nStrictHostKeyChecking accept-new\n")
	for where, addr := range map[string]string{"Loopback": s.addr, "Far": far} {
		target := c.open(b, addr, s.mkdir(b))
		b.Run(where, func(b *testing.B) {
			b.SetBytes(benchSize)
			for b.Loop() {
				if err := transfer(b, target, "name0"); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(where+"Four", func(b *testing.B) {
			b.SetBytes(4 * benchSize)
			for b.Loop() {
				var all sync.WaitGroup
				for _, name := range []string{"name0", "name1", "name2", "name3"} {
					all.Go(func() {
						if err := transfer(b, target, name); err != nil {
							b.Error(err)
						}
					})
				}
				all.Wait()
			}
		})
	}
}
