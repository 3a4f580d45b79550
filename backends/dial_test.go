package backends_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"tklbam/backends"
)

// TestDialer: a connection fails after a time of silence. Writing all the while
// is none, for the reading side either.
func TestDialer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	const silence = 200 * time.Millisecond
	conn, err := backends.Dialer(time.Minute, silence)(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		ended <- err
	}()
	tick := time.NewTicker(silence / 20)
	defer tick.Stop()
	began, wrote := time.Now(), time.Now()
	for time.Since(began) < 2*silence {
		<-tick.C
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		wrote = time.Now()
	}
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(wrote) < silence/2 {
		t.Errorf("Read ends %v after the last Write: %v", time.Since(wrote), err)
	}
}
