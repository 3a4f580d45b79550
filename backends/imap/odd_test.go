package imap_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"strings"
	"testing"

	protocol "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"tklbam/backends"
	"tklbam/backends/backendtest/servers"
	"tklbam/backends/imap"
)

// mailClient is a user's own, in a mailbox.
func (s *server) mailClient(t *testing.T, mailbox string) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialInsecure(fmt.Sprintf("%s:%d", s.Host, s.Port), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Login(testUser, testPassword).Wait(); err != nil {
		t.Fatal(err)
	}
	_, err = c.Select(mailbox, nil).Wait()
	if err := errors.Join(err, c.Noop().Wait()); err != nil {
		t.Fatal(err)
	}
	return c
}

func appendMail(t *testing.T, c *imapclient.Client, text string, flags ...protocol.Flag) {
	t.Helper()
	text = strings.ReplaceAll(text, "\n", "\r\n")
	cmd := c.Append(c.Mailbox().Name, int64(len(text)), &protocol.AppendOptions{Flags: flags})
	_, err := io.WriteString(cmd, text)
	if err := errors.Join(err, cmd.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, c *imapclient.Client) uint32 {
	t.Helper()
	if err := c.Noop().Wait(); err != nil {
		t.Fatal(err)
	}
	return c.Mailbox().NumMessages
}

func writing(content string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}
}

func wantFiles(t *testing.T, b backends.Backend, want map[string]string) {
	t.Helper()
	if got := files(t, b); !maps.Equal(got, want) {
		t.Errorf("the target has %.300q, want %.300q", got, want)
	}
}

const quotaConfig = `
mail_plugins = quota
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=1M
  quota_grace = 0
}
`

func TestNoSpace(t *testing.T) {
	t.Parallel()
	b := dovecot(t, setup{Config: quotaConfig}).open(t, "imap", "full")
	putText(t, b, "name", "data")
	if err := b.Put(t.Context(), "name", writing(strings.Repeat("x", 2<<20))); !errors.Is(err, backends.ErrNoSpace) {
		t.Errorf("Put over the quota: %v", err)
	}
	wantFiles(t, b, map[string]string{"name": "data"})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	s := dovecot(t, setup{})
	env := s.env
	env.Password = backends.NewSecret("another secret")
	_, err := tryOpen(t.Context(), env, s.address("imaps", "x"), backends.Options{Create: true})
	if !errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "another secret") {
		t.Errorf("with a wrong password: %v", err)
	}
	env = s.env
	env.CAFile = ""
	_, err = tryOpen(t.Context(), env, s.address("imaps", "x"), backends.Options{Create: true})
	if err == nil || errors.Is(err, backends.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with a certificate that nothing trusts: %v", err)
	}
	_, err = tryOpen(t.Context(), s.env, s.address("imaps", "absent"), backends.Options{})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent mailbox: %v", err)
	}
	_, err = tryOpen(t.Context(), s.env, fmt.Sprintf("imap://u@127.0.0.1:%d/x", servers.FreePort(t)), backends.Options{})
	if !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("a port where nothing listens: %v", err)
	}
}

// The client's address is another than the server's, so that to Dovecot it
// comes over a network.
func TestStartTLS(t *testing.T) {
	t.Parallel()
	s := dovecot(t, setup{IP: "127.0.53.1", Config: "ssl = required\ndisable_plaintext_auth = yes\n"})
	b := s.open(t, "imap", "x")
	putText(t, b, "name", "data")
	wantFiles(t, b, map[string]string{"name": "data"})
	env := s.env
	env.CAFile = ""
	if _, err := tryOpen(t.Context(), env, s.address("imap", "x"), backends.Options{}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("STARTTLS with a certificate that nothing trusts: %v", err)
	}
}

// networkIP returns an address of this machine that is none of loopback.
func networkIP(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}

