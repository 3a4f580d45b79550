package s3_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"tklbam/backends"
	"tklbam/backends/backendtest/faultproxy"
	"tklbam/backends/s3"
)

// A proxy stands before a server and lets a test meddle with requests.
type proxy struct {
	*faultproxy.HTTP
	server *server
}

// startProxy starts a server with a bucket, and a proxy before it.
func startProxy(t *testing.T, args ...string) *proxy {
	t.Helper()
	s := startServer(t, args...)
	return &proxy{faultproxy.StartHTTP(t, s.Host), s}
}

// open opens the bucket through the proxy, and makes it.
func (p *proxy) open(t *testing.T, opts s3.Options) backends.Backend {
	t.Helper()
	return open(t, "s3://"+p.Host()+"/"+bucket+"/prefix", opts, backends.Options{Create: true})
}

// asProxy is the option to send requests for any host through it.
func (p *proxy) asProxy(*http.Request) (*url.URL, error) { return url.Parse(p.URL) }

// client is the library's own, for what no backend does.
func (s *server) client(t *testing.T) *minio.Core {
	t.Helper()
	c, err := minio.NewCore(s.Host, &minio.Options{Creds: credentials.NewStaticV4(rootKey, rootSecret, "")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wantNoUploads checks that no upload in parts is left.
func (s *server) wantNoUploads(t *testing.T) {
	t.Helper()
	left, err := s.client(t).ListMultipartUploads(t.Context(), bucket, "", "", "", "", 100)
	if err != nil || len(left.Uploads) > 0 {
		t.Errorf("%d uploads are left, %v", len(left.Uploads), err)
	}
}

// The kinds of requests that faults are for.

func isPut(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.Query().Get("partNumber") == ""
}

func isPart(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.Query().Has("partNumber")
}

func isBegin(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploads")
}

func isJoin(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

func isAbort(r *http.Request) bool {
	return r.Method == http.MethodDelete && r.URL.Query().Has("uploadId")
}

func isList(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Has("list-type")
}

func isGet(r *http.Request) bool {
	return r.Method == http.MethodGet && !r.URL.Query().Has("list-type") && !r.URL.Query().Has("location") && !r.URL.Query().Has("uploads")
}
