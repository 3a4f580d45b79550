package s3_test

import (
	"fmt"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := 0
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		n++
		return open(t, fmt.Sprintf("s3://%s/%s/prefix.%d/deep er", s.Host, bucket, n), s.options(), backends.Options{Create: true})
	})
}
