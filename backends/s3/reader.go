package s3

import (
	"context"
	"fmt"
	"io"

	"github.com/minio/minio-go/v7"

	"tklbam/backends"
)

// Open implements backends.Reader. Where the service has stored a checksum of
// the whole file it is verified at the end of it.
func (t *target) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := backends.CheckName(name); err != nil {
		return nil, err
	}
	if err := t.ready(ctx); err != nil {
		return nil, fmt.Errorf("open %q in %s: %w", name, t, err)
	}
	body, info, _, err := t.client.GetObject(ctx, t.bucket, t.prefix+name, minio.GetObjectOptions{Checksum: true})
	if err != nil {
		return nil, fmt.Errorf("open %q in %s: %w", name, t, t.cause(ctx, err))
	}
	return &reader{ctx: ctx, target: t, name: name, body: body, left: info.Size}, nil
}

// reader is the body of an answer.
type reader struct {
	ctx    context.Context
	target *target
	name   string
	body   io.ReadCloser
	left   int64 // bytes that are to come; below 0 if the server does not say
	err    error // the first one, io.EOF included
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.body.Read(p)
	if r.left >= 0 {
		r.left = max(r.left-int64(n), 0)
	}
	if err == io.EOF && r.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("read %q in %s: %w", r.name, r.target, r.target.cause(r.ctx, err))
	}
	r.err = err
	return n, err
}

func (r *reader) Close() error { return r.body.Close() }
