package servers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/webdav"
)

// GoDAV serves a directory with golang.org/x/net/webdav, which rclone and
// others are built on, with Basic authentication.
func GoDAV(t testing.TB) *WebDAVServer {
	t.Helper()
	s := webDAV(t)
	h := &webdav.Handler{FileSystem: webdav.Dir(s.Root), LockSystem: webdav.NewMemLS()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != User || password != Password {
			w.Header().Set("WWW-Authenticate", `Basic realm="go"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.Host = strings.TrimPrefix(server.URL, "http://")
	return s
}
