package imap

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"io"
	"mime"
	"strconv"
	"strings"
	"time"

	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/textproto"
)

// A message is a mail to be stored: its first part is the content, as
// Duplicity has it.
type message struct {
	id       string
	boundary string
	header   gomessage.Header
	part     gomessage.Header
	size     int64 // of the content
}

func newMessage(from, name string, size int64, now time.Time) *message {
	m := &message{id: "<" + rand.Text() + "@tklbam>", boundary: rand.Text(), size: size}
	// Fields go to the top: the last one is the first.
	m.header.SetContentType("multipart/mixed", map[string]string{"boundary": m.boundary})
	m.header.Set("MIME-Version", "1.0")
	m.header.Set(sizeHeader, strconv.FormatInt(size, 10))
	m.header.Set("Message-Id", m.id)
	m.header.Set("Date", now.Format(time.RFC1123Z))
	m.header.Set("Subject", encodeText(name))
	m.header.Set("From", encodeText(from))

	m.part.Set("Content-Transfer-Encoding", "base64")
	m.part.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	m.part.Set("Content-Type", "application/octet-stream")
	return m
}

// length returns how many bytes the message has.
func (m *message) length() (int64, error) {
	var frame bytes.Buffer
	err := m.write(&frame, strings.NewReader(""))
	return int64(frame.Len()) + encodedLength(m.size), err
}

// encodedLength is how many bytes a content has in base64: without an end of
// the last line, which belongs to the boundary that follows.
func encodedLength(size int64) int64 {
	letters := (size + 2) / 3 * 4
	if letters == 0 {
		return 0
	}
	return letters + (letters-1)/lineLength*int64(len(lineEnd))
}

// write writes the message with its content.
func (m *message) write(w io.Writer, content io.Reader) error {
	if err := textproto.WriteHeader(w, m.header.Header); err != nil {
		return err
	}
	parts := textproto.NewMultipartWriter(w)
	if err := parts.SetBoundary(m.boundary); err != nil {
		return err
	}
	part, err := parts.CreatePart(m.part.Header)
	if err != nil {
		return err
	}
	if err := encode(part, content); err != nil {
		return err
	}
	return parts.Close()
}

// decodedLength returns how many bytes of content n bytes of base64 stand for,
// from their end: tail are those from tailStart(n) on. That tells it only if
// the lines before are as long as those of Duplicity; ok is whether the last
// one lies as if they were.
func decodedLength(n int64, tail string) (size int64, ok bool) {
	start := n - int64(len(tail))
	if n == 0 || start != tailStart(n) {
		return 0, n == 0
	}
	lines := int64(0)
	if start > 0 {
		if tail, ok = strings.CutPrefix(tail, "\r\n"); !ok {
			return 0, false
		}
		lines = (start + int64(len("\r\n"))) / (lineLength + int64(len("\r\n")))
	}
	last := strings.TrimSuffix(tail, "\r\n")
	if strings.ContainsAny(last, "\r\n") { // the decoder would take them
		return 0, false
	}
	content, err := base64.StdEncoding.Strict().DecodeString(last)
	return lines*(lineLength/4*3) + int64(len(content)), err == nil && len(content) > 0
}

// tailStart is where the end of the last but one of the lines begins in n bytes
// of base64.
func tailStart(n int64) int64 {
	line := int64(lineLength + len("\r\n"))
	return max(0, (n-1)/line*line-int64(len("\r\n")))
}
