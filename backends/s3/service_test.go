package s3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/backendtest/faultproxy"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/s3"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	s := startTLSServer(t)
	address := "s3://" + s.Host + "/" + bucket
	b := open(t, address, s.options(), backends.Options{Create: true})
	want := content(1, long)
	put(t, b, "name", want)
	wantContent(t, b, "name", want)

	strange := s.options()
	strange.CAFile = ""
	plain := s.options()
	plain.PlainHTTP = true
	overTLS := startServer(t).options()
	overTLS.PlainHTTP = false
	for what, err := range map[string]error{
		"an unknown certificate": openError(t, address, strange),
		"plain HTTP to TLS":      openError(t, address, plain),
		"TLS to plain HTTP":      openError(t, "s3://"+startServer(t).Host+"/"+bucket, overTLS),
	} {
		if err == nil {
			t.Errorf("%s is taken", what)
		} else if errors.Is(err, backends.ErrUnavailable) && what != "plain HTTP to TLS" {
			t.Errorf("%s is something to try again: %v", what, err)
		}
	}
}

func openError(t *testing.T, address string, opts s3.Options) error {
	t.Helper()
	_, err := openAddress(t, address, opts, backends.Options{})
	return err
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.makeBucket(t, bucket)
	with := func(change func(*s3.Options)) s3.Options {
		opts := s.options()
		change(&opts)
		return opts
	}
	host := "s3://" + s.Host
	tests := []struct {
		address string
		opts    s3.Options
		want    error // nil for any
		text    string
	}{
		{host + "/absent", s.options(), fs.ErrNotExist, "NoSuchBucket"},
		{host, s.options(), nil, "names no bucket"},
		{host + "/" + bucket, with(func(o *s3.Options) { o.Credentials.AccessKeyID = "other" }), fs.ErrPermission, "InvalidAccessKeyId"},
		{host + "/" + bucket, with(func(o *s3.Options) { o.Credentials.SecretAccessKey = backends.NewSecret("wrong") }), fs.ErrPermission, "SignatureDoesNotMatch"},
		{host + "/" + bucket, with(func(o *s3.Options) { o.Credentials = s3.Credentials{} }), fs.ErrPermission, "no credentials"},
		{host + "/" + bucket, with(func(o *s3.Options) { o.Credentials.AccessKeyID = "" }), fs.ErrPermission, "half"},
		{"s3://key@" + s.Host + "/" + bucket, s.options(), fs.ErrPermission, "half"},
		{host + "/" + bucket, with(func(o *s3.Options) { o.PartSize = 1 << 20 }), nil, "parts of"},
		{host + "/" + bucket, with(func(o *s3.Options) { o.Parallel = 1000 }), nil, "parallel"},
		{host + "/" + bucket, with(func(o *s3.Options) { o.Style = "odd" }), nil, "style"},
		{host + "/" + bucket, with(func(o *s3.Options) { o.StorageClass = "two words" }), nil, "storage class"},
		{"s3+http://" + bucket, with(func(o *s3.Options) { o.StorageClass = "COLD" }), nil, "none of GLACIER"},
		{host + "/" + bucket, with(func(o *s3.Options) { o.CAFile = "/absent" }), fs.ErrNotExist, "read CA certificates"},
		{"s3+http://" + bucket, with(func(o *s3.Options) { o.Endpoint, o.PlainHTTP = "http://"+s.Host, false }), nil, "no TLS"},
		{"s3://" + fmt.Sprintf("127.0.0.1:%d", servers.FreePort(t)) + "/" + bucket, s.options(), backends.ErrUnavailable, "refused"},
	}
	for _, test := range tests {
		err := openError(t, test.address, test.opts)
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: error is %v, want %v with %q", test.address, err, test.want, test.text)
		} else if strings.Contains(err.Error(), rootSecret) || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: the error shows a secret: %v", test.address, err)
		}
	}
}

