package webdav

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io/fs"
	"net/http"
	"strings"
	"sync"

	"tklbam/backends"
)

// authenticator answers a server's challenges: Basic (RFC 7617) and Digest
// (RFC 7616, and RFC 2069 without qop).
type authenticator struct {
	user     string
	password backends.Secret

	mu    sync.Mutex
	known *challenge // the latest, nil before the first
	count uint32     // of requests with its nonce
}

// A challenge is what a server wants to see a password by. It does not change.
type challenge struct {
	newHash func() hash.Hash // nil for Basic
	session bool             // algorithm with -sess
	qop     bool             // quality of protection "auth"
	stale   bool             // the credentials were right, the nonce too old

	algorithm, realm, nonce, opaque string // as the server writes them
}

// current returns the challenge to answer unasked, nil for none.
func (a *authenticator) current() *challenge {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known
}

// learn takes the challenges of an answer to a request that used one, or none.
// It reports whether the request may succeed with what it learned; asked says
// that one challenge was learned for it before.
func (a *authenticator) learn(used *challenge, asked bool, h http.Header) (again bool, err error) {
	if a.user == "" && a.password.Reveal() == "" {
		return false, nil
	}
	next := strongest(parseChallenges(h.Values("WWW-Authenticate")))
	if next == nil {
		return false, fmt.Errorf("%w: the server asks for an authentication that is neither Basic nor Digest", fs.ErrPermission)
	}
	refused := used != nil && (asked && !next.stale || used.newHash == nil)
	if refused || used != nil && used.newHash != nil && next.newHash == nil {
		return false, nil // nor is the password given in clear to who has seen a digest of it
	}
	if used != nil && asked && used.nonce == next.nonce {
		return false, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known, a.count = next, 0
	return true, nil
}

// follow changes to the nonce that the server wants for the next request.
func (a *authenticator) follow(used *challenge, h http.Header) {
	nonce := parseParams(h.Get("Authentication-Info"))["nextnonce"]
	a.mu.Lock()
	defer a.mu.Unlock()
	if nonce == "" || a.known != used || nonce == used.nonce {
		return
	}
	next := *used
	next.nonce = nonce
	a.known, a.count = &next, 0
}

// header returns the value of Authorization for a request.
func (a *authenticator) header(c *challenge, method, uri string) string {
	if c.newHash == nil {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(a.user+":"+a.password.Reveal()))
	}
	return a.digest(c, method, uri, rand.Text(), a.next(c))
}

// next counts a request with a challenge's nonce.
func (a *authenticator) next(c *challenge) uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known != c {
		return 1 // of a challenge another request has replaced: the server will ask anew
	}
	a.count++
	return a.count
}

// digest returns the value of Authorization by RFC 7616, section 3.4.
func (a *authenticator) digest(c *challenge, method, uri, cnonce string, count uint32) string {
	sum := func(parts ...string) string {
		h := c.newHash()
		h.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(h.Sum(nil))
	}
	secret := sum(a.user, c.realm, a.password.Reveal())
	if c.session {
		secret = sum(secret, c.nonce, cnonce)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Digest username=%s, realm=%s, nonce=%s, uri=%s", quoted(a.user), quoted(c.realm), quoted(c.nonce), quoted(uri))
	if c.algorithm != "" {
		fmt.Fprintf(&b, ", algorithm=%s", c.algorithm)
	}
	if c.opaque != "" {
		fmt.Fprintf(&b, ", opaque=%s", quoted(c.opaque))
	}
	if c.qop || c.session {
		fmt.Fprintf(&b, ", cnonce=%s", quoted(cnonce))
	}
	if c.qop {
		nc := fmt.Sprintf("%08x", count)
		fmt.Fprintf(&b, ", qop=auth, nc=%s, response=%s", nc, quoted(sum(secret, c.nonce, nc, cnonce, "auth", sum(method, uri))))
	} else {
		fmt.Fprintf(&b, ", response=%s", quoted(sum(secret, c.nonce, sum(method, uri))))
	}
	return b.String()
}

// quoted writes a quoted-string of HTTP.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// strongest returns the challenge to answer: the servers' order counts for
// nothing, as Basic shows the password.
func strongest(all []*challenge) (best *challenge) {
	for _, c := range all {
		if best == nil || c.strength() > best.strength() {
			best = c
		}
	}
	return best
}

func (c *challenge) strength() int {
	if c.newHash == nil {
		return 0
	}
	return c.newHash().Size()
}

// parseChallenges returns the challenges that can be answered, of all values
// of WWW-Authenticate. A value may hold several, separated like their
// parameters by commas.
func parseChallenges(values []string) (all []*challenge) {
	for _, value := range values {
		for _, one := range splitChallenges(value) {
			scheme, params, _ := strings.Cut(one, " ")
			if c := newChallenge(strings.ToLower(scheme), parseParams(params)); c != nil {
				all = append(all, c)
			}
		}
	}
	return all
}

// newChallenge returns nil for a challenge that cannot be answered.
func newChallenge(scheme string, params map[string]string) *challenge {
	c := &challenge{
		algorithm: params["algorithm"], realm: params["realm"], nonce: params["nonce"], opaque: params["opaque"],
		stale: strings.EqualFold(params["stale"], "true"),
	}
	if scheme == "basic" {
		return c
	}
	if scheme != "digest" || !isToken(c.algorithm) {
		return nil
	}
	algorithm, session := strings.CutSuffix(strings.ToLower(c.algorithm), "-sess")
	c.session = session
	switch algorithm {
	case "", "md5":
		c.newHash = md5.New
	case "sha-256":
		c.newHash = sha256.New
	default:
		return nil
	}
	for one := range strings.SplitSeq(params["qop"], ",") {
		c.qop = c.qop || strings.EqualFold(strings.TrimSpace(one), "auth")
	}
	if params["qop"] != "" && !c.qop {
		return nil // auth-int needs a digest of the body before it is sent
	}
	return c
}

// isToken reports whether a text can stand in a header without quotes.
func isToken(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return r > 0x7e || r != '-' && r != '_' && !isUnreserved(byte(r))
	}) < 0
}

// splitChallenges cuts a value before each scheme: a first word with a space
// behind it and no "=".
func splitChallenges(value string) (all []string) {
	for _, item := range splitList(value) {
		word, _, hasSpace := strings.Cut(item, " ")
		if len(all) == 0 || hasSpace && !strings.Contains(word, "=") || !hasSpace && !strings.Contains(item, "=") {
			all = append(all, item)
		} else {
			all[len(all)-1] += ", " + item
		}
	}
	return all
}

// splitList cuts a value at the commas that are in no quoted-string, and trims
// the items.
func splitList(value string) (items []string) {
	inQuotes, escaped, start := false, false, 0
	add := func(item string) {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	for i := range len(value) {
		c := value[i]
		switch {
		case escaped:
			escaped = false
		case inQuotes && c == '\\':
			escaped = true
		case c == '"':
			inQuotes = !inQuotes
		case c == ',' && !inQuotes:
			add(value[start:i])
			start = i + 1
		}
	}
	add(value[start:])
	return items
}

// parseParams returns the parameters of a challenge by their names in lower
// case; of a repeated one, the first.
func parseParams(text string) map[string]string {
	params := make(map[string]string)
	for _, item := range splitList(text) {
		name, value, _ := strings.Cut(item, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := params[name]; !twice {
			params[name] = unquote(strings.TrimSpace(value))
		}
	}
	return params
}

// unquote returns the text of a token or quoted-string.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
