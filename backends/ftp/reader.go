package ftp

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jlaffaye/ftp"

	"tklbam/backends"
)

// Open implements backends.Reader. The reader has a connection of its own,
// which goes back to the others after the end of the file; one that is closed
// earlier ends it.
func (t *target) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := backends.CheckName(name); err != nil {
		return nil, err
	}
	r, err := t.open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open %q in %s: %w", name, t, err)
	}
	return r, nil
}

func (t *target) open(ctx context.Context, name string) (*reader, error) {
	s, err := t.take(ctx)
	if err != nil {
		return nil, err
	}
	r := &reader{ctx: ctx, target: t, session: s, release: s.tie(ctx)}
	if err := r.start(name); err != nil {
		return nil, r.end(err)
	}
	return r, nil
}

// reader is a file that is being received.
type reader struct {
	ctx     context.Context
	target  *target
	session *session
	release func() bool
	data    *ftp.Response
	want    int64 // the file's length, -1 if the server does not tell
	got     int64
	err     error // that ended it
}

// start asks for the length and then for the content. When the file is
// replaced in between, the end shows it.
func (r *reader) start(name string) (err error) {
	r.want, err = r.session.size(name)
	if err != nil && !errors.Is(err, errNoSize) {
		return err
	}
	r.data, err = r.session.conn.Retr(wirePath(name))
	return r.session.cause(err)
}

// Read gives io.EOF only after the server has said that the transfer is
// complete, and all bytes of the file's length have come.
func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.ctx.Err() != nil {
		return 0, r.end(r.ctx.Err())
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.data.Read(p)
	r.got += int64(n)
	if err != nil {
		err = r.end(r.complete(err))
	}
	return n, err
}

// complete returns io.EOF if a content that ended with err is whole. Some
// servers end TLS without saying so, which the other two signs make up for.
func (r *reader) complete(err error) error {
	if err != io.EOF && (!errors.Is(err, io.ErrUnexpectedEOF) || r.want < 0) {
		return r.session.cause(err)
	}
	if err := r.session.transferred(r.data.Close()); err != nil {
		return err
	}
	if r.want >= 0 && r.got != r.want {
		return fmt.Errorf("%w: %d bytes of %d came", backends.ErrUnavailable, r.got, r.want)
	}
	return io.EOF
}

// end gives the connection back, if it can be used after err, and returns the
// error that later reads give.
func (r *reader) end(err error) error {
	switch {
	case !r.release():
		err = r.ctx.Err()
	case err == io.EOF || isReply(err):
		r.target.give(r.session)
	default:
		r.session.abort()
	}
	r.err = err
	return err
}

func (r *reader) Close() error {
	if r.err == nil {
		r.session.abort()
		r.release()
		r.err = errors.New("the reader is closed")
	}
	return nil
}
