package imap

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"mime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/textproto"

	"tklbam/backends"
)

// sizeHeader holds the number of bytes of a mail's content, in decimal.
const sizeHeader = "X-Tklbam-Size"

// headerFields are what is asked for of a mail that may be a file.
var headerFields = [...]string{"From", "Subject", sizeHeader}

// maxHeader bounds what is read of them.
const maxHeader = 64 << 10

// A mail is what its header tells of a file.
type mail struct {
	uid     uid
	name    string
	size    int64 // of the content in bytes, -1 if it does not tell, as with Duplicity's
	deleted bool  // marked so
}

// parse reads a mail's header, and reports whether the mail is a file of those
// with that sender: then its subject is the file's name.
func (m *mail) parse(text []byte, from string) bool {
	// A header that is broken somewhere may yet have the fields.
	h, _ := textproto.ReadHeader(bufio.NewReader(bytes.NewReader(text)))
	m.name, m.size = decodeText(h.Get("Subject")), -1
	if n, err := strconv.ParseInt(h.Get(sizeHeader), 10, 64); err == nil && n >= 0 {
		m.size = n
	}
	return decodeText(h.Get("From")) == from && backends.ValidName(m.name)
}

// decodeText undoes encodeText, and the encodings of others (RFC 2047).
func decodeText(text string) string {
	decoded, err := new(mime.WordDecoder).DecodeHeader(text)
	if err != nil {
		return text
	}
	return decoded
}

// maxWord is how many bytes an encoded word stands for at most: with them in
// base64 it has the 75 characters that RFC 2047 allows.
const maxWord = 45

// encodeText returns text as a header takes it: as it is, as Duplicity does,
// if that is what every reader takes it for, and else in encoded words, so
// that neither folding nor control characters change it or add to the header.
func encodeText(text string) string {
	if isPlain(text) {
		return text
	}
	var words []string
	for text != "" {
		n := min(len(text), maxWord)
		for n < len(text) && n > maxWord-utf8.UTFMax && !utf8.RuneStart(text[n]) {
			n--
		}
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(text[:n]))+"?=")
		text = text[n:]
	}
	return strings.Join(words, " ")
}

// isPlain reports whether all of a text is visible ASCII that looks like no
// encoded word.
func isPlain(text string) bool {
	return text != "" && !strings.Contains(text, "=?") && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}
