package sftp

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tklbam/backends"
)

const (
	defaultPort = 22

	// maxHops bounds the servers on the way, so that configurations that
	// name each other come to an end.
	maxHops = 8

	// connectTime and loginTime bound how long a server may take to accept
	// a connection and then a login; OpenSSH's waits two minutes for the
	// latter. The time a user takes for an answer does not count.
	connectTime = 30 * time.Second
	loginTime   = time.Minute

	// aliveInterval is how long a connection may be silent before the
	// server is asked whether it is there, and aliveCount how many such
	// times pass before it counts as gone.
	aliveInterval = 15 * time.Second
	aliveCount    = 4
)

// An endpoint is a server to log in to: the target's, or one on the way.
type endpoint struct {
	env      Environment
	alias    string // as the address has it
	host     string
	port     int
	user     string
	password backends.Secret // of the address
	conf     settings
}

// resolve applies the configuration to what an address says, which precedes.
func resolve(env Environment, a backends.Address) (endpoint, error) {
	conf, err := parseConfig(env, configQuery{host: a.Host, user: a.User, localUser: env.User})
	if err != nil {
		return endpoint{}, err
	}
	e := endpoint{env: env, alias: a.Host, host: a.Host, port: a.Port, user: a.User, password: a.Password, conf: conf}
	if name := conf.get("hostname"); name != "" {
		e.host = strings.ToLower(expandTokens(name, map[byte]string{'h': a.Host}))
	}
	if e.port == 0 {
		if e.port, err = conf.number("port", defaultPort, 65535); err != nil {
			return endpoint{}, err
		}
	}
	for _, user := range []string{conf.get("user"), env.User} {
		if e.user == "" {
			e.user = user
		}
	}
	switch {
	case e.user == "":
		return endpoint{}, fmt.Errorf("the address names no user for %s", e.host)
	case isSet(conf.get("proxycommand")) && !isSet(conf.get("proxyjump")):
		return endpoint{}, fmt.Errorf("the configuration of %s has a ProxyCommand, which is not supported: ProxyJump is", e.alias)
	}
	return e, nil
}

// route returns the servers from the first to the one of an address.
func route(env Environment, a backends.Address) ([]endpoint, error) {
	var hops []endpoint
	for {
		e, err := resolve(env, a)
		if err != nil {
			return nil, err
		}
		hops = append([]endpoint{e}, hops...)
		jumps := e.conf.get("proxyjump")
		if !isSet(jumps) {
			return hops, nil
		}
		// Of a list, the last is the nearest to the server. Only the
		// first may itself have others before it.
		list := strings.Split(jumps, ",")
		for i := len(list) - 1; i > 0; i-- {
			e, err := resolveJump(env, list[i])
			if err != nil {
				return nil, err
			}
			hops = append([]endpoint{e}, hops...)
		}
		if a, err = parseJump(list[0]); err != nil {
			return nil, err
		}
		if len(hops) > maxHops {
			return nil, fmt.Errorf("the configuration leads over more than %d servers", maxHops)
		}
	}
}

func resolveJump(env Environment, text string) (endpoint, error) {
	a, err := parseJump(text)
	if err != nil {
		return endpoint{}, err
	}
	return resolve(env, a)
}

// parseJump parses [user@]host[:port] or an ssh:// address.
func parseJump(text string) (backends.Address, error) {
	text = strings.TrimPrefix(strings.TrimSpace(text), "ssh://")
	a, err := backends.ParseAddress("ssh://" + text)
	if err != nil {
		return a, fmt.Errorf("the configuration has a bad ProxyJump: %w", err)
	}
	return a, nil
}

// isSet reports whether a setting is there and not turned off.
func isSet(value string) bool { return value != "" && value != "none" }

// number returns a setting that is a whole number from 1, or fallback if it is
// not set.
func (s settings) number(keyword string, fallback, most int) (int, error) {
	text := s.get(keyword)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("the configuration has a bad number %q for %q", text, keyword)
	}
	return n, nil
}

// seconds is number for a time. What is 0 or in another form, such as "1m",
// counts as not set.
func (s settings) seconds(keyword string, fallback time.Duration) time.Duration {
	n, err := s.number(keyword, 0, 1<<20)
	if err != nil || n == 0 {
		return fallback
	}
	return time.Duration(n) * time.Second
}

// connectLimit and loginLimit return how long the server may take to accept a
// connection, and then a login.
func (e endpoint) connectLimit() time.Duration {
	return e.conf.seconds("connecttimeout", e.orStall(connectTime))
}

func (e endpoint) loginLimit() time.Duration {
	return max(e.orStall(loginTime), e.conf.seconds("connecttimeout", 0))
}

// orStall returns the stall timeout if it is set and shorter.
func (e endpoint) orStall(d time.Duration) time.Duration {
	if e.env.StallTimeout > 0 {
		return min(d, e.env.StallTimeout)
	}
	return d
}

// alive returns how long the server may be silent before it is asked whether
// it is there, and how many such times pass before it counts as gone.
func (e endpoint) alive() (interval time.Duration, count int, err error) {
	if count, err = e.conf.number("serveralivecountmax", aliveCount, 1<<20); err != nil {
		return 0, 0, err
	}
	interval = aliveInterval
	if e.env.StallTimeout > 0 {
		interval = e.env.StallTimeout / time.Duration(count+1)
	}
	return e.conf.seconds("serveraliveinterval", interval), count, nil
}

// network returns the address family to dial.
func (e endpoint) network() string {
	switch e.conf.get("addressfamily") {
	case "inet":
		return "tcp4"
	case "inet6":
		return "tcp6"
	}
	return "tcp"
}

// dialAddress returns host:port.
func (e endpoint) dialAddress() string { return net.JoinHostPort(e.host, strconv.Itoa(e.port)) }

// keyName returns the name that known_hosts has the server under.
func (e endpoint) keyName() string {
	switch alias := e.conf.get("hostkeyalias"); {
	case alias != "":
		return strings.ToLower(alias)
	case e.port != defaultPort:
		return fmt.Sprintf("[%s]:%d", e.host, e.port)
	}
	return e.host
}

// String names the login in messages.
func (e endpoint) String() string { return e.user + "@" + e.keyName() }

// expandPath resolves "~" and percent codes in the name of a file.
func (e endpoint) expandPath(path string) string {
	path = expandHome(path, e.env.HomeDir)
	return expandTokens(path, map[byte]string{
		'd': e.env.HomeDir, 'h': e.host, 'n': e.alias, 'r': e.user, 'u': e.env.User, 'p': strconv.Itoa(e.port),
	})
}

// files returns the paths a keyword names, or those of the fallback: names in
// a directory that may be unknown.
func (e endpoint) files(keyword, dir string, fallback ...string) []string {
	var paths []string
	if names, set := e.conf[keyword]; set {
		for _, name := range names {
			if name != "none" {
				paths = append(paths, e.expandPath(name))
			}
		}
		return paths
	}
	if dir == "" {
		return nil
	}
	for _, name := range fallback {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

// sshDir returns the directory of the user's keys, "" if it is not known.
func (e endpoint) sshDir() string {
	if e.env.HomeDir == "" {
		return ""
	}
	return filepath.Join(e.env.HomeDir, ".ssh")
}

// errNoAnswer is a server that takes too long.
var errNoAnswer = errors.New("no answer in time")
