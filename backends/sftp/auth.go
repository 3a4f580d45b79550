package sftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"tklbam/backends"
)

// attempts is how often a user may type a password or a passphrase.
const attempts = 3

// memory keeps answers of the user, so that a connection can be made again
// without asking. It is safe for concurrent use.
type memory struct {
	mu      sync.Mutex
	answers map[string]backends.Secret // by question
}

// A login is one attempt to log in to a server. It notes what it tries, for
// the message when nothing works.
type login struct {
	ctx    context.Context
	server endpoint
	memory *memory
	timer  *timer // stands while a user is asked
	tried  []string
	agent  net.Conn // nil without an agent

	passwords int // that the server did not take
}

// methods returns the ways to log in, in order. A password in the address is
// what the user means to be used; otherwise keys come first.
func (l *login) methods() []ssh.AuthMethod {
	keys := ssh.PublicKeysCallback(l.signers)
	if !l.hasPassword() {
		l.note("no password")
		return []ssh.AuthMethod{keys}
	}
	most := 1
	if l.server.env.Ask != nil {
		most = attempts
	}
	password := ssh.RetryableAuthMethod(ssh.PasswordCallback(l.password), most)
	interactive := ssh.RetryableAuthMethod(ssh.KeyboardInteractive(l.answer), most)
	if l.server.password.Reveal() != "" {
		return []ssh.AuthMethod{password, interactive, keys}
	}
	return []ssh.AuthMethod{keys, interactive, password}
}

func (l *login) note(what string) {
	if !slices.Contains(l.tried, what) {
		l.tried = append(l.tried, what)
	}
}

// close gives up the connection to the agent.
func (l *login) close() {
	if l.agent != nil {
		l.agent.Close()
	}
}

// known returns the password that address or environment have.
func (l *login) known() backends.Secret {
	if l.server.password.Reveal() != "" {
		return l.server.password
	}
	return l.server.env.Password
}

func (l *login) hasPassword() bool { return l.known().Reveal() != "" || l.server.env.Ask != nil }

// password returns the known password once, and what the user answers later.
func (l *login) password() (string, error) {
	l.note("password")
	l.passwords++
	if known := l.known().Reveal(); known != "" && l.passwords == 1 {
		return known, nil
	}
	answer, err := l.ask(fmt.Sprintf("Password of %s: ", l.server), l.passwords > 1)
	return answer.Reveal(), err
}

// answer answers the questions of keyboard-interactive. A server that asks for
// a password in this way, and no other, gets the known one.
func (l *login) answer(_, _ string, questions []string, echos []bool) ([]string, error) {
	var answers []string
	for i, question := range questions {
		isPassword := !echos[i] && strings.Contains(strings.ToLower(question), "password")
		if isPassword || len(questions) == 1 && !echos[i] && l.server.env.Ask == nil {
			password, err := l.password()
			if err != nil {
				return nil, err
			}
			answers = append(answers, password)
			continue
		}
		l.note("questions of the server")
		// Never a remembered answer: the question may be for a code that
		// is good only once.
		answer, err := l.ask(fmt.Sprintf("%s asks: %s", l.server, printable(question)), true)
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer.Reveal())
	}
	return answers, nil
}

// errNobody is a question that nobody is there to answer.
var errNobody = errors.New("there is nobody to ask")

// errPassphrase is a passphrase that does not open its key.
var errPassphrase = errors.New("wrong passphrase")

// ask returns the answer to a question: the one that the user gave before, if
// it is not to be a fresh one.
func (l *login) ask(question string, fresh bool) (backends.Secret, error) {
	l.memory.mu.Lock()
	defer l.memory.mu.Unlock()
	if answer, have := l.memory.answers[question]; have && !fresh {
		return answer, nil
	}
	if l.server.env.Ask == nil {
		return backends.Secret{}, errNobody
	}
	l.timer.stop()
	defer l.timer.start()
	answer, err := l.server.env.Ask(l.ctx, question)
	if err != nil {
		return backends.Secret{}, err
	}
	l.memory.answers[question] = answer
	return answer, nil
}

