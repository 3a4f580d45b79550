package sftp_test

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	sftplib "github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
)

func TestHostKeys(t *testing.T) {
	t.Parallel()
	s := startServer(t, servers.WithSFTP)
	rsaPath := filepath.Join(s.Dir, "host_rsa")
	if out, err := exec.Command(servers.Needs(t, "ssh-keygen"), "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", rsaPath).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	s.Own(t, rsaPath)
	s.Write(t, "sshd_config", "HostKey "+rsaPath+"\n"+string(readFile(t, filepath.Join(s.Dir, "sshd_config"))))
	rsa, _, _, _, err := ssh.ParseAuthorizedKey(readFile(t, rsaPath+".pub"))
	if err != nil {
		t.Fatal(err)
	}
	_, other := servers.NewKey(t)
	line := func(key ssh.PublicKey) string { return knownhosts.Line([]string{s.Addr}, key) + "\n" }
	hashed := func(key ssh.PublicKey) string {
		return knownhosts.HashHostname(knownhosts.Normalize(s.Addr)) + " " + string(ssh.MarshalAuthorizedKey(key))
	}
	theirs := ssh.FingerprintSHA256(s.HostKey)
	c := newClient(t, s)
	file := filepath.Join(c.home, ".ssh/known_hosts")
	tests := []struct {
		name, known, config string
		want                []string // parts of the error
	}{
		{"Known", line(s.HostKey), "", nil},
		{"Hashed", "\n" + hashed(s.HostKey), "", nil},
		{"OnlyRSAKnown", line(rsa), "", nil},
		{"OnlyRSAHashed", hashed(rsa), "", nil},
		{"TwoKnown", line(other) + line(s.HostKey), "", nil},
		{"UnknownLines", s.Addr + " ssh-new AAAA\nrubbish\n" + line(s.HostKey), "", nil},
		{"Unknown", "", "", []string{"is not known", theirs, "ssh-keyscan -t ed25519 -p ", file}},
		{"UnknownNo", "", "StrictHostKeyChecking no", []string{"is not known", theirs}},
		{"Changed", line(other), "", []string{"has changed", theirs, ssh.FingerprintSHA256(other), "line 1", "ssh-keygen -f " + file + " -R '[127.0.0.1]:"}},
		{"ChangedNo", line(other), "StrictHostKeyChecking no", []string{"has changed"}},
		{"ChangedAccept", line(other), "StrictHostKeyChecking accept-new", []string{"has changed"}},
		{"Revoked", line(s.HostKey) + "@revoked * " + string(ssh.MarshalAuthorizedKey(s.HostKey)), "", []string{"is revoked", "line 2"}},
		{"OtherPort", "127.0.0.1 " + string(ssh.MarshalAuthorizedKey(s.HostKey)), "", []string{"is not known"}},
		{"Alias", "there " + string(ssh.MarshalAuthorizedKey(s.HostKey)), "HostKeyAlias there", nil},
		{"AcceptNew", "", "StrictHostKeyChecking accept-new", nil},
		{"OtherFile", "", "UserKnownHostsFile ~/.ssh/others", []string{"is not known", "others"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c.write(t, "known_hosts", test.known)
			c.write(t, "config", test.config+"\n")
			b, err := c.try(t, "sftp://"+s.Addr+"/"+s.Dir, backends.Options{})
			if err == nil {
				b.Close()
			}
			if (err == nil) != (test.want == nil) {
				t.Fatalf("error is %v", err)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not tell %q", err, part)
				}
			}
			if errors.Is(err, backends.ErrUnavailable) {
				t.Errorf("error %v looks as if it would pass", err)
			}
			if test.name == "AcceptNew" {
				c.write(t, "config", "")
				c.open(t, s.Addr, s.Dir)
			}
		})
	}
}

// TestHostCertificate knows only who signs the server's key.
func TestHostCertificate(t *testing.T) {
	t.Parallel()
	s := startServer(t, servers.WithSFTP)
	authority, public := servers.NewKey(t)
	signer, err := ssh.NewSignerFromKey(authority)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, s)
	config := string(readFile(t, filepath.Join(s.Dir, "sshd_config")))
	for name, works := range map[string]bool{"127.0.0.1": true, "elsewhere": false} {
		cert := &ssh.Certificate{Key: s.HostKey, CertType: ssh.HostCert, ValidPrincipals: []string{name}, ValidBefore: ssh.CertTimeInfinity}
		if err := cert.SignCert(rand.Reader, signer); err != nil {
			t.Fatal(err)
		}
		s.Write(t, "cert.pub", string(ssh.MarshalAuthorizedKey(cert)))
		s.Write(t, "sshd_config", "HostCertificate "+s.Dir+"/cert.pub\n"+config)
		c.write(t, "known_hosts", "@cert-authority [127.0.0.1]:* "+string(ssh.MarshalAuthorizedKey(public)))
		b, err := c.try(t, "sftp://"+s.Addr+"/"+s.Dir, backends.Options{})
		if err == nil {
			b.Close()
		}
		if works != (err == nil) {
			t.Errorf("a certificate for %s: %v", name, err)
		}
	}
}

