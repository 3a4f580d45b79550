package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const secret = "5ecre7-uuid"

// A service records requests and answers with the given statuses, the last
// one for ever.
type service struct {
	mu       sync.Mutex
	statuses []int
	requests []string
	bodies   []string
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
	s.bodies = append(s.bodies, string(body))
	status := s.statuses[0]
	if len(s.statuses) > 1 {
		s.statuses = s.statuses[1:]
	}
	w.WriteHeader(status)
}

func serve(t *testing.T, statuses ...int) (*service, *httptest.Server) {
	t.Helper()
	s := &service{statuses: statuses}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server
}

func newTestPing(t *testing.T, url string) *Ping {
	t.Helper()
	p, err := NewPing(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.delay = time.Microsecond
	return p
}

func TestPing(t *testing.T) {
	s, server := serve(t, 200)
	for _, suffix := range []string{"/" + secret, "/" + secret + "/", "/x?rid=1"} {
		p := newTestPing(t, server.URL+suffix)
		for _, kind := range []Kind{Start, Success, Failure} {
			if err := p.Notify(t.Context(), event(kind)); err != nil {
				t.Error(err)
			}
		}
	}
	want := []string{
		"POST /" + secret + "/start", "POST /" + secret, "POST /" + secret + "/fail",
		"POST /" + secret + "/start", "POST /" + secret + "/", "POST /" + secret + "/fail",
		"POST /x/start?rid=1", "POST /x?rid=1", "POST /x/fail?rid=1",
	}
	if !slices.Equal(s.requests, want) {
		t.Errorf("got %q", s.requests)
	}
	if !strings.Contains(s.bodies[1], "12 MB") || !strings.Contains(s.bodies[2], "disk full") {
		t.Errorf("bodies %q", s.bodies)
	}
}

func TestPingRetries(t *testing.T) {
	for _, c := range []struct {
		statuses []int
		tries    int
		ok       bool
	}{
		{[]int{500, 200}, 2, true},
		{[]int{429, 503, 204}, 3, true},
		{[]int{500}, 3, false},
		{[]int{404}, 1, false},
		{[]int{400, 200}, 1, false},
		{[]int{304}, 1, false},
	} {
		s, server := serve(t, c.statuses...)
		err := newTestPing(t, server.URL+"/"+secret).Notify(t.Context(), event(Success))
		if (err == nil) != c.ok || len(s.requests) != c.tries {
			t.Errorf("%v: %d tries, %v", c.statuses, len(s.requests), err)
		}
		expectHidden(t, err)
	}
}

func expectHidden(t *testing.T, v any) {
	t.Helper()
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, v); strings.Contains(text, "5ecre7") || strings.Contains(text, "p4ss") {
			t.Errorf("the secret is in %s", text)
		}
	}
}

func TestPingSecrets(t *testing.T) {
	redirect := func(to string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, notFound := serve(t, 404)
	for name, base := range map[string]string{
		"refused":    "http://" + l.Addr().String(),
		"not found":  notFound.URL,
		"no TLS":     strings.Replace(notFound.URL, "http:", "https:", 1),
		"odd target": redirect("http://%zz/" + secret),
		"odd scheme": redirect("gopher://127.0.0.1/" + secret),
		"loop":       redirect("/" + secret + "?k=p4ssword"),
	} {
		url := strings.Replace(base, "://", "://user:p4ssword@", 1) + "/ping/" + secret + "?key=p4ssword"
		p := newTestPing(t, url)
		err := p.Notify(t.Context(), event(Failure))
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		expectHidden(t, err)
		expectHidden(t, p)
	}
	for _, value := range []string{"ftp://x/" + secret, secret, "http://", "http:///" + secret, "https://[" + secret, "http://h/%zz" + secret, "//h/" + secret} {
		_, err := NewPing(value, nil)
		if err == nil {
			t.Errorf("%q is accepted", value)
		}
		expectHidden(t, err)
	}
}

// Another host learns nothing of the URL: the request would name it as the
// referer.
func TestPingKeepsToTheHost(t *testing.T) {
	s, other := serve(t, 200)
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	for _, c := range []struct {
		to string
		ok bool
	}{{elsewhere, false}, {other.URL, true}} {
		server := httptest.NewServer(http.RedirectHandler(c.to+"/new", http.StatusTemporaryRedirect))
		err := newTestPing(t, server.URL+"/"+secret).Notify(t.Context(), event(Success))
		server.Close()
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.to, err)
		}
	}
	if len(s.requests) != 1 {
		t.Errorf("requests %q", s.requests)
	}
}

func TestPingCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	p := newTestPing(t, server.URL+"/"+secret)
	p.delay = time.Hour
	if err := p.Notify(ctx, event(Success)); err == nil {
		t.Error("no error")
	}
	if err := p.Notify(ctx, event(Success)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestPingTimeout(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	p := newTestPing(t, server.URL+"/"+secret)
	if p.client.Timeout != 10*time.Second {
		t.Errorf("attempts take %v", p.client.Timeout)
	}
	p.client.Timeout = 20 * time.Millisecond
	err := p.Notify(t.Context(), event(Success))
	if err == nil {
		t.Error("no error")
	}
	expectHidden(t, err)
}