// TestAddressForms opens the same files under several addresses.
func TestAddressForms(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.makeBucket(t, bucket)
	opts := s.options()
	opts.Endpoint = "http://" + s.Host
	put(t, open(t, "s3://"+s.Host+"/"+bucket+"/a/b", opts, backends.Options{}), "name", []byte("data"))
	put(t, open(t, "s3://"+s.Host+"/"+bucket+"/a/b/c", opts, backends.Options{}), "deeper", []byte("data"))
	noCredentials := s3.Options{PlainHTTP: true}
	for address, opts := range map[string]s3.Options{
		"s3://" + s.Host + "/" + bucket + "/a/b/":                   opts,
		"s3://" + s.Host + "//" + bucket + "///a//b":                opts,
		"s3+http://" + bucket + "/a/b":                              opts,
		"s3+http:///" + bucket + "/a/b/":                            opts,
		"s3://rootkey:root%2Fsecret%2Bx@" + s.Host + "/bucket/a/b/": noCredentials,
	} {
		b := open(t, address, opts, backends.Options{})
		wantContent(t, b, "name", []byte("data"))
		var names []string
		err := b.List(t.Context(), func(name string, _ int64) error {
			names = append(names, name)
			return nil
		})
		if err != nil || !slices.Equal(names, []string{"name"}) {
			t.Errorf("%s lists %q, %v", address, names, err)
		}
		if strings.Contains(b.String(), "secret") {
			t.Errorf("%s shows a secret", b)
		}
	}
}

// TestRegion: the region of a bucket need not be known, except to a service
// that does not tell.
func TestRegion(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--region", "eu-central-1")
	for _, region := range []string{"", "eu-central-1"} {
		opts := s.options()
		opts.Region = region
		b := open(t, "s3://"+s.Host+"/bucket"+region, opts, backends.Options{Create: true})
		put(t, b, "name", []byte("data"))
		wantContent(t, open(t, b.String(), opts, backends.Options{}), "name", []byte("data"))
	}
	opts := s.options()
	opts.Region = "us-west-2"
	if err := openError(t, "s3://"+s.Host+"/bucket", opts); err == nil || !strings.Contains(err.Error(), "region") {
		t.Errorf("error for a wrong region is %v", err)
	}
}

// TestAmazon lets a proxy play Amazon, which tells the region of a bucket in a
// header of an answer to anyone, and has a host for each region and bucket.
func TestAmazon(t *testing.T) {
	t.Parallel()
	const region = "eu-central-1"
	const domain = "s3.dualstack." + region + ".amazonaws.com"
	p := startProxy(t, "--region", region, "--virtual-domain", domain)
	direct := p.server.options()
	direct.Region = region
	open(t, "s3://"+p.server.Host+"/"+bucket, direct, backends.Options{Create: true})
	for _, wrong := range []string{"", "us-west-2"} {
		p.Set(faultproxy.Always(func(r *http.Request) bool { return r.Method == http.MethodHead }, func(w http.ResponseWriter, r *http.Request) bool {
			if r.Host != "s3.amazonaws.com" || r.URL.Path != "/"+bucket || r.Header.Get("Authorization") != "" {
				t.Errorf("the region is asked with %s %s", r.Host, r.URL)
			}
			w.Header().Set("X-Amz-Bucket-Region", region)
			w.WriteHeader(http.StatusForbidden)
			return true
		}))
		opts := p.server.options()
		opts.Proxy, opts.Region = p.asProxy, wrong
		b := open(t, "s3+http://"+bucket+"/prefix", opts, backends.Options{})
		put(t, b, "name", []byte("data"))
		wantContent(t, b, "name", []byte("data"))
		for _, r := range p.Seen() {
			if r.Method != http.MethodHead && r.Host != bucket+"."+domain {
				t.Errorf("%s %s went to %s", r.Method, r.URL.Path, r.Host)
			}
		}
	}
}

// TestStyle looks at the hosts that requests go to.
func TestStyle(t *testing.T) {
	t.Parallel()
	p := startProxy(t, "--virtual-domain", "s3.test")
	for style, host := range map[s3.Style]string{s3.VirtualStyle: bucket + ".s3.test", s3.PathStyle: "s3.test", s3.AutoStyle: "s3.test"} {
		opts := p.server.options()
		opts.Proxy, opts.Style = p.asProxy, style
		if style != s3.VirtualStyle { // the server knows one style at a time
			p.Set(answers(404, "NoSuchBucket"))
			if err := openError(t, "s3://s3.test/"+bucket, opts); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error is %v", err)
			}
		} else {
			p.server.makeBucket(t, bucket)
			p.Set(nil)
			b := open(t, "s3://s3.test/"+bucket, opts, backends.Options{})
			put(t, b, "two words", []byte("data"))
			wantContent(t, b, "two words", []byte("data"))
		}
		for _, r := range p.Seen() {
			if r.Host != host {
				t.Errorf("style %q: %s %s went to %s", style, r.Method, r.URL, r.Host)
			}
		}
	}
}