// decrypt is a decrypter: it tries the known password, as Duplicity does, and
// asks.
func (l *login) decrypt(path string, open func(backends.Secret) error) error {
	if known := l.known(); known.Reveal() != "" && open(known) == nil {
		return nil
	}
	if l.server.env.Ask == nil {
		l.note(fmt.Sprintf("key %q, which needs a passphrase", path))
		return errNobody
	}
	var err error
	for i := range attempts {
		answer, askErr := l.ask(fmt.Sprintf("Passphrase of key %q: ", path), i > 0)
		if askErr != nil {
			return askErr
		}
		if err = open(answer); err == nil {
			return nil
		}
	}
	l.note(fmt.Sprintf("key %q, whose passphrase is another", path))
	return fmt.Errorf("%w: %w", errPassphrase, err)
}

// signers returns the keys to offer: those of the agent that the configuration
// names, the agent's others, then files. With IdentitiesOnly the agent's
// others are left out, which servers that take few attempts need.
func (l *login) signers() ([]ssh.Signer, error) {
	held := l.agentKeys()
	var named, others, inFiles []ssh.Signer
	for _, key := range l.keyFiles() {
		i := slices.IndexFunc(held, func(s ssh.Signer) bool { return isSame(s.PublicKey(), key.public) })
		switch {
		case i >= 0:
			named = append(named, key.certs...)
			named = append(named, held[i])
			held = slices.Delete(held, i, i+1)
		case key.signer != nil:
			inFiles = append(inFiles, key.certs...)
			inFiles = append(inFiles, key.signer)
			l.note(fmt.Sprintf("key %q", key.path))
		default:
			l.note(fmt.Sprintf("key %q, which the agent does not have", key.path))
		}
	}
	if l.server.conf.get("identitiesonly") != "yes" {
		others = held
	}
	if n := len(named) + len(others); n > 0 {
		l.note(fmt.Sprintf("%d of the agent's keys", n))
	}
	return slices.Concat(named, others, inFiles), nil
}

func isSame(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

// keyFiles loads the identities that the configuration names, or those with
// the usual names. One that can't be used is noted.
func (l *login) keyFiles() []keyFile {
	paths := l.server.files("identityfile", l.server.sshDir(), "id_ed25519", "id_ecdsa", "id_rsa")
	_, chosen := l.server.conf["identityfile"]
	var keys []keyFile
	for _, path := range paths {
		key, err := loadKey(path, l.decrypt)
		if err == nil {
			keys = append(keys, key)
		} else if chosen || !errors.Is(err, fs.ErrNotExist) {
			l.note(fmt.Sprintf("key %q, which can't be used: %v", path, err))
		}
	}
	return keys
}

// agentKeys returns the keys that the agent holds. That it does not answer is
// noted.
func (l *login) agentKeys() []ssh.Signer {
	socket := l.agentSocket()
	if socket == "" {
		return nil
	}
	var d net.Dialer
	conn, err := d.DialContext(l.ctx, "unix", socket)
	if err != nil {
		l.note(fmt.Sprintf("agent, which can't be reached: %v", err))
		return nil
	}
	l.close()
	l.agent = conn
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		l.note(fmt.Sprintf("agent, which gives no keys: %v", err))
		return nil
	}
	return signers
}

func (l *login) agentSocket() string {
	switch set := l.server.conf.get("identityagent"); set {
	case "", "SSH_AUTH_SOCK":
		return l.server.env.AgentSocket
	case "none":
		return ""
	default:
		return l.server.expandPath(set)
	}
}

// denied describes a login that the server does not accept.
func (l *login) denied(err error) error {
	tried := strings.Join(l.tried, ", ")
	if strings.Contains(err.Error(), "Too many authentication failures") {
		return fmt.Errorf("log in as %s: %w: too many keys were offered (%s): choose one with IdentityFile and IdentitiesOnly in ~/.ssh/config", l.server, fs.ErrPermission, tried)
	}
	return fmt.Errorf("log in as %s: %w (tried: %s)", l.server, fs.ErrPermission, tried)
}

// isDenied reports whether the error of a handshake is about the login.
func isDenied(err error) bool {
	text := err.Error()
	return strings.Contains(text, "unable to authenticate") || strings.Contains(text, "Too many authentication failures") ||
		strings.Contains(text, "too many authentication attempts") || errors.Is(err, errNobody) || errors.Is(err, errPassphrase)
}
