package s3_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"tklbam/backends"
	"tklbam/backends/backendtest/faultproxy"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/s3"
)

// TestLeftovers leaves uploads of different names and ages for a backup that
// opens the target.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.makeBucket(t, bucket)
	c := s.client(t)
	begin := func(key string) {
		t.Helper()
		if _, err := c.NewMultipartUpload(t.Context(), bucket, key, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	const volume = "duplicity-full.20200101T000000Z.vol1.difftar.gpg"
	for _, key := range []string{"prefix/" + volume, "prefix/other", "prefix/deeper/" + volume, volume} {
		begin(key)
	}
	s.age(t, 8*24*time.Hour)
	begin("prefix/duplicity-full.20200101T000000Z.vol2.difftar.gpg")
	uploads := func() (keys []string) {
		left, err := c.ListMultipartUploads(t.Context(), bucket, "", "", "", "", 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range left.Uploads {
			keys = append(keys, u.Key)
		}
		return keys
	}
	before := uploads()
	address := "s3://" + s.Host + "/" + bucket + "/prefix"
	open(t, address, s.options(), backends.Options{})
	if got := uploads(); !slices.Equal(got, before) {
		t.Errorf("opened for reading, a target has %q of %q left", got, before)
	}
	open(t, address, s.options(), backends.Options{Create: true})
	want := slices.DeleteFunc(before, func(key string) bool { return key == "prefix/"+volume })
	if got := uploads(); !slices.Equal(got, want) {
		t.Errorf("the uploads left are %q, want %q", got, want)
	}
}

// age makes all that is in the bucket's directory older.
func (s *server) age(t *testing.T, age time.Duration) {
	t.Helper()
	then := time.Now().Add(-age)
	err := filepath.WalkDir(s.Dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chtimes(path, then, then))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestLeftoversRefused has the server refuse whatever concerns leftovers.
func TestLeftoversRefused(t *testing.T) {
	t.Parallel()
	p := startProxy(t)
	p.server.makeBucket(t, bucket)
	listing := func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Query().Has("uploads") }
	for _, status := range []int{403, 404, 501} {
		p.Set(faultproxy.Always(listing, answers(status, "Refused")))
		p.open(t, p.server.options())
		if !slices.ContainsFunc(p.Seen(), listing) {
			t.Error("no leftovers are looked for")
		}
	}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	dir := filepath.Join(s.Dir, bucket)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	faultproxy.SmallDisk(t, dir, "12m")
	opts := s.options()
	opts.PartSize = 5 << 20
	b := open(t, "s3://"+s.Host+"/"+bucket, opts, backends.Options{})
	old := content(1, 4<<20)
	put(t, b, "old", old)
	put(t, b, "more", old)
	for size, name := range map[int]string{4<<20 + 500_000: "old", 11 << 20: "new"} {
		if err := b.Put(t.Context(), name, writing(content(2, size))); !errors.Is(err, backends.ErrNoSpace) {
			t.Errorf("Put of %d bytes: error is %v, want backends.ErrNoSpace", size, err)
		}
	}
	wantContent(t, b, "old", old)
	if _, err := read(t.Context(), b, "new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want fs.ErrNotExist", err)
	}
}

// TestDamagedInsideTLS changes content where TLS does not guard it, and no
// signature covers it: the sum that goes with it does.
func TestDamagedInsideTLS(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.makeBucket(t, bucket)
	p := faultproxy.StartTLS(t, s.Host)
	opts := s.options()
	opts.PlainHTTP, opts.PartSize = false, 5<<20
	opts.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	writeCertificate(t, opts.CAFile, p.Certificate())
	b := open(t, "s3://"+p.Host()+"/"+bucket, opts, backends.Options{})
	for _, size := range []int{1000, long} {
		p.Set(faultproxy.Always(func(r *http.Request) bool { return isPut(r) || isPart(r) }, faultproxy.FlipBody))
		checkError(t, b.Put(t.Context(), "name", writing(content(1, size))), backends.ErrUnavailable)
		p.Set(nil)
		if _, err := read(t.Context(), b, "name"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error is %v, want fs.ErrNotExist", err)
		}
	}
	p.Set(faultproxy.Once(isPut, faultproxy.FlipBody))
	if err := b.Put(t.Context(), "name", writing(content(1, 1000))); err != nil {
		checkError(t, err, backends.ErrUnavailable)
	}
}

func writeCertificate(t *testing.T, path string, cert *x509.Certificate) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestObjectLock stores in a bucket that keeps every file for a day, whoever
// asks to delete it.
func TestObjectLock(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := s.client(t)
	if err := c.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{ObjectLocking: true}); err != nil {
		t.Fatal(err)
	}
	mode, days, unit := minio.Compliance, uint(1), minio.Days
	if err := c.SetObjectLockConfig(t.Context(), bucket, &mode, &days, &unit); err != nil {
		t.Fatal(err)
	}
	opts := s.options()
	opts.PartSize = 5 << 20
	b := open(t, "s3://"+s.Host+"/"+bucket+"/prefix", opts, backends.Options{Create: true})
	for name, size := range map[string]int{"short": 1000, "long": long} {
		put(t, b, name, content(1, size))
		wantContent(t, b, name, content(1, size))
		if err := b.Delete(t.Context(), name); err == nil {
			t.Errorf("%s is deleted", name)
		}
		wantContent(t, b, name, content(1, size))
	}
}

// TestOddAddresses has characters in keys, secrets and prefixes that addresses
// and signatures may get wrong, on both kinds of loopback address.
func TestOddAddresses(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.makeBucket(t, bucket)
	// A key without blanks and slashes: they are the signature's own.
	const key, secret = "key-1.a+b@c", `s:e"c r\e't+/=@%&?#ü`
	s.Admin(t, "create-user", "--access", key, "--secret", secret, "--role", "admin")
	sixth := startServerAt(t, "[::1]:0")
	sixth.makeBucket(t, bucket)
	noCredentials := s3.Options{PlainHTTP: true}
	for address, c := range map[string]struct {
		opts s3.Options
		dir  string
	}{
		"s3://" + escape(key) + ":" + escape(secret) + "@" + s.Host + "/" + bucket + "/plain": {noCredentials, s.Dir + "/bucket/plain"},
		"s3://" + s.Host + "/" + bucket + "/a%20b/%C3%BC+&=%25/%23%3F":                        {s.options(), s.Dir + "/bucket/a b/ü+&=%/#?"},
		"s3://" + sixth.Host + "/" + bucket + "/p%3Aq":                                        {sixth.options(), sixth.Dir + "/bucket/p:q"},
	} {
		b := open(t, address, c.opts, backends.Options{Create: true})
		put(t, b, "a name+%", []byte("data"))
		wantContent(t, open(t, address, c.opts, backends.Options{}), "a name+%", []byte("data"))
		if got, err := os.ReadFile(filepath.Join(c.dir, "a name+%")); err != nil || string(got) != "data" {
			t.Errorf("%s: the server has %q, %v", address, got, err)
		}
		if strings.Contains(b.String(), escape(secret)) {
			t.Errorf("%s shows the secret", b)
		}
	}
}

// escape writes all but letters and digits in percent codes.
func escape(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// startServerAt runs a server on a free port of an address.
func startServerAt(t *testing.T, address string) *server {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("needs the address %s: %v", address, err)
	}
	host := l.Addr().String()
	l.Close()
	return &server{servers.VersityGW(t, servers.S3Options{Host: host})}
}