// appendOnly is a policy for a user who may list, read and store, and no more.
const appendOnly = `{"Statement": [
	{"Effect": "Allow", "Principal": {"AWS": ["writer"]}, "Action": ["s3:ListBucket"], "Resource": "arn:aws:s3:::bucket"},
	{"Effect": "Allow", "Principal": {"AWS": ["writer"]}, "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::bucket/*"}
]}`

func TestAppendOnly(t *testing.T) {
	t.Parallel()
	p := startProxy(t)
	p.open(t, p.server.options())
	p.server.Admin(t, "create-user", "--access", "writer", "--secret", "writersecret", "--role", "user")
	if err := p.server.client(t).SetBucketPolicy(t.Context(), bucket, appendOnly); err != nil {
		t.Fatal(err)
	}
	opts := p.server.options()
	opts.PartSize = 5 << 20
	opts.Credentials = s3.Credentials{AccessKeyID: "writer", SecretAccessKey: backends.NewSecret("writersecret")}
	p.Set(nil)
	b := p.open(t, opts)
	for name, size := range map[string]int{"short": 1000, "long": long, "empty": 0} {
		want := content(1, size)
		put(t, b, name, want)
		wantContent(t, b, name, want)
	}
	if slices.ContainsFunc(p.Seen(), func(r *http.Request) bool { return r.Method == http.MethodDelete }) {
		t.Error("storing files deletes something")
	}
	if err := b.Delete(t.Context(), "short"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Delete: error is %v, want fs.ErrPermission", err)
	}
	wantContent(t, b, "short", content(1, 1000))

	failure := errors.New("source is gone")
	err := b.Put(t.Context(), "failed", func(w io.Writer) error {
		return errors.Join(writing(content(2, long))(w), failure)
	})
	if !errors.Is(err, failure) || errors.Is(err, fs.ErrPermission) {
		t.Errorf("error is %v, want that of write alone", err)
	}
	if aborted := slices.ContainsFunc(p.Seen(), isAbort); !aborted {
		t.Error("the upload is not aborted")
	}
}

// TestExpiredInSession: credentials that end early are fetched anew.
func TestExpiredInSession(t *testing.T) {
	t.Parallel()
	p := startProxy(t)
	var fetched atomic.Int32
	opts := p.server.options()
	root := opts.Credentials
	opts.Credentials = s3.Credentials{}
	opts.Renew = func(context.Context) (s3.Credentials, error) {
		fetched.Add(1)
		root.Expires = time.Now().Add(time.Hour)
		return root, nil
	}
	b := p.open(t, opts)
	put(t, b, "name", []byte("old"))
	p.Set(faultproxy.Always(isPut, answers(400, "ExpiredToken")))
	if err := b.Put(t.Context(), "name", writing([]byte("new"))); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("error is %v, want backends.ErrUnavailable", err)
	}
	if n := fetched.Load(); n != 1 {
		t.Errorf("credentials were fetched %d times before they expired", n)
	}
	p.Set(nil)
	put(t, b, "name", []byte("new"))
	if n := fetched.Load(); n != 2 {
		t.Errorf("credentials were fetched %d times, want one more after they expired", n)
	}
}