// TestJump goes over two servers to a third, all of which are the same.
func TestJump(t *testing.T) {
	t.Parallel()
	for kind, lines := range map[string][]string{"sftp": {servers.WithSFTP}, "shell": nil} {
		s := startServer(t, lines...)
		c := newClient(t, s)
		host, port, err := net.SplitHostPort(s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		c.write(t, "config", fmt.Sprintf("Host gate mid inner\n HostName %s\n Port %s\nHost inner\n ProxyJump gate,%s@mid\n", host, port, s.User))
		dir := s.Mkdir(t)
		b, err := c.try(t, "scp://inner/"+dir, backends.Options{})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		content := random(3 << 20)
		put(t, b, "name", content)
		if conns := s.Conns(); conns != 3 {
			t.Errorf("%s: the server has %d connections, want 3", kind, conns)
		}
		s.Cut()
		wantContent(t, b, "name", content)
		if err := b.Close(); err != nil {
			t.Errorf("%s: Close: %v", kind, err)
		}
		c.write(t, "config", fmt.Sprintf("Host gate\n HostName %s\n Port %s\nHost inner\n HostName 127.0.0.1\n Port 1\n ProxyJump gate\n", host, port))
		if err := c.tryError(t, "sftp://inner/x"); !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("%s: a closed port behind a server: %v", kind, err)
		}
	}
}

// newAnswers returns an Ask that gives one answer after the other, and what
// it was asked.
func newAnswers(answers ...string) (func(context.Context, string) (backends.Secret, error), *[]string) {
	var asked []string
	return func(_ context.Context, question string) (backends.Secret, error) {
		asked = append(asked, question)
		if len(answers) == 0 {
			return backends.Secret{}, errors.New("no more answers")
		}
		answer := answers[0]
		answers = answers[1:]
		return backends.NewSecret(answer), nil
	}, &asked
}

func TestKeys(t *testing.T) {
	t.Parallel()
	s := startServer(t, servers.WithSFTP, "MaxAuthTries 3")
	c := newClient(t, s)
	key, public := servers.NewKey(t)
	s.Write(t, "authorized_keys", string(ssh.MarshalAuthorizedKey(public)))
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, "id_ed25519", string(pem.EncodeToMemory(block)))
	address := "sftp://" + s.Addr + "/" + s.Dir

	if err := c.tryError(t, address); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "needs a passphrase") {
		t.Errorf("without a passphrase: %v", err)
	}
	var asked *[]string
	c.env.Ask, asked = newAnswers("wrong", "correct horse")
	b, err := c.try(t, address, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Cut()
	wantContent(t, b, "sshd_config", readFile(t, filepath.Join(s.Dir, "sshd_config")))
	b.Close()
	if len(*asked) != 2 {
		t.Errorf("the user was asked %q, want the passphrase twice, and not again for a second connection", *asked)
	}
	c.env.Ask, _ = newAnswers("no", "nothing", "never")
	if err := c.tryError(t, address); err == nil || !strings.Contains(err.Error(), "whose passphrase is another") {
		t.Errorf("with wrong passphrases: %v", err)
	}
	c.env.Ask = nil
	c.env.Password = backends.NewSecret("correct horse")
	c.open(t, s.Addr, s.Dir)
	c.env.Password = backends.Secret{}

	// An agent with more keys than the server lets one try: the file says
	// which is meant.
	keys := agent.NewKeyring()
	for range 5 {
		other, _ := servers.NewKey(t)
		if err := keys.Add(agent.AddedKey{PrivateKey: other}); err != nil {
			t.Fatal(err)
		}
	}
	c.env.AgentSocket = serveAgent(t, keys)
	c.write(t, "id_ed25519", "")
	if err := os.Remove(filepath.Join(c.home, ".ssh/id_ed25519")); err != nil {
		t.Fatal(err)
	}
	if err := c.tryError(t, address); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "IdentitiesOnly") {
		t.Errorf("too many keys: %v", err)
	}
	if err := keys.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	c.write(t, "id_ed25519.pub", string(ssh.MarshalAuthorizedKey(public)))
	c.open(t, s.Addr, s.Dir)
	c.write(t, "config", "IdentitiesOnly yes\nIdentityFile ~/.ssh/absent\n")
	if err := c.tryError(t, address); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "absent") {
		t.Errorf("without any key: %v", err)
	}
	c.write(t, "config", "IdentityFile ~/.ssh/id_ed25519.pub\nIdentitiesOnly yes\n")
	c.open(t, s.Addr, s.Dir)
	c.write(t, "config", "IdentityAgent none\n")
	if err := c.tryError(t, address); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("without the agent: %v", err)
	}
}

func serveAgent(t *testing.T, keys agent.Agent) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go acceptAll(l, func(conn net.Conn) {
		agent.ServeAgent(keys, conn)
		conn.Close()
	})
	return path
}

