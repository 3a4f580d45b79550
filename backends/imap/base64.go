package imap

import (
	"bytes"
	"encoding/base64"
	"io"
)

// What the standard library has for base64 in lines goes through a content in
// kilobytes, and through each several times: a mail would wait for that, not
// for the network.

// lineLength is that of the lines of base64, without their ends, here as with
// Duplicity (RFC 2045, section 6.8).
const lineLength = 76

// lineEnd is what is between lines.
const lineEnd = "\r\n"

// bufferSize keeps small writes off the network, and reads.
const bufferSize = 128 << 10

// batchLines is how many lines are encoded at a time.
const batchLines = 2048

// encode writes a content in base64, in lines: the last one has no end.
func encode(w io.Writer, content io.Reader) error {
	in := make([]byte, batchLines*lineLength/4*3)
	out := make([]byte, 0, batchLines*(lineLength+len(lineEnd)))
	for end := ""; ; end = lineEnd {
		n, err := io.ReadFull(content, in)
		if n > 0 {
			if _, err := w.Write(appendLines(append(out, end...), in[:n])); err != nil {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// appendLines appends p in base64, with ends between the lines.
func appendLines(out, p []byte) []byte {
	const size = lineLength / 4 * 3
	for len(p) > size {
		out = base64.StdEncoding.AppendEncode(out, p[:size])
		out = append(out, lineEnd...)
		p = p[size:]
	}
	return base64.StdEncoding.AppendEncode(out, p)
}

// decoder reads a content from its base64, in lines of any length. Of base64
// that is none the error is a base64.CorruptInputError, and
// io.ErrUnexpectedEOF of one that breaks off in the middle of four letters.
type decoder struct {
	text    io.Reader
	buf     []byte // for the text
	letters []byte // at the beginning of buf that are not decoded yet
	out     []byte // decoded, to be read
	back    []byte // for out
	taken   int64  // letters that are decoded
	padded  bool   // which nothing may come after
	err     error  // after out
}

func newDecoder(text io.Reader) *decoder {
	return &decoder{text: text, buf: make([]byte, bufferSize), back: make([]byte, bufferSize/4*3)}
}

func (d *decoder) Read(p []byte) (int, error) {
	for len(d.out) == 0 && d.err == nil {
		d.fill()
	}
	if len(d.out) == 0 {
		return 0, d.err
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

// fill reads some text and decodes what is whole of it.
func (d *decoder) fill() {
	kept := len(d.letters)
	n, err := d.text.Read(d.buf[kept:])
	d.letters = d.buf[:kept+dropLineEnds(d.buf[kept:kept+n])]
	whole := len(d.letters) / 4 * 4
	if decodeErr := d.decode(d.letters[:whole]); decodeErr != nil {
		d.err = decodeErr
		return
	}
	d.letters = d.buf[:copy(d.buf, d.letters[whole:])]
	if err == io.EOF && len(d.letters) > 0 {
		err = io.ErrUnexpectedEOF
	}
	d.err = err
}

// decode decodes letters, of which there is a multiple of four.
func (d *decoder) decode(letters []byte) error {
	if len(letters) == 0 {
		return nil
	}
	if d.padded {
		return base64.CorruptInputError(d.taken)
	}
	n, err := base64.StdEncoding.Decode(d.back, letters)
	d.out = d.back[:n]
	if at, ok := err.(base64.CorruptInputError); ok {
		return base64.CorruptInputError(d.taken + int64(at))
	}
	d.taken += int64(len(letters))
	d.padded = letters[len(letters)-1] == '='
	return err
}

// dropLineEnds moves the letters of p together, and returns how many there are.
func dropLineEnds(p []byte) (letters int) {
	for rest := p; len(rest) > 0; {
		line, after, _ := bytes.Cut(rest, []byte{'\n'})
		rest = after
		letters += copy(p[letters:], bytes.TrimRight(line, "\r"))
	}
	return letters
}
