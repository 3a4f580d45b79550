package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"tklbam/backends"
	"tklbam/backends/backendtest/faultproxy"
)

// long is the length of content that goes in parts.
const long = 11 << 20

// content returns n bytes that no other seed gives.
func content(seed byte, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

func writing(p []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(p)
		return err
	}
}

func put(t *testing.T, b backends.Backend, name string, p []byte) {
	t.Helper()
	if err := b.Put(t.Context(), name, writing(p)); err != nil {
		t.Fatal(err)
	}
}

func read(ctx context.Context, b backends.Reader, name string) ([]byte, error) {
	r, err := b.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	p, err := io.ReadAll(r)
	return p, errors.Join(err, r.Close())
}

func wantContent(t *testing.T, b backends.Reader, name string, want []byte) {
	t.Helper()
	if got, err := read(t.Context(), b, name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s holds %d bytes that are not the %d expected, %v", name, len(got), len(want), err)
	}
}

// answers is a fault with an error of the server.
func answers(status int, code string) faultproxy.Meddler {
	return faultproxy.Answer(status, "<Error><Code>"+code+"</Code><Message>in the server's words</Message></Error>", "Retry-After: 1")
}

// swallow takes a request and stores nothing.
func swallow(w http.ResponseWriter, r *http.Request) bool {
	io.Copy(io.Discard, r.Body)
	w.Header().Set("ETag", `"opaque"`)
	return true
}

// TestPutFaults: a Put succeeds or fails with a known kind of error, leaves no
// parts, and the name as it was or with the new content. Then it works.
func TestPutFaults(t *testing.T) {
	t.Parallel()
	p := startProxy(t)
	opts := p.server.options()
	opts.PartSize = 5 << 20
	b := p.open(t, opts)
	tests := []struct {
		name  string
		size  int
		fault faultproxy.Meddler
		want  error // nil for success
	}{
		{"server busy once", 1000, faultproxy.Once(isPut, answers(503, "SlowDown")), nil},
		{"server busy", 1000, faultproxy.Always(isPut, answers(503, "SlowDown")), backends.ErrUnavailable},
		{"too many requests", 1000, faultproxy.Always(isPut, answers(429, "TooMany")), backends.ErrUnavailable},
		{"disk full", 1000, faultproxy.Always(isPut, answers(507, "XMinioStorageFull")), backends.ErrNoSpace},
		{"quota", 1000, faultproxy.Always(isPut, answers(403, "QuotaExceeded")), backends.ErrNoSpace},
		{"denied", 1000, faultproxy.Always(isPut, answers(403, "AccessDenied")), fs.ErrPermission},
		{"expired", 1000, faultproxy.Always(isPut, answers(400, "ExpiredToken")), fs.ErrPermission},
		{"cut", 100_000, faultproxy.Always(isPut, faultproxy.CutBody), backends.ErrUnavailable},
		{"cut once", 100_000, faultproxy.Once(isPut, faultproxy.CutBody), nil},
		{"damaged", 1000, faultproxy.Always(isPut, faultproxy.FlipBody), backends.ErrUnavailable},
		{"not stored", 1000, faultproxy.Always(isPut, swallow), backends.ErrUnavailable},
		{"answer lost once", 1000, faultproxy.Once(isPut, p.LoseAnswer), nil},
		{"answer lost", 1000, faultproxy.Always(isPut, p.LoseAnswer), backends.ErrUnavailable},
		{"begin denied", long, faultproxy.Always(isBegin, answers(403, "AccessDenied")), fs.ErrPermission},
		{"part busy once", long, faultproxy.Once(isPart, answers(503, "SlowDown")), nil},
		{"part denied", long, faultproxy.Always(isPart, answers(403, "AccessDenied")), fs.ErrPermission},
		{"part cut once", long, faultproxy.Once(isPart, faultproxy.CutBody), nil},
		{"part cut", long, faultproxy.Always(isPart, faultproxy.CutBody), backends.ErrUnavailable},
		{"part damaged", long, faultproxy.Always(isPart, faultproxy.FlipBody), backends.ErrUnavailable},
		{"parts gone", long, faultproxy.Always(isJoin, answers(404, "NoSuchUpload")), backends.ErrUnavailable},
		{"join fails late", long, faultproxy.Always(isJoin, answers(200, "InternalError")), backends.ErrUnavailable},
		{"join answer lost once", long, faultproxy.Once(isJoin, p.LoseAnswer), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			old, replacement := content(1, 500), content(2, test.size)
			p.Set(nil)
			put(t, b, "name", old)
			p.Set(test.fault)
			err := b.Put(t.Context(), "name", writing(replacement))
			p.Set(nil)
			checkError(t, err, test.want)
			p.server.wantNoUploads(t)
			got, readErr := read(t.Context(), b, "name")
			if isNew := bytes.Equal(got, replacement); !isNew && (err == nil || !bytes.Equal(got, old)) {
				t.Errorf("after the error %v: %d bytes of no version, %v", err, len(got), readErr)
			}
			put(t, b, "name", replacement)
			wantContent(t, b, "name", replacement)
		})
	}
}

// checkError wants an error of a kind, or none, that shows no secret.
func checkError(t *testing.T, err, want error) {
	t.Helper()
	if want == nil && err == nil {
		return
	}
	if want == nil || !errors.Is(err, want) {
		t.Errorf("error is %v, want %v", err, want)
	}
	if err != nil && (strings.Contains(err.Error(), rootSecret) || strings.Contains(err.Error(), "Signature=")) {
		t.Errorf("the error shows a secret: %v", err)
	}
}

