package s3_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/backendtest/faultproxy"
)

// TestSurvives has connections fail in every manner, at every point of what
// the two sides say, for files that go in one request and in parts.
func TestSurvives(t *testing.T) {
	for name, suite := range map[string]faultproxy.Suite{
		"Whole": {Size: 300_000, Cases: 60, Fresh: true},
		"Parts": {Size: 5<<20 + 300_000, Cases: 20, Fresh: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			s.makeBucket(t, bucket)
			opts := s.options()
			opts.PartSize, opts.StallTimeout = 5<<20, time.Second
			n := 0
			suite.Stall, suite.Limit = opts.StallTimeout, 20*time.Second
			suite.Open = func(t *testing.T) faultproxy.Site {
				n++
				p, address := faultproxy.Start(t, s.Host)
				prefix := fmt.Sprintf("prefix.%d", n)
				b := open(t, "s3://"+address+"/"+bucket+"/"+prefix, opts, backends.Options{})
				return faultproxy.Site{Backend: b, Proxies: []*faultproxy.Proxy{p}, Dir: filepath.Join(s.Dir, bucket, prefix)}
			}
			suite.Run(t)
		})
	}
}
