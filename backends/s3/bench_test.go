package s3_test

import (
	"context"
	"fmt"
	"os/exec"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/backendtest/throughput"
	"tklbam/backends/s3"
)

// BenchmarkTransfer compares with rclone, over TLS. rclone moves four files at
// a time as well and has the server check a sum of each. It is kept from
// waiting a second for leave to send a body, which versitygw does not give it.
func BenchmarkTransfer(b *testing.B) {
	throughput.Size(b)
	rclone := servers.Needs(b, "rclone")
	s := servers.VersityGW(b, servers.S3Options{TLS: true})
	driver := s3.Driver(s3.Options{
		CAFile:      s.CAFile,
		Credentials: s3.Credentials{AccessKeyID: servers.S3Key, SecretAccessKey: backends.NewSecret(servers.S3Secret)},
	})
	home, n := b.TempDir(), 0
	throughput.Run(b, s.Host, throughput.Far(b, s.Host), func(b *testing.B, address string) throughput.Site {
		n++
		bucket := fmt.Sprintf("bucket%d", n)
		plain := "server:" + bucket + "/plain"
		copies := func(from, to string) *exec.Cmd {
			cmd := exec.Command(rclone, "copy", "--ignore-times", "--expect-continue-timeout", "0", "--ca-cert", s.CAFile, from, to)
			cmd.Env = []string{"HOME=" + home, "RCLONE_CONFIG_SERVER_TYPE=s3", "RCLONE_CONFIG_SERVER_PROVIDER=Other",
				"RCLONE_CONFIG_SERVER_ENDPOINT=https://" + address, "RCLONE_CONFIG_SERVER_ACCESS_KEY_ID=" + servers.S3Key,
				"RCLONE_CONFIG_SERVER_SECRET_ACCESS_KEY=" + servers.S3Secret}
			return cmd
		}
		open := func(ctx context.Context) (backends.Backend, error) {
			return backends.Open(ctx, []backends.Driver{driver}, "s3://"+address+"/"+bucket+"/driver", backends.Options{Create: true})
		}
		made, err := open(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := made.Close(); err != nil {
			b.Fatal(err)
		}
		return throughput.Site{
			Open: open,
			Up:   func(dir string) *exec.Cmd { return copies(dir, plain) },
			Down: func(dir string) *exec.Cmd { return copies(plain, dir) },
		}
	})
}
