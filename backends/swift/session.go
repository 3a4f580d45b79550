package swift

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	ncw "github.com/ncw/swift/v2"

	"tklbam/backends"
)

const (
	// loginTime bounds a request for a token.
	loginTime = time.Minute

	// expiryMargin is the rest of a token's life in which no request begins
	// with it.
	expiryMargin = time.Minute
)

// access is what requests need: where the account is, and a token for it.
type access struct {
	account *url.URL
	token   string
	expires time.Time // zero if unknown
}

func (a access) fresh() bool {
	return a.token != "" && (a.expires.IsZero() || time.Until(a.expires) > expiryMargin)
}

// A session is a log-in, renewed when its token expires.
type session struct {
	storage *url.URL        // given in advance, or nil
	conn    *ncw.Connection // nil for a token given in advance
	logins  *pinned         // its requests

	mu  sync.Mutex
	now access
}

func newSession(acc Account, transport http.RoundTripper) (*session, error) {
	s := &session{}
	if acc.StorageURL != "" {
		u, err := parseHTTP(acc.StorageURL)
		if err != nil {
			return nil, fmt.Errorf("storage URL: %w", err)
		}
		s.storage = u
	}
	if acc.Token.Reveal() != "" {
		if s.storage == nil {
			return nil, errors.New("a token is given, but no storage URL to use it at")
		}
		s.now = access{account: s.storage, token: acc.Token.Reveal()}
		return s, nil
	}
	conn, err := acc.connection()
	if err != nil {
		return nil, err
	}
	base, err := parseHTTP(conn.AuthUrl)
	if err != nil {
		return nil, err
	}
	s.logins = &pinned{RoundTripper: transport, origin: origin(base)}
	conn.Transport = s.logins
	conn.ConnectTimeout = 2 * loginTime // the context ends first
	s.conn = conn
	return s, nil
}

// access returns a token that is not the refused one, "" for any. A refused
// token that cannot be renewed is returned again.
func (s *session) access(ctx context.Context, refused string) (access, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil || s.now.fresh() && s.now.token != refused {
		return s.now, nil
	}
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	if err := s.conn.Authenticate(ctx); err != nil {
		return access{}, fmt.Errorf("log in: %w", s.loginError(err))
	}
	account, err := s.account()
	if err != nil {
		return access{}, fmt.Errorf("log in: %w", err)
	}
	s.now = access{account, s.conn.AuthToken, s.conn.Expires}
	return s.now, nil
}

// account returns where the account is. Where logging in was encrypted, tokens
// and files don't go unencrypted because of a service's wrong idea of itself.
func (s *session) account() (*url.URL, error) {
	if s.storage != nil {
		return s.storage, nil
	}
	u, err := parseHTTP(s.conn.StorageUrl)
	if err != nil {
		return nil, fmt.Errorf("the service's storage URL: %w", err)
	}
	if u.Scheme == "http" && strings.HasPrefix(s.conn.AuthUrl, "https:") {
		return nil, fmt.Errorf("the service's storage URL %q is without encryption (OS_STORAGE_URL can give another)", u)
	}
	return u, nil
}

// loginError gives the errors of the library the form of other requests'.
func (s *session) loginError(err error) error {
	var failed *ncw.Error
	var network *url.Error
	switch {
	case errors.As(err, &network):
		return cause(err)
	case !errors.As(err, &failed):
		return err
	case s.logins.refusal != nil && s.logins.refusal.code == failed.StatusCode:
		return s.logins.refusal
	case failed.StatusCode == http.StatusRequestTimeout:
		return fmt.Errorf("%w: the service is silent", backends.ErrUnavailable)
	}
	return errors.New("the service's answer has no token, or no storage in this region")
}

// errRedirected is a service that is elsewhere.
var errRedirected = errors.New("the service redirects to another one")

// pinned sends requests to one origin only: those with a password in them
// follow no redirection elsewhere. It is for one request at a time, and keeps
// what the library loses: the service's words.
type pinned struct {
	http.RoundTripper
	origin  string
	refusal *statusError // the last one
}

func (p *pinned) RoundTrip(req *http.Request) (*http.Response, error) {
	if to := origin(req.URL); to != p.origin {
		return nil, fmt.Errorf("%w, %q: log in there, if that is right", errRedirected, to)
	}
	res, err := p.RoundTripper.RoundTrip(req)
	if err == nil && res.StatusCode/100 != 2 {
		p.refusal = newStatusError("logging in", res)
	}
	return res, err
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }
