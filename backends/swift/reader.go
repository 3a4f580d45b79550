package swift

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	"tklbam/backends"
)

// Open implements backends.Reader. An answer that breaks off is an error of
// the reader and so is, at its end, content that has not the MD5 sum the
// server announced; of a large object the length is what can be checked.
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
	res, err := t.client.do(ctx, request{method: http.MethodGet, path: t.object(t.prefix + name)})
	if err != nil {
		return nil, err
	}
	size, err := length(res)
	if err != nil {
		return nil, errors.Join(err, res.Body.Close())
	}
	r := &reader{ctx: ctx, body: res.Body, left: size}
	if i := infoOf(res.Header); len(i.etag) == 2*md5.Size && !i.large() {
		r.sum, r.want = md5.New(), i.etag
	}
	return r, nil
}

// info is what the header of an object tells.
type info struct {
	size    int64
	etag    string // the MD5 sum of an object in one piece, in hexadecimal
	static  bool   // a manifest of segments it lists
	dynamic string // container and prefix of the segments that make it
}

func (i info) large() bool { return i.static || i.dynamic != "" }

func infoOf(h http.Header) info {
	return info{
		etag:    strings.Trim(h.Get("Etag"), `"`),
		static:  strings.EqualFold(h.Get("X-Static-Large-Object"), "true"),
		dynamic: h.Get("X-Object-Manifest"),
	}
}

// stat looks a file up.
func (t *target) stat(ctx context.Context, name string) (info, error) {
	res, err := t.client.do(ctx, request{method: http.MethodHead, path: t.object(t.prefix + name)})
	if err != nil {
		return info{}, err
	}
	i := infoOf(res.Header)
	i.size, err = length(res)
	return i, errors.Join(err, cause(drain(res)))
}

// reader is the body of an answer.
type reader struct {
	ctx  context.Context
	body io.ReadCloser
	left int64     // bytes to come
	sum  hash.Hash // of those that came; nil if there is nothing to compare it with
	want string
	err  error // that ended it
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.err = r.ctx.Err(); r.err != nil {
		return 0, r.err
	}
	n, err := r.body.Read(p)
	r.left -= int64(n)
	if r.sum != nil {
		r.sum.Write(p[:n])
	}
	switch {
	case err == io.EOF && r.left > 0:
		err = fmt.Errorf("%w: %w", backends.ErrUnavailable, io.ErrUnexpectedEOF)
	case err == io.EOF:
		err = r.end()
	default:
		err = cause(err)
	}
	r.err = err
	return n, err
}

// end is the error of a reader at the end of the content.
func (r *reader) end() error {
	if r.sum != nil && hex.EncodeToString(r.sum.Sum(nil)) != r.want {
		return fmt.Errorf("%w: what arrives has not the MD5 sum %s of the file", backends.ErrUnavailable, r.want)
	}
	return io.EOF
}

func (r *reader) Close() error { return r.body.Close() }