func TestNoPasswordInClear(t *testing.T) {
	t.Parallel()
	s := dovecot(t, setup{IP: networkIP(t), Config: "ssl = no\n"})
	_, err := tryOpen(t.Context(), s.env, s.address("imap", "x"), backends.Options{Create: true})
	if err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Fatalf("a server without TLS over a network: %v", err)
	}
	if log, err := os.ReadFile(s.Dir + "/log"); err != nil || strings.Contains(string(log), "Login:") {
		t.Errorf("the server saw a login, or %v", err)
	}
	s.env.Insecure = true
	putText(t, s.open(t, "imap", "x"), "name", "data")
}

const otherMail = "From: somebody@mail.example\nSubject: name\n\nHello\n"

// A mailbox with mail of somebody else's, some of it marked as deleted.
func TestOthersMail(t *testing.T) {
	t.Parallel()
	for name, special := range map[string]setup{
		"UIDPLUS": {}, "none": {Config: "imap_capability = IMAP4rev1 LITERAL+\n"}, "Maildir": {Mail: "maildir:~/Maildir"},
	} {
		t.Run(name, func(t *testing.T) {
			s := dovecot(t, special)
			b := s.open(t, "imap", "")
			c := s.mailClient(t, "INBOX")
			appendMail(t, c, otherMail)
			wantFiles(t, b, map[string]string{})
			putText(t, b, "name", "old")
			putText(t, b, "name", "data")
			if n := count(t, c); n != 2 {
				t.Errorf("%d mails after a replacement, want 2", n)
			}
			appendMail(t, c, otherMail, protocol.FlagDeleted)
			putText(t, b, "name", "new")
			putText(t, b, "gone", "data")
			if err := b.Delete(t.Context(), "gone"); err != nil {
				t.Error(err)
			}
			wantFiles(t, b, map[string]string{"name": "new"})
			if err := b.Delete(t.Context(), "name"); err != nil {
				t.Error(err)
			}
			wantFiles(t, b, map[string]string{})
			others, err := c.Search(&protocol.SearchCriteria{Header: []protocol.SearchCriteriaHeaderField{{Key: "From", Value: "somebody"}}}, nil).Wait()
			if err != nil || len(others.AllSeqNums()) != 2 {
				t.Errorf("others have %d mails, %v; they had 2", len(others.AllSeqNums()), err)
			}
		})
	}
}

// fileMail is a file as no known program writes it.
const fileMail = "Subject: name\nFrom: box\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n" +
	"--b\nContent-Type: application/binary\nContent-Transfer-Encoding: base64\n\n%s\n--b--\n"

func TestDuplicates(t *testing.T) {
	t.Parallel()
	s := dovecot(t, setup{})
	b := s.open(t, "imap", "box")
	c := s.mailClient(t, "box")
	appendMail(t, c, fmt.Sprintf(fileMail, "b2xk"))
	appendMail(t, c, fmt.Sprintf(fileMail, "ZG\nF0YQ\n=="))
	wantFiles(t, b, map[string]string{"name": "data"})
	putText(t, b, "name", "new")
	wantFiles(t, b, map[string]string{"name": "new"})
	if n := count(t, c); n != 1 {
		t.Errorf("%d mails after a replacement, want 1", n)
	}
	appendMail(t, c, fmt.Sprintf(fileMail, "!"))
	if r, err := b.Open(t.Context(), "name"); err == nil {
		_, err = io.ReadAll(r)
		if err == nil || errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("a damaged mail gives %v", err)
		}
	}
}

func TestTooBig(t *testing.T) {
	t.Parallel()
	b := dovecot(t, setup{Config: "imap_capability = +APPENDLIMIT=100000\n"}).open(t, "imap", "x")
	putText(t, b, "small", "data")
	err := b.Put(t.Context(), "big", writing(strings.Repeat("x", 100_000)))
	if err == nil || !strings.Contains(err.Error(), "smaller volume size") || errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("Put over the limit: %v", err)
	}
	wantFiles(t, b, map[string]string{"small": "data"})
}

