package faultproxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A Meddler answers a request in the server's place, or changes it, and
// reports whether the request is dealt with.
type Meddler func(w http.ResponseWriter, r *http.Request) bool

// A Kind says which requests are meant.
type Kind func(r *http.Request) bool

// HTTP is a proxy for an HTTP server that lets a test meddle with requests. It
// passes the Host on, which signatures cover.
type HTTP struct {
	*httptest.Server
	target  string
	forward http.Handler

	mu       sync.Mutex
	meddler  Meddler
	requests []*http.Request
}

// StartHTTP starts a proxy for a server, "host:port", that ends with the test.
func StartHTTP(t testing.TB, server string) *HTTP {
	p := newHTTP(server)
	p.Start()
	t.Cleanup(p.Close)
	return p
}

// StartTLS starts one that talks TLS to clients, with the certificate of
// Certificate.
func StartTLS(t testing.TB, server string) *HTTP {
	p := newHTTP(server)
	p.Server.StartTLS()
	t.Cleanup(p.Close)
	return p
}

func newHTTP(server string) *HTTP {
	p := &HTTP{target: server}
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: server})
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m := p.see(r); m == nil || !m(w, r) {
			p.Forward(w, r)
		}
	}))
	return p
}

func (p *HTTP) see(r *http.Request) Meddler {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r)
	return p.meddler
}

// Set makes the proxy use a Meddler, none if it is nil, and forget requests.
func (p *HTTP) Set(m Meddler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.meddler, p.requests = m, nil
}

// Seen returns the requests since Set, without bodies.
func (p *HTTP) Seen() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// Host returns the address that the proxy listens on.
func (p *HTTP) Host() string { return p.Listener.Addr().String() }

// Forward has the server answer a request.
func (p *HTTP) Forward(w http.ResponseWriter, r *http.Request) { p.forward.ServeHTTP(w, r) }

// Method is the Kind of requests with a method.
func Method(method string) Kind {
	return func(r *http.Request) bool { return r.Method == method }
}

// Always meddles with every request of a kind.
func Always(kind Kind, m Meddler) Meddler {
	return func(w http.ResponseWriter, r *http.Request) bool { return kind(r) && m(w, r) }
}

// Nth meddles with the request number i of a kind, counted from 1.
func Nth(i int32, kind Kind, m Meddler) Meddler {
	var seen atomic.Int32
	return Always(func(r *http.Request) bool { return kind(r) && seen.Add(1) == i }, m)
}

// Once meddles with the first request of a kind.
func Once(kind Kind, m Meddler) Meddler { return Nth(1, kind, m) }

// Answer takes a request and answers it with a status, a body, and headers
// such as "Retry-After: 1".
func Answer(status int, body string, headers ...string) Meddler {
	return func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body) // of no interest
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
		return true
	}
}

// CutBody ends the connection in the middle of the request's body.
func CutBody(_ http.ResponseWriter, r *http.Request) bool {
	_, _ = io.CopyN(io.Discard, r.Body, 1000) // it may be shorter
	panic(http.ErrAbortHandler)
}

// FlipBody changes a bit in the middle of the request's body.
func FlipBody(_ http.ResponseWriter, r *http.Request) bool {
	p, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p[len(p)/2] ^= 1
	r.Body = io.NopCloser(bytes.NewReader(p))
	return false
}

// Hang takes a request and never answers.
func Hang(_ http.ResponseWriter, r *http.Request) bool {
	_, _ = io.Copy(io.Discard, r.Body) // of no interest
	<-r.Context().Done()
	return true
}

// LoseAnswer lets the server do what is asked, and the client not know.
func (p *HTTP) LoseAnswer(_ http.ResponseWriter, r *http.Request) bool {
	p.Forward(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// ChangeAnswer sends, under the head of the server's answer, what send makes
// of its body.
func (p *HTTP) ChangeAnswer(send func(w http.ResponseWriter, body []byte)) Meddler {
	return func(w http.ResponseWriter, r *http.Request) bool {
		recorder := httptest.NewRecorder()
		p.Forward(recorder, r)
		for key, values := range recorder.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(recorder.Code)
		send(w, recorder.Body.Bytes())
		return true
	}
}