func TestReadFaults(t *testing.T) {
	t.Parallel()
	p := startProxy(t)
	b := p.open(t, p.server.options())
	want := content(1, 1<<20)
	put(t, b, "name", want)
	tests := []struct {
		name  string
		fault faultproxy.Meddler
		want  error
	}{
		{"busy once", faultproxy.Once(isGet, answers(503, "SlowDown")), nil},
		{"busy", faultproxy.Always(isGet, answers(503, "SlowDown")), backends.ErrUnavailable},
		{"denied", faultproxy.Always(isGet, answers(403, "AccessDenied")), fs.ErrPermission},
		{"refused", faultproxy.Always(isGet, faultproxy.CutBody), backends.ErrUnavailable},
		{"truncated", faultproxy.Always(isGet, p.ChangeAnswer(func(w http.ResponseWriter, body []byte) {
			w.Write(body[:len(body)-1])
		})), backends.ErrUnavailable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p.Set(test.fault)
			got, err := read(t.Context(), b, "name")
			p.Set(nil)
			checkError(t, err, test.want)
			if err == nil && !bytes.Equal(got, want) {
				t.Errorf("%d wrong bytes without an error", len(got))
			}
		})
	}
}

// TestStalls: a server that stops answering is given up.
func TestStalls(t *testing.T) {
	t.Parallel()
	p := startProxy(t)
	put(t, p.open(t, p.server.options()), "name", content(1, 1<<20))
	opts := p.server.options()
	opts.StallTimeout = 500 * time.Millisecond
	b := p.open(t, opts)
	p.Set(faultproxy.Hang)
	checkError(t, b.Put(t.Context(), "name", writing([]byte("new"))), backends.ErrUnavailable)
	p.Set(p.ChangeAnswer(func(w http.ResponseWriter, body []byte) {
		w.Write(body[:len(body)/2])
		http.NewResponseController(w).Flush()
		time.Sleep(2 * opts.StallTimeout) // the reader is gone before
	}))
	_, err := read(t.Context(), b, "name")
	checkError(t, err, backends.ErrUnavailable)
}

// TestChecksumVerified: a byte that changes on the way back is noticed where
// the server has a checksum.
func TestChecksumVerified(t *testing.T) {
	t.Parallel()
	p := startProxy(t)
	b := p.open(t, p.server.options())
	put(t, b, "name", content(1, 1<<20))
	p.Set(faultproxy.Always(isGet, p.ChangeAnswer(func(w http.ResponseWriter, body []byte) {
		body[1000] ^= 1
		w.Write(body)
	})))
	if _, err := read(t.Context(), b, "name"); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("error for a changed byte is %v", err)
	}
}

func TestListFaults(t *testing.T) {
	t.Parallel()
	p := startProxy(t)
	b := p.open(t, p.server.options())
	for i := range 20 {
		put(t, b, fmt.Sprintf("name.%d", i), []byte("data"))
	}
	for name, test := range map[string]struct {
		fault faultproxy.Meddler
		want  error
	}{
		"busy":      {answers(503, "SlowDown"), backends.ErrUnavailable},
		"denied":    {answers(403, "AccessDenied"), fs.ErrPermission},
		"no bucket": {answers(404, "NoSuchBucket"), fs.ErrNotExist},
		"truncated": {p.ChangeAnswer(func(w http.ResponseWriter, body []byte) { w.Write(body[:len(body)/2]) }), backends.ErrUnavailable},
	} {
		p.Set(faultproxy.Always(isList, test.fault))
		err := b.List(t.Context(), func(string, int64) error { return nil })
		if !errors.Is(err, test.want) {
			t.Errorf("%s: error is %v, want %v", name, err, test.want)
		}
	}
}

// TestCancelledParts cancels when some parts are sent and others are on their
// way.
func TestCancelledParts(t *testing.T) {
	t.Parallel()
	p := startProxy(t)
	opts := p.server.options()
	opts.PartSize = 5 << 20
	b := p.open(t, opts)
	put(t, b, "name", []byte("old"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p.Set(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("partNumber") == "2" {
			cancel()
		}
		return false
	})
	err := b.Put(ctx, "name", func(w io.Writer) error {
		for range 100 {
			if err := writing(content(1, 1<<20))(w); err != nil {
				return err
			}
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
	p.server.wantNoUploads(t)
	wantContent(t, b, "name", []byte("old"))
}

// TestCancelledWhileStoring cancels when the server has the content and has
// not answered: then the name may hold it, so that Put must not return the
// context's error.
func TestCancelledWhileStoring(t *testing.T) {
	t.Parallel()
	p := startProxy(t)
	opts := p.server.options()
	opts.PartSize = 5 << 20
	b := p.open(t, opts)
	for _, size := range []int{0, 1000, long} {
		want := content(1, size)
		ctx, cancel := context.WithCancel(t.Context())
		p.Set(faultproxy.Always(func(r *http.Request) bool { return isPut(r) || isJoin(r) }, func(w http.ResponseWriter, r *http.Request) bool {
			p.Forward(w, r)
			cancel()
			return true
		}))
		if err := b.Put(ctx, "name", writing(want)); err != nil {
			t.Errorf("Put of %d bytes that are stored: %v", size, err)
		}
		p.Set(nil)
		wantContent(t, b, "name", want)
		cancel()
	}
}
