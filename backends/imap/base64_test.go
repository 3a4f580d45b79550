package imap

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// TestEncode compares encode with the library's encoder, around the length of a
// line and of a batch of them.
func TestEncode(t *testing.T) {
	t.Parallel()
	content := make([]byte, 2*batchLines*lineLength)
	rand.NewChaCha8([32]byte{}).Read(content)
	const line, batch = lineLength / 4 * 3, batchLines * lineLength / 4 * 3
	for _, n := range []int{0, 1, 2, 3, line - 1, line, line + 1, 2 * line, batch - 1, batch, batch + 1, batch + line, 2 * batch} {
		var text bytes.Buffer
		if err := encode(&text, iotest.HalfReader(bytes.NewReader(content[:n]))); err != nil {
			t.Fatal(err)
		}
		if int64(text.Len()) != encodedLength(int64(n)) {
			t.Errorf("%d bytes make %d, encodedLength says %d", n, text.Len(), encodedLength(int64(n)))
		}
		lines := strings.Split(text.String(), "\r\n")
		for i, l := range lines {
			if len(l) > lineLength || len(l) < lineLength && i < len(lines)-1 {
				t.Errorf("%d bytes: line %d has %d letters", n, i, len(l))
			}
		}
		if strings.Join(lines, "") != base64.StdEncoding.EncodeToString(content[:n]) {
			t.Errorf("%d bytes are encoded otherwise", n)
		}
	}
	broken := errors.New("broken")
	if err := encode(io.Discard, iotest.ErrReader(broken)); err != broken {
		t.Errorf("a content that breaks off: %v", err)
	}
}

// FuzzDecoder: whatever the text, and however it comes, it is read as the
// library's decoder reads it; only what is within a line may be a carriage
// return to that one.
func FuzzDecoder(f *testing.F) {
	for _, text := range []string{"", "\r\n", "YQ==", "YWI=\r\n", "YWJj\r\nZGVm", "Y\nWJj\r\r\n", "YWI=YWJj", "YWI=\n=", "YWJ", "YW!j", "====", "YQ==\r\nYQ==\r\n"} {
		f.Add(text, uint8(len(text)))
	}
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		if strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\r") {
			t.Skip("a carriage return within a line")
		}
		want, wantErr := io.ReadAll(base64.NewDecoder(base64.StdEncoding, strings.NewReader(text)))
		d := newDecoder(strings.NewReader(text))
		d.buf = make([]byte, 4+int(size))
		got, err := io.ReadAll(iotest.OneByteReader(d))
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("%q is %q, %v; want %q, %v", text, got, err, want, wantErr)
		}
		if err != nil && !bytes.HasPrefix(want, got) && !bytes.HasPrefix(got, want) {
			t.Errorf("%q begins with %q; want %q", text, got, want)
		}
	})
}
