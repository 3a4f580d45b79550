package imap

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"

	protocol "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"tklbam/backends"
)

const (
	// pieceSize is how much of a mail is asked for at a time. It is streamed;
	// servers that look for its beginning anew each time want few pieces.
	pieceSize = 256 << 20

	// maxDrain is how much of a piece that nobody wants any more is read, so
	// that its connection can be kept.
	maxDrain = 64 << 10

	// maxTail bounds what is read into memory of a piece.
	maxTail = 1 << 10
)

// errContent is a mail whose content is not what it says.
var errContent = errors.New("the mail is damaged")

// Open implements backends.Reader. The reader has a connection of its own
// while it gives a piece; when that is lost it goes on with another one.
func (t *target) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := backends.CheckName(name); err != nil {
		return nil, err
	}
	for range maxTries {
		r, err := t.open(ctx, name)
		if err == nil {
			return r, nil
		}
		if !errors.Is(err, errReplaced) {
			return nil, fmt.Errorf("open %q in %s: %w", name, t, err)
		}
	}
	return nil, fmt.Errorf("open %q in %s: %w: %w", name, t, backends.ErrUnavailable, errReplaced)
}

func (t *target) open(ctx context.Context, name string) (*reader, error) {
	s, err := t.take(ctx)
	if err != nil {
		return nil, err
	}
	var mails []mail
	err = s.bound(ctx, func() error {
		mails, err = s.named(t.place.from, name)
		if err == nil && len(mails) == 0 {
			err = fs.ErrNotExist
		}
		return err
	})
	if err != nil {
		t.put(s, err)
		return nil, err
	}
	newest := mails[len(mails)-1]
	r := &reader{size: newest.size, text: encoded{ctx: ctx, target: t, ref: ref{s.validity, newest.uid}, lostAt: -1}}
	r.content = newDecoder(&r.text)
	if err := r.text.start(s); err != nil {
		return nil, err
	}
	return r, nil
}

// reader is a file that is being received.
type reader struct {
	text    encoded
	content io.Reader
	size    int64 // that its mail tells, -1 if none
	got     int64
	err     error // that ended it
}

// Read gives io.EOF only when all of the mail has come, and is as long as it
// says.
func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if err := r.text.ctx.Err(); err != nil {
		r.fail(err)
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.content.Read(p)
	r.got += int64(n)
	if err != nil {
		r.fail(r.meaning(err))
	}
	return n, r.err
}

// fail ends the reader with an error, which later reads give.
func (r *reader) fail(err error) {
	r.text.drop()
	r.err = err
}

// meaning returns io.EOF if a content that ended with err is whole.
func (r *reader) meaning(err error) error {
	var corrupt base64.CorruptInputError
	switch {
	case errors.As(err, &corrupt), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: after %d bytes of content: %w", errContent, r.got, err)
	case errors.Is(err, errReplaced):
		return fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
	case err == io.EOF && r.size >= 0 && r.got != r.size:
		return fmt.Errorf("%w: %d bytes of %d came", errContent, r.got, r.size)
	}
	return err
}

func (r *reader) Close() error {
	if r.err == nil {
		r.fail(errors.New("the reader is closed"))
	}
	return nil
}

// encoded reads the base64 of a mail, piece by piece.
type encoded struct {
	ctx    context.Context
	target *target
	ref    ref

	piece   *piece // that is being read
	release func() bool
	offset  int64 // read so far
	lostAt  int64 // the offset at which a connection was lost last
	ended   bool
}

func (e *encoded) Read(p []byte) (int, error) {
	for !e.ended {
		n, err := e.advance(p)
		e.offset += int64(n)
		if n > 0 {
			return n, nil
		}
		if err != nil && !e.mayResume(err) {
			return 0, err
		}
	}
	return 0, io.EOF
}

// mayResume reports whether to go on with another connection after an error:
// if there has been some progress since the last one.
func (e *encoded) mayResume(err error) bool {
	if !errors.Is(err, backends.ErrUnavailable) || e.offset <= e.lostAt {
		return false
	}
	e.lostAt = e.offset
	return true
}

// advance reads from the piece at hand, and goes over to the next one.
func (e *encoded) advance(p []byte) (n int, err error) {
	if e.piece == nil {
		s, err := e.target.take(e.ctx)
		if err != nil {
			return 0, err
		}
		return 0, e.start(s)
	}
	n, err = e.piece.Read(p)
	if n > 0 || err == nil {
		return n, nil // an error comes again
	}
	if err == io.EOF {
		err = e.piece.end()
	}
	return 0, e.finish(err)
}

// start asks for the next piece, with a session that it gives back.
func (e *encoded) start(s *session) error {
	if s.validity != e.ref.validity {
		e.target.idle.Give(s)
		return errReplaced
	}
	e.release = s.tie(e.ctx)
	e.piece = s.ask(e.ref.uid, e.offset, pieceSize)
	if err := e.piece.begin(); err != nil {
		return e.finish(err)
	}
	return nil
}

// finish gives back the session of a piece that ended with err.
func (e *encoded) finish(err error) error {
	p := e.piece
	e.piece = nil
	if !e.release() {
		err = e.ctx.Err()
	}
	if err == nil {
		e.ended = p.length < pieceSize
	}
	if isBroken(err) {
		p.abandon()
	} else {
		e.target.idle.Give(p.session)
	}
	return err
}

// drop ends what is under way.
func (e *encoded) drop() {
	if e.piece == nil {
		return
	}
	err := error(backends.ErrUnavailable)
	if e.piece.left <= maxDrain {
		err = e.piece.end()
	}
	_ = e.finish(err) // nobody wants the rest
}

// A piece is a part of the base64 of a mail that is asked for.
type piece struct {
	session *session
	cmd     *imapclient.FetchCommand
	literal io.Reader
	length  int64 // as announced; shorter than asked for where the mail ends
	left    int64 // of it
	err     error // with which the literal ended early: the client has gone on without
}

// ask asks for a piece of a mail's first part.
func (s *session) ask(number uid, offset, length int64) *piece {
	cmd := s.client.Fetch(protocol.UIDSetNum(number), &protocol.FetchOptions{UID: true, BodySection: []*protocol.FetchItemBodySection{
		{Part: []int{1}, Partial: &protocol.SectionPartial{Offset: offset, Size: length}, Peek: true},
	}})
	return &piece{session: s, cmd: cmd}
}

// begin waits for the beginning of the answer: errReplaced if the mail is gone.
func (p *piece) begin() error {
	for data := p.cmd.Next(); data != nil; data = p.cmd.Next() {
		for item := data.Next(); item != nil; item = data.Next() {
			if body, ok := item.(imapclient.FetchItemDataBodySection); ok && body.Literal != nil {
				p.literal, p.length, p.left = body.Literal, body.Literal.Size(), body.Literal.Size()
				return nil
			}
		}
	}
	if err := p.cmd.Close(); err != nil && !hasCode(err, codeExpunged) {
		return cause(err)
	}
	return errReplaced
}

// Read reads the piece. A connection that ends earlier is no end of it.
func (p *piece) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.literal.Read(b)
	p.left -= int64(n)
	switch {
	case err == io.EOF && p.left == 0 || err == nil:
		return n, err
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	p.err = cause(err)
	return n, p.err
}

// end reads what is left, and waits for the end of the answer.
func (p *piece) end() error {
	if p.err != nil {
		return p.err
	}
	return cause(p.cmd.Close())
}

// abandon ends the session, and what of the client waits for a reader.
func (p *piece) abandon() {
	p.session.abort()
	_ = p.end()
}

// text returns all of a short piece.
func (p *piece) text() (string, error) {
	if err := p.begin(); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(p, maxTail))
	if err != nil {
		return "", err
	}
	return string(text), p.end()
}
