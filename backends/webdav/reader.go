package webdav

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"tklbam/backends"
)

// Open implements backends.Reader. An answer that breaks off is an error of
// the reader, also where the server marks its end only by closing the
// connection; and so is, at the end, a file that was replaced while it was
// read, where the server's answers show that.
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

func (t *target) open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := t.check(ctx); err != nil {
		return nil, err
	}
	res, err := t.client.do(ctx, request{method: http.MethodGet, url: t.file(name)})
	if err != nil {
		return nil, err
	}
	r := &reader{ctx: ctx, target: t, name: name, version: versionOf(res), body: res.Body, left: res.ContentLength}
	if r.left < 0 && len(res.TransferEncoding) == 0 {
		if r.left, err = t.size(ctx, name); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return r, nil
}

// reader is the body of an answer.
type reader struct {
	ctx     context.Context
	target  *target
	name    string
	version version
	body    io.ReadCloser
	left    int64 // bytes to come; negative where the transfer coding marks the end
	err     error // that ended it
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.read(p)
	if err == io.EOF {
		if changed := r.target.sameVersion(r.ctx, r.name, r.version); changed != nil {
			err = changed
		}
	}
	r.err = err
	return n, err
}

func (r *reader) read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.body.Read(p)
	known := r.left >= 0
	if known {
		r.left -= int64(n)
	}
	switch {
	case known && r.left < 0:
		return 0, errors.New("the server sends more than the file's length")
	case err == io.EOF && known && r.left > 0:
		return n, fmt.Errorf("%w: %w", backends.ErrUnavailable, io.ErrUnexpectedEOF)
	case err == io.EOF:
		return n, err
	}
	return n, r.target.client.cause(err)
}

func (r *reader) Close() error { return r.body.Close() }

// A version is what tells the contents a file has had apart. It is empty where
// the server does not say.
type version struct{ tag, modified string }

// versionOf returns what an answer says. Apache calls the tag of a file weak
// for as long as the file was changed within the same second.
func versionOf(res *http.Response) version {
	return version{strings.TrimPrefix(res.Header.Get("ETag"), "W/"), res.Header.Get("Last-Modified")}
}

// sameVersion returns an error if a file has another version now. Apache takes
// the length from one look at a file and the content from a later one: a file
// replaced in between is cut to the length of the old one, which nothing else
// shows.
func (t *target) sameVersion(ctx context.Context, name string, want version) error {
	if want == (version{}) {
		return nil
	}
	res, err := t.client.do(ctx, request{method: http.MethodHead, url: t.file(name)})
	if failed := (*statusError)(nil); errors.As(err, &failed) && !errors.Is(err, fs.ErrNotExist) {
		return nil // the server takes no HEAD
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		if err := res.Body.Close(); err != nil {
			return t.client.cause(err)
		}
		if versionOf(res) == want {
			return nil
		}
	}
	return fmt.Errorf("%w: it was replaced or deleted while it was read", backends.ErrUnavailable)
}