func TestNamespace(t *testing.T) {
	t.Parallel()
	s := dovecot(t, setup{Config: "namespace inbox {\n  prefix = INBOX.\n  separator = .\n}\n"})
	b := s.open(t, "imap", "sub/dir")
	putText(t, b, "name", "data")
	wantFiles(t, s.open(t, "imap", "INBOX/sub/dir"), map[string]string{}) // another sender
	if n := count(t, s.mailClient(t, "INBOX.sub.dir")); n != 1 {
		t.Errorf("%d mails in the mailbox, want 1", n)
	}
}

func TestSharedMailbox(t *testing.T) {
	t.Parallel()
	s := dovecot(t, setup{User: "u@127.0.0.1"})
	s.env.Mailbox, s.env.FullAddress = "shared", true
	opened := make(map[string]backends.Backend)
	for _, path := range []string{"one", "on", "two words"} {
		address := fmt.Sprintf("imap://u@127.0.0.1:%d/%s", s.Port, strings.ReplaceAll(path, " ", "%20"))
		b, err := tryOpen(t.Context(), s.env, address, backends.Options{Create: true})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		opened[path] = b
		putText(t, b, "name", path)
	}
	for path, b := range opened {
		wantFiles(t, b, map[string]string{"name": path})
	}
}

// A proxy ends connections when they have carried so many bytes in a direction.
type proxy struct {
	address            string
	toServer, toClient int64
}

// proxy returns the server behind one.
func (s *server) proxy(t *testing.T, p proxy) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p.address = fmt.Sprintf("%s:%d", s.Host, s.Port)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(client)
		}
	}()
	far := *s.IMAPServer
	far.Port = l.Addr().(*net.TCPAddr).Port
	return &server{&far, s.env}
}

func (p *proxy) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.address)
	if err != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{}, 2)
	go func() { io.CopyN(server, client, p.toServer); done <- struct{}{} }()
	go func() { io.CopyN(client, server, p.toClient); done <- struct{}{} }()
	<-done
}

// A reader goes on where a connection is cut, as long as that helps.
func TestReaderResumes(t *testing.T) {
	t.Parallel()
	s := dovecot(t, setup{})
	want := strings.Repeat("0123456789abcdef", 4<<16)
	putText(t, s.open(t, "imap", "x"), "name", want)
	cut := s.proxy(t, proxy{toServer: 1 << 40, toClient: 1 << 20})
	if got := readAll(t, cut.open(t, "imap", "x"), "name"); got != want {
		t.Errorf("%d bytes read that are not the %d stored", len(got), len(want))
	}
}

// A Put through connections that are cut anywhere fails, and leaves the old
// content, or, where only the answer was lost, the new one.
func TestPutCut(t *testing.T) {
	t.Parallel()
	s := dovecot(t, setup{})
	direct := s.open(t, "imap", "x")
	content := strings.Repeat("x", 10_000)
	complete := false
	for n := int64(200); n < 1<<20 && !complete; n += n / 3 {
		putText(t, direct, "name", "old")
		cut := s.proxy(t, proxy{toServer: n, toClient: 1 << 40})
		b, err := tryOpen(t.Context(), cut.env, cut.address("imap", "x"), backends.Options{})
		if err == nil {
			err = b.Put(t.Context(), "name", writing(content))
			complete = err == nil
			b.Close()
		}
		if err != nil && !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
		got := readAll(t, direct, "name")
		if got != content && (complete || got != "old") {
			t.Errorf("cut after %d bytes: %d bytes stored, error %v", n, len(got), err)
		}
	}
	if !complete {
		t.Error("no Put came through")
	}
}

// A backend outlives its connections.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	s := dovecot(t, setup{})
	b := s.open(t, "imap", "x")
	putText(t, b, "name", "data")
	s.Kick(t)
	wantFiles(t, b, map[string]string{"name": "data"})
	s.Kick(t)
	putText(t, b, "name", "new")
	wantFiles(t, b, map[string]string{"name": "new"})
}

// Without a user there is nobody whose mail it could be.
func TestNoUser(t *testing.T) {
	if _, err := tryOpen(t.Context(), imap.Environment{}, "imap://mail.example/x", backends.Options{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("without a user: %v", err)
	}
}
