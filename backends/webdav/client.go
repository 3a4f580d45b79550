package webdav

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tklbam/backends"
)

const (
	defaultStall = time.Minute

	// connectTime bounds the making of a connection, and of TLS on it.
	connectTime = 30 * time.Second

	// idle is how long a connection is kept between requests: less than the
	// 5 seconds after which Apache closes it.
	idle = 4 * time.Second

	// bufferSize is that of a connection, each way.
	bufferSize = 128 << 10

	// maxRedirects is that of browsers, halved.
	maxRedirects = 10

	// maxDrain bounds what is read of an answer nobody wants, to use its
	// connection again.
	maxDrain = 64 << 10
)

// client sends requests to one server, with the user's credentials.
type client struct {
	transport *http.Transport
	auth      authenticator
	origin    string // scheme and host that get the credentials
}

func newClient(env Environment, a backends.Address) (*client, error) {
	user, password := a.User, a.Password
	if user == "" {
		user = env.User
	}
	if password.Reveal() == "" {
		password = env.Password
	}
	roots, err := backends.LoadRoots(env.CAFile)
	if err != nil {
		return nil, err
	}
	stall := env.StallTimeout
	if stall == 0 {
		stall = defaultStall
	}
	c := &client{origin: origin(baseURL(a))}
	c.auth.user, c.auth.password = user, password
	c.transport = &http.Transport{
		DialContext:           backends.Dialer(connectTime, stall),
		TLSClientConfig:       &tls.Config{RootCAs: roots},
		TLSHandshakeTimeout:   min(connectTime, stall),
		ExpectContinueTimeout: 2 * time.Second,
		IdleConnTimeout:       idle,
		MaxIdleConnsPerHost:   32,
		DisableCompression:    true, // lengths are those of the files
		WriteBufferSize:       bufferSize,
		ReadBufferSize:        bufferSize,
	}
	return c, nil
}

func (c *client) close() { c.transport.CloseIdleConnections() }

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// A request is what do sends, as often as authentication and redirections
// make it.
type request struct {
	method string
	url    *url.URL
	header http.Header
	body   body // nil for none
}

// A body gives the content of a request.
type body interface {
	// open returns the content from its beginning. It fails if that is gone.
	open() (io.ReadCloser, error)
	// length returns the number of bytes, -1 if that is unknown.
	length() int64
	// repeats reports whether open can be called any number of times.
	repeats() bool
}

// textBody is a body in memory.
type textBody string

func (b textBody) open() (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(b))), nil
}
func (b textBody) length() int64 { return int64(len(b)) }
func (b textBody) repeats() bool { return true }

// run sends a request whose answer is only its status.
func (c *client) run(ctx context.Context, r request) error {
	res, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	if res.StatusCode == http.StatusMultiStatus { // of parts that failed
		err = partsError(r.method, res)
	}
	return errors.Join(err, c.drain(res))
}

// drain reads an answer to its end, so that its connection can be used again.
func (c *client) drain(res *http.Response) error {
	_, err := io.Copy(io.Discard, io.LimitReader(res.Body, maxDrain))
	return c.cause(errors.Join(err, res.Body.Close()))
}

// do sends a request and returns the answer if its status is a success, and a
// statusError otherwise. Only requests without effect follow redirections.
func (c *client) do(ctx context.Context, r request) (*http.Response, error) {
	for range maxRedirects {
		res, err := c.authenticated(ctx, r)
		if err != nil {
			return nil, err
		}
		if res.StatusCode/100 == 2 {
			return res, nil
		}
		failed := newStatusError(r.method, res)
		if err := c.drain(res); err != nil && res.StatusCode/100 == 3 {
			return nil, err
		}
		next, err := redirection(r, res)
		if err != nil {
			return nil, err
		}
		if next == nil {
			return nil, failed
		}
		r.url = next
	}
	return nil, errors.New("the server redirects without end")
}