// accept is a fault that plays a server which takes all and keeps nothing.
func accept(w http.ResponseWriter, r *http.Request) bool {
	io.Copy(io.Discard, r.Body)
	w.Header().Set("ETag", `"opaque"`)
	switch {
	case isList(r) && r.URL.Query().Get("prefix") != "": // what Put looks up
		name := r.URL.Query().Get("prefix")
		fmt.Fprintf(w, "<ListBucketResult><Contents><Key>%s</Key><Size>%d</Size></Contents></ListBucketResult>", name, sizes[name])
	case isList(r):
		fmt.Fprint(w, "<ListBucketResult/>")
	case isBegin(r):
		fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
	case isJoin(r):
		fmt.Fprint(w, "<CompleteMultipartUploadResult><Bucket>bucket</Bucket></CompleteMultipartUploadResult>")
	case r.URL.Query().Has("location"):
		fmt.Fprint(w, "<LocationConstraint/>")
	}
	return true
}

// sizes are those of the files in TestHeaders.
var sizes = map[string]int{
	"duplicity-full.20200101T000000Z.vol1.difftar.gpg": 1, "duplicity-full.20200101T000000Z.vol2.difftar.gpg": long,
	"duplicity-full.20200101T000000Z.manifest.gpg": 1,
}

// TestHeaders: what the options say goes with the requests.
func TestHeaders(t *testing.T) {
	t.Parallel()
	p := startProxy(t)
	p.Set(accept)
	opts := p.server.options()
	opts.PartSize = 5 << 20
	opts.Credentials.SessionToken = backends.NewSecret("a token")
	opts.StorageClass = "GLACIER"
	b := open(t, "s3://"+p.Host()+"/"+bucket, opts, backends.Options{})
	for name, size := range sizes {
		put(t, b, name, content(1, size))
	}
	classes := make(map[string]string)
	for _, r := range p.Seen() {
		if r.Header.Get("X-Amz-Security-Token") != "a token" {
			t.Errorf("%s %s has no session token", r.Method, r.URL)
		}
		if (isPut(r) || isPart(r)) && r.Header.Get("Content-Md5") == "" {
			t.Errorf("%s %s has no checksum", r.Method, r.URL)
		}
		if isPut(r) || isBegin(r) {
			classes[strings.TrimPrefix(r.URL.Path, "/"+bucket+"/")] = r.Header.Get("X-Amz-Storage-Class")
		}
	}
	for name := range sizes {
		want := ""
		if strings.Contains(name, "difftar") {
			want = "GLACIER"
		}
		if class, sent := classes[name]; class != want || !sent {
			t.Errorf("the storage class of %s is %q, want %q", name, class, want)
		}
	}
}

// TestParallelParts holds each part back until as many as may be under way
// are, and counts them.
func TestParallelParts(t *testing.T) {
	t.Parallel()
	const parallel, parts = 3, 9
	p := startProxy(t)
	opts := p.server.options()
	opts.PartSize, opts.Parallel = 5<<20, parallel
	b := p.open(t, opts)
	var mu sync.Mutex
	running, most := 0, 0
	together := make(chan struct{})
	p.Set(faultproxy.Always(isPart, func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		running++
		most = max(most, running)
		if running == parallel {
			select {
			case <-together:
			default:
				close(together)
			}
		}
		mu.Unlock()
		select {
		case <-together:
		case <-time.After(20 * time.Second):
			t.Error("the parts go one by one")
		}
		p.Forward(w, r)
		mu.Lock()
		running--
		mu.Unlock()
		return true
	}))
	want := content(1, parts*opts.PartSize)
	put(t, b, "name", want)
	p.Set(nil)
	wantContent(t, b, "name", want)
	if most < parallel || most > parallel+1 {
		t.Errorf("%d parts were under way at a time, want %d", most, parallel)
	}
}

// TestBoundedMemory stores a file from a small buffer: the memory used does
// not grow with the file.
func TestBoundedMemory(t *testing.T) {
	s := startServer(t)
	opts := s.options()
	opts.PartSize, opts.Parallel = 5<<20, 2
	b := open(t, "s3://"+s.Host+"/"+bucket, opts, backends.Options{Create: true})
	chunk := content(1, 1<<20)
	const chunks = 150
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := b.Put(t.Context(), "name", func(w io.Writer) error {
		for range chunks {
			if _, err := w.Write(chunk); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 40<<20 {
		t.Errorf("a file of %d MiB took %d MiB in all", chunks, used>>20)
	}
	if err := b.List(t.Context(), func(name string, size int64) error {
		if size != chunks<<20 {
			return fmt.Errorf("%s has %d bytes", name, size)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