// TestPasswords logs in to a server of our own, since a password needs the
// right to read the system's.
func TestPasswords(t *testing.T) {
	t.Parallel()
	const password = "correct horse"
	plain := func(config *ssh.ServerConfig) {
		config.PasswordCallback = func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
			if string(p) == password {
				return nil, nil
			}
			return nil, errors.New("wrong")
		}
	}
	interactive := func(questions ...string) func(*ssh.ServerConfig) {
		return func(config *ssh.ServerConfig) {
			config.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				answers, err := ask("", "", questions, make([]bool, len(questions)))
				if err != nil || len(answers) == 0 || answers[0] != password || len(answers) > 1 && answers[1] != "123" {
					return nil, errors.New("wrong")
				}
				return nil, nil
			}
		}
	}
	tests := []struct {
		name    string
		server  func(*ssh.ServerConfig)
		address string // user and password
		env     string
		answers []string
		asked   int
		denied  bool
	}{
		{name: "Address", server: plain, address: "u:correct%20horse@"},
		{name: "Environment", server: plain, address: "u@", env: password},
		{name: "Asked", server: plain, address: "u@", answers: []string{"no", password}, asked: 2},
		{name: "WrongThenAsked", server: plain, address: "u:bad-secret@", answers: []string{password}, asked: 1},
		{name: "Wrong", server: plain, address: "u:bad-secret@", denied: true},
		{name: "WrongEnvironment", server: plain, address: "u@", env: "bad-secret", denied: true},
		{name: "None", server: plain, address: "u@", denied: true},
		{name: "WrongAnswers", server: plain, address: "u@", answers: []string{"bad-secret", "bad-secret", "bad-secret"}, asked: 3, denied: true},
		{name: "Interactive", server: interactive("Password: "), address: "u:correct%20horse@"},
		{name: "InteractiveOtherWord", server: interactive("Passwort: "), address: "u@", env: password},
		{name: "InteractiveAsked", server: interactive("Password: "), address: "u@", answers: []string{password}, asked: 1},
		{name: "TwoFactors", server: interactive("Password: ", "Code:\x1b[2J "), address: "u@", env: password, answers: []string{"123"}, asked: 1},
		{name: "TwoFactorsNobody", server: interactive("Password: ", "Code: "), address: "u@", env: password, denied: true},
		{name: "InteractiveWrong", server: interactive("Password: "), address: "u:bad-secret@", denied: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			addr, key := startOwn(t, test.server)
			c := &client{home: t.TempDir()}
			c.env.HomeDir = c.home
			c.env.Password = backends.NewSecret(test.env)
			c.trust(t, addr, key)
			asked := new([]string)
			if test.answers != nil {
				c.env.Ask, asked = newAnswers(test.answers...)
			}
			b, err := c.try(t, "sftp://"+test.address+addr+"/"+t.TempDir(), backends.Options{})
			if err == nil {
				put(t, b, "name", []byte("data"))
				b.Close()
			}
			if test.denied != errors.Is(err, fs.ErrPermission) || test.denied != (err != nil) {
				t.Errorf("error is %v", err)
			}
			if text := fmt.Sprint(err, *asked); strings.Contains(text, "secret") || strings.Contains(text, "horse") || strings.Contains(text, "\x1b") {
				t.Errorf("the texts show what they should not: %q", text)
			}
			if len(*asked) != test.asked {
				t.Errorf("the user was asked %q, want %d questions", *asked, test.asked)
			}
		})
	}
}

// startOwn starts an SSH server with pkg/sftp's.
func startOwn(t *testing.T, configure func(*ssh.ServerConfig)) (addr string, hostKey ssh.PublicKey) {
	t.Helper()
	l := listenLoopback(t)
	return l.Addr().String(), serveAt(t, l, configure)
}

// serveAt has the server take connections of a listener.
func serveAt(t *testing.T, l net.Listener, configure func(*ssh.ServerConfig)) (hostKey ssh.PublicKey) {
	t.Helper()
	key, public := servers.NewKey(t)
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{}
	config.AddHostKey(signer)
	configure(config)
	go acceptAll(l, func(conn net.Conn) { serveOwn(conn, config) })
	return public
}

func serveOwn(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for newChannel := range channels {
		channel, requests, err := newChannel.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				r.Reply(r.Type == "subsystem", nil)
			}
		}()
		go func() {
			server, err := sftplib.NewServer(channel)
			if err == nil {
				server.Serve()
			}
			channel.Close()
		}()
	}
}

// TestNoService logs in to a server that gives neither SFTP nor a shell, and
// to one whose login scripts print.
func TestNoService(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to give the server's user another shell")
	}
	for script, want := range map[string]string{
		"echo This account is not available.; exit 1": "start a shell instead",
		`echo Welcome; exec sh "$@"`:                  `login scripts must print nothing`,
	} {
		s := startServer(t)
		path := filepath.Join(s.Dir, "shell")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		passwd := string(readFile(t, filepath.Join(s.Dir, "passwd")))
		s.Write(t, "passwd", strings.Replace(passwd, s.Dir+":/bin/sh", s.Dir+":"+path, 1))
		err := newClient(t, s).tryError(t, "sftp://"+s.Addr+"/"+s.Dir)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}