// redirection returns where an answer sends its request, nil for nowhere.
func redirection(r request, res *http.Response) (*url.URL, error) {
	readOnly := r.method == http.MethodGet || r.method == http.MethodHead || r.method == "PROPFIND"
	location := res.Header.Get("Location")
	if res.StatusCode/100 != 3 || location == "" || !readOnly {
		return nil, nil
	}
	next, err := r.url.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("the server redirects to what is no URL: %q", location)
	}
	switch {
	case next.Scheme != "https" && next.Scheme != r.url.Scheme:
		return nil, fmt.Errorf("the server redirects to %q, without encryption", origin(next))
	case r.method != "PROPFIND" && next.Path == r.url.Path+"/":
		return nil, fmt.Errorf("it is a collection: %w", errNoFile)
	}
	next.User, next.Fragment = nil, ""
	return next, nil
}

// authenticated sends a request, and again as long as the server asks for
// credentials that have not been refused.
func (c *client) authenticated(ctx context.Context, r request) (*http.Response, error) {
	ours := origin(r.url) == c.origin
	asked := false
	for {
		var used *challenge
		if ours {
			used = c.auth.current()
		}
		res, err := c.send(ctx, r, used)
		if err != nil {
			return nil, err
		}
		if ours && used != nil {
			c.auth.follow(used, res.Header)
		}
		if res.StatusCode != http.StatusUnauthorized || !ours {
			return res, nil
		}
		again, err := c.auth.learn(used, asked, res.Header)
		if err == nil && !again {
			return res, nil
		}
		if err := errors.Join(err, c.drain(res)); err != nil {
			return nil, err
		}
		asked = true
	}
}

// send sends a request once, except that net/http repeats those that met a
// connection the server had closed. A body of unknown length waits for the
// server to say that it wants it: so it is not lost to a refusal.
func (c *client) send(ctx context.Context, r request, used *challenge) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url.String(), nil)
	if err != nil {
		return nil, err
	}
	req.URL = r.url
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "tklbam")
	req.Header.Set("Accept-Encoding", "identity")
	if r.method != "MOVE" && (r.body == nil || r.body.repeats()) {
		req.Header["Idempotency-Key"] = nil // tells net/http that it may repeat it; is not sent
	}
	if err := setBody(req, r.body); err != nil {
		return nil, err
	}
	if used != nil {
		req.Header.Set("Authorization", c.auth.header(used, r.method, r.url.RequestURI()))
	}
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, c.cause(err)
	}
	return res, nil
}

func setBody(req *http.Request, b body) (err error) {
	if b == nil {
		return nil
	}
	req.ContentLength = b.length()
	if req.ContentLength == 0 {
		return nil // net/http writes "Content-Length: 0" for a PUT
	}
	if req.Body, err = b.open(); err != nil {
		return err
	}
	if b.repeats() {
		req.GetBody = b.open
	}
	if b.length() < 0 {
		req.Header.Set("Expect", "100-continue")
	}
	return nil
}

// cause returns an error of a request as callers of a backend know it.
// Certificates that are not trusted stay so; all else of a network may pass.
func (c *client) cause(err error) error {
	var unverified *tls.CertificateVerificationError
	var network net.Error
	var op *net.OpError
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, backends.ErrUnavailable), errors.As(err, &unverified):
		return err
	case errors.As(err, &op), errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		isClosed(err):
		return fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
	}
	return err
}

// isClosed recognizes the errors of net/http that have no type: of connections
// that the server closed or reset in mid-request or mid-answer.
func isClosed(err error) bool {
	text := err.Error()
	return strings.Contains(text, "server closed idle connection") || strings.Contains(text, "transport connection broken") ||
		strings.Contains(text, "unexpected EOF reading trailer")
}

// cap of a server's own explanation in an error.
const maxMessage = 300

// message returns what a server says about an error in its body: a text, or
// the message element of SabreDAV (Nextcloud, ownCloud). HTML is for browsers.
func message(res *http.Response) string {
	head, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		return "" // the status is what counts
	}
	text := ""
	if _, after, found := bytes.Cut(head, []byte("<s:message>")); found {
		inner, _, _ := bytes.Cut(after, []byte("</s:message>"))
		text = string(inner)
	} else if strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
		text = string(head)
	}
	text = strings.TrimSpace(strings.ToValidUTF8(text, "?"))
	return text[:min(len(text), maxMessage)]
}
