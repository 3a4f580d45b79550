package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// How long a Ping tries.
const (
	pingTimeout = 10 * time.Second // of each attempt
	pingRetries = 2
	pingDelay   = time.Second // before the first retry; it doubles
)

// A Ping requests a URL as healthchecks.io and its like want it: a POST to the
// URL on success, to URL/start at the start and to URL/fail on failure, with
// what there is to say as the body. A query stays behind the path. Each
// attempt takes 10 seconds at most; two more follow after a second and two,
// unless the answer says that they would be in vain. Any 2xx is success.
//
// Whoever has the URL can forge pings, so it is shown nowhere, nor is another
// host told of it in a redirect.
type Ping struct {
	url    *url.URL
	client http.Client
	delay  time.Duration
}

// NewPing returns a Ping for the value of notify-ping. A nil client is
// http.DefaultClient; of one that is given, the transport is used.
func NewPing(value string, client *http.Client) (*Ping, error) {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("it is not a URL that begins with http:// or https://")
	}
	u.Fragment, u.RawFragment = "", ""
	p := &Ping{url: u, delay: pingDelay}
	if client != nil {
		p.client.Transport = client.Transport
	}
	p.client.Timeout = pingTimeout
	p.client.CheckRedirect = sameHost
	return p, nil
}

func newPing(opts Options) (Notifier, error) { return NewPing(opts.Ping, opts.Client) }

// sameHost ends a chain of redirects that leaves the host: the next request
// would name this one's URL as the page it comes from.
func sameHost(next *http.Request, sofar []*http.Request) error {
	if len(sofar) > 3 || next.URL.Hostname() != sofar[0].URL.Hostname() {
		return http.ErrUseLastResponse
	}
	return nil
}

// String names the host only.
func (p *Ping) String() string { return "ping of " + p.url.Host }

// GoString is String.
func (p *Ping) GoString() string { return p.String() }

// Notify implements Notifier.
func (p *Ping) Notify(ctx context.Context, e Event) error {
	target := p.url
	switch e.Kind {
	case Start:
		target = p.url.JoinPath("start")
	case Failure:
		target = p.url.JoinPath("fail")
	}
	body := shorten(e.text())
	again, err := p.post(ctx, target, body)
	for n := range pingRetries {
		if !again || wait(ctx, p.delay<<n) != nil {
			break
		}
		again, err = p.post(ctx, target, body)
	}
	if err != nil {
		return fmt.Errorf("notify by ping of %q: %w", p.url.Host, p.hide(err))
	}
	return nil
}

// post makes one attempt. It reports whether another one makes sense.
func (p *Ping) post(ctx context.Context, target *url.URL, body string) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := p.client.Do(req)
	if err != nil {
		return ctx.Err() == nil, err
	}
	defer resp.Body.Close()
	if _, err := io.CopyN(io.Discard, resp.Body, maxText); err != nil && err != io.EOF {
		return true, err
	}
	if resp.StatusCode/100 == 2 {
		return false, nil
	}
	busy := resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests
	return busy, fmt.Errorf("the server answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hide returns err without the URL. The errors of net/http begin with it, and
// some quote what a server sent, which may be it again; one of those keeps
// its text, less the secret, and not its chain.
func (p *Ping) hide(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	text := err.Error()
	hidden := text
	for _, secret := range p.secrets() {
		hidden = strings.ReplaceAll(hidden, secret, "…")
	}
	if hidden != text {
		return errors.New(hidden)
	}
	return err
}

// secrets returns the parts of the URL that may be secret, as it spells them
// and decoded.
func (p *Ping) secrets() []string {
	all := []string{p.url.EscapedPath(), p.url.Path, p.url.RawQuery}
	if user := p.url.User; user != nil {
		password, _ := user.Password()
		all = append(all, user.String(), user.Username(), password)
	}
	for component := range strings.SplitSeq(p.url.Path, "/") {
		all = append(all, component)
	}
	for _, values := range p.url.Query() {
		all = append(all, values...)
	}
	return longEnough(all)
}

// longEnough leaves out what is too short to be a secret, and would turn up
// in texts by chance.
func longEnough(all []string) []string {
	const least = 5
	var kept []string
	for _, s := range all {
		if len(s) >= least {
			kept = append(kept, s)
		}
	}
	return kept
}
