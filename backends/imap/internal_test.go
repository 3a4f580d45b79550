package imap

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"
	"testing"
	"time"

	protocol "github.com/emersion/go-imap/v2"
	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/textproto"

	"tklbam/backends"
)

func TestMessage(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 100_000} {
		content := bytes.Repeat([]byte{0xfe}, n)
		m := newMessage("from ü", `na"me ü`, int64(n), time.Unix(0, 0))
		want, err := m.length()
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if err := m.write(&text, bytes.NewReader(content)); err != nil || int64(text.Len()) != want {
			t.Errorf("a content of %d bytes makes %d, %v; length says %d", n, text.Len(), err, want)
		}
		var got mail
		if !got.parse(text.Bytes(), "from ü") || got.name != `na"me ü` || got.size != int64(n) {
			t.Errorf("the header reads %+v", got)
		}
		for line := range strings.Lines(text.String()) {
			if len(line) > 1000 || !strings.HasSuffix(line, "\r\n") && !strings.HasSuffix(text.String(), line) {
				t.Errorf("a line of %d bytes: %.80q", len(line), line)
			}
		}
		wantContent(t, text.Bytes(), content)
	}
}

// wantContent reads a message with the library's parser.
func wantContent(t *testing.T, text, want []byte) {
	t.Helper()
	whole, err := gomessage.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	part, err := whole.MultipartReader().NextPart()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(part.Body); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the first part has %d bytes, %v; want %d", len(got), err, len(want))
	}
}

// FuzzHeader: whatever a name and sender are, a header gives them back, and
// has no more fields than it is given.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{"name", "a  b", "=?utf-8?q?x?=", "a\r\nTo: x", strings.Repeat("ü", 127), strings.Repeat("n", 255), "\xff", " x "} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, name, from string) {
		if !backends.ValidName(name) || from == "" || len(from) > 300 || strings.ToValidUTF8(from, "") != from {
			t.Skip()
		}
		var text bytes.Buffer
		if err := newMessage(from, name, 5, time.Unix(0, 0)).write(&text, strings.NewReader("12345")); err != nil {
			t.Fatal(err)
		}
		var m mail
		if !m.parse(text.Bytes(), from) || m.name != name || m.size != 5 {
			t.Errorf("%q from %q reads %+v", name, from, m)
		}
		h, err := textproto.ReadHeader(bufio.NewReader(&text))
		if err != nil || h.Len() != 7 {
			t.Errorf("%q from %q: %d fields, %v", name, from, h.Len(), err)
		}
	})
}

// FuzzParse: any bytes are a file of a valid name or none.
func FuzzParse(f *testing.F) {
	f.Add([]byte("Subject: name\r\nFrom: x\r\nX-Tklbam-Size: -1\r\n\r\n"))
	f.Add([]byte(" \r\n:\r\nSubject: =?utf-8?b?4pyT?=\r\n name\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var m mail
		if m.parse(text, "x") && (!backends.ValidName(m.name) || m.size < -1) {
			t.Errorf("%q is a file: %+v", text, m)
		}
	})
}

// FuzzDecodedLength: a base64 of Duplicity's form, with or without its last
// line's end, tells its length; what else passes is one that can be.
func FuzzDecodedLength(f *testing.F) {
	for _, n := range []uint16{0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 1000} {
		f.Add(n, true, []byte{})
		f.Add(n, false, []byte("\r\n"))
	}
	f.Fuzz(func(t *testing.T, n uint16, ended bool, other []byte) {
		text := strings.Join(lines(base64.StdEncoding.EncodeToString(make([]byte, n))), "\r\n")
		if ended && n > 0 {
			text += "\r\n"
		}
		length := int64(len(text))
		if got, ok := decodedLength(length, text[tailStart(length):]); !ok || got != int64(n) {
			t.Errorf("%d bytes: %d, %v", n, got, ok)
		}
		length = int64(n) + int64(len(other))
		if got, ok := decodedLength(length, string(other)); ok && (got < 0 || got > length) {
			t.Errorf("%d bytes that end with %q: %d", length, other, got)
		}
	})
}

// lines cuts base64 as Duplicity does.
func lines(text string) []string {
	var cut []string
	for len(text) > lineLength {
		cut = append(cut, text[:lineLength])
		text = text[lineLength:]
	}
	return append(cut, text)
}

func TestReplies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reply protocol.Error
		want  error
	}{
		{protocol.Error{Type: "NO", Code: "OVERQUOTA", Text: "full"}, backends.ErrNoSpace},
		{protocol.Error{Type: "NO", Text: "Quota exceeded"}, backends.ErrNoSpace},
		{protocol.Error{Type: "NO", Code: "NOPERM"}, fs.ErrPermission},
		{protocol.Error{Type: "NO", Code: "NONEXISTENT"}, fs.ErrNotExist},
		{protocol.Error{Type: "NO", Code: "TRYCREATE"}, fs.ErrNotExist},
		{protocol.Error{Type: "NO", Code: "UNAVAILABLE"}, backends.ErrUnavailable},
		{protocol.Error{Type: "BYE", Text: "shutting down"}, backends.ErrUnavailable},
	} {
		err := cause(&c.reply)
		if !errors.Is(err, c.want) {
			t.Errorf("%v is not %v", err, c.want)
		}
		if isBroken(err) != (c.reply.Type == "BYE") {
			t.Errorf("%v: broken is %v", err, isBroken(err))
		}
	}
	for _, code := range []protocol.ResponseCode{"TOOBIG", "CANNOT", ""} {
		if err := cause(&protocol.Error{Type: "NO", Code: code}).(*replyError); err.kind() != nil {
			t.Errorf("%v is %v", err, err.kind())
		}
	}
}

// An answer to a login may quote what was sent.
func TestLoginQuoted(t *testing.T) {
	t.Parallel()
	err := loginCause(&protocol.Error{Type: "NO", Text: "no user a with hunter2"}, backends.NewSecret("hunter2"))
	if !errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error is %v", err)
	}
}

func TestIsLoopback(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]bool{"127.0.0.1": true, "127.9.9.9": true, "::1": true, "10.0.0.1": false, "192.0.2.1": false} {
		if got := isLoopback(&net.TCPAddr{IP: net.ParseIP(ip)}); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
}
