package swift

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tklbam/backends"
)

const (
	userAgent = "tklbam"

	// connectTime bounds the making of a connection, and of TLS on it.
	connectTime = 30 * time.Second

	// silence is how long a connection may carry nothing before it counts as
	// dead: longer than a proxy waits for slow disks to answer.
	silence = 5 * time.Minute

	// idle is how long a connection is kept between requests.
	idle = 30 * time.Second

	// bufferSize is that of a connection, each way: Swift's own unit.
	bufferSize = 64 << 10

	// expectSize is the content from which a server is asked whether it wants
	// it: so an expired token costs no upload.
	expectSize = 1 << 20

	// maxDrain bounds what is read of an answer nobody wants, to use its
	// connection again.
	maxDrain = 64 << 10
)

// newTransport returns a transport for one target.
func newTransport(env Environment) (*http.Transport, error) {
	roots, err := backends.LoadRoots(env.CAFile)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                 env.Proxy,
		DialContext:           backends.Dialer(connectTime, silence),
		TLSClientConfig:       &tls.Config{RootCAs: roots},
		TLSHandshakeTimeout:   connectTime,
		ExpectContinueTimeout: 2 * time.Second,
		IdleConnTimeout:       idle,
		MaxIdleConnsPerHost:   32,
		DisableCompression:    true, // lengths are those of the files
		WriteBufferSize:       bufferSize,
		ReadBufferSize:        bufferSize,
	}, nil
}

// A request is what do sends, twice if the token has expired.
type request struct {
	method string
	path   string // below the account's, decoded: "/container" or "/container/object"
	query  url.Values
	header http.Header
	size   int64                // of the content
	body   func() io.ReadCloser // opens the content, any number of times; nil for none
}

// A client sends requests to an account.
type client struct {
	session   *session
	transport *http.Transport
}

// do sends a request and returns the answer if its status is a success, and a
// statusError otherwise. A token that is refused is renewed once.
func (c *client) do(ctx context.Context, r request) (*http.Response, error) {
	refused := ""
	for {
		now, err := c.session.access(ctx, refused)
		if err != nil {
			return nil, err
		}
		res, err := c.send(ctx, now, r)
		if err != nil {
			return nil, err
		}
		if res.StatusCode/100 == 2 {
			return res, nil
		}
		failed := newStatusError(r.method, res)
		drain(res) // its own errors change nothing
		if res.StatusCode != http.StatusUnauthorized || refused != "" {
			return nil, failed
		}
		refused = now.token
	}
}

// run sends a request of whose answer only the header counts.
func (c *client) run(ctx context.Context, r request) (http.Header, error) {
	res, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	return res.Header, cause(drain(res))
}

// send sends a request once, except that net/http repeats those that met a
// connection the server had closed.
func (c *client) send(ctx context.Context, now access, r request) (*http.Response, error) {
	u := *now.account
	u.Path, u.RawPath, u.RawQuery = strings.TrimSuffix(u.Path, "/")+r.path, "", r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("X-Auth-Token", now.token)
	req.Header.Set("Accept-Encoding", "identity")
	req.Header["Idempotency-Key"] = nil // tells net/http that it may repeat it; is not sent
	if r.size > 0 {
		req.ContentLength, req.Body = r.size, r.body()
		req.GetBody = func() (io.ReadCloser, error) { return r.body(), nil }
	}
	if r.size >= expectSize {
		req.Header.Set("Expect", "100-continue")
	}
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, cause(err)
	}
	return res, nil
}

// drain reads an answer to its end, so that its connection can be used again.
func drain(res *http.Response) error {
	_, err := io.Copy(io.Discard, io.LimitReader(res.Body, maxDrain))
	return errors.Join(err, res.Body.Close())
}

// length returns the size of the file an answer is about.
func length(res *http.Response) (int64, error) {
	n, err := strconv.ParseInt(res.Header.Get("Content-Length"), 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("the server does not tell its length")
	}
	return n, nil
}

// cause returns an error of a request as callers of a backend know it: all of
// a network may pass, except certificates that are not trusted.
func cause(err error) error {
	var unverified *tls.CertificateVerificationError
	var wrapped *url.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, backends.ErrUnavailable), errors.Is(err, errRedirected):
		return err
	case errors.As(err, &wrapped):
		return cause(wrapped.Err) // without its URL
	case errors.As(err, &unverified):
		return err
	}
	return fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
}
