package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/minio/minio-go/v7"

	"tklbam/backends"
)

// abortTimeout bounds the clearing up after a Put that failed.
const abortTimeout = 30 * time.Second

// errNotStored is an upload that the server took and does not have.
var errNotStored = errors.New("the server does not hold what was sent")

// Put implements backends.Backend. Content of up to a part's size is one
// request, which has the content's MD5 sum for the server to check. Longer
// content goes in parts, each with its sum, several at a time, and appears
// when the last request joins them. A crash leaves the name as it was, and
// maybe parts, which are in no listing and cost money: a bucket should have a
// rule that removes incomplete uploads.
//
// Cancelling ctx works until the last byte is sent. From there on Put waits
// for the answer, because the file may be there.
func (t *target) Put(ctx context.Context, name string, write func(w io.Writer) error) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	err := t.ready(ctx)
	if err == nil {
		err = t.put(ctx, name, write)
	}
	if err != nil {
		return fmt.Errorf("store %q in %s: %w", name, t, err)
	}
	return nil
}

func (t *target) put(ctx context.Context, name string, write func(w io.Writer) error) error {
	u := newUpload(ctx, t, name)
	err := write(u)
	if err == nil {
		err = u.commit()
	}
	u.cancel(err)
	u.running.Wait()
	if err != nil {
		return u.abort(err)
	}
	return nil
}

// commit stores what was written under the name.
func (u *upload) commit() error {
	if err := u.failed(); err != nil {
		return err
	}
	if u.id == "" {
		return u.putWhole()
	}
	if err := u.send(); err != nil {
		return err
	}
	u.running.Wait()
	if err := u.failed(); err != nil {
		return err
	}
	return u.join()
}

// putWhole stores content that is shorter than a part.
func (u *upload) putWhole() error {
	g := backends.NewGate(u.caller)
	defer g.Close()
	body := &gatedReader{bytes.NewReader(u.buf), g}
	if len(u.buf) == 0 { // no body is read then
		if err := g.Pass(); err != nil {
			return err
		}
	}
	s := u.target.sums(u.buf)
	info, err := u.target.client.PutObject(g.Context(), u.target.bucket, u.key, body, int64(len(u.buf)), s.md5Base64(), s.sha256Hex, u.options())
	switch {
	case err == nil:
		return u.verify(context.WithoutCancel(u.caller), info.ETag, s.md5Hex())
	case g.Context().Err() != nil:
		return u.caller.Err()
	}
	return u.target.cause(g.Context(), err)
}

// join makes the file of the parts. The request is short, and the answer
// decides, so that it is not cancelled.
func (u *upload) join() error {
	ctx := context.WithoutCancel(u.caller)
	t := u.target
	want := joinedETag(u.parts)
	info, err := t.client.CompleteMultipartUpload(ctx, t.bucket, u.key, u.id, completed(u.parts), minio.PutObjectOptions{})
	switch {
	case err == nil:
		return u.verify(ctx, info.ETag, want)
	case answerCode(err) == minio.NoSuchUpload && u.isStored(ctx, want):
		return nil // by the first try of a request that was repeated
	}
	return t.cause(ctx, err)
}

// isStored reports whether the name holds content with an ETag.
func (u *upload) isStored(ctx context.Context, etag string) bool {
	object, err := u.target.firstUnder(ctx, u.key)
	return err == nil && object.Key == u.key && object.ETag == etag
}

// verify makes sure that the server holds what was sent. An ETag says so
// where it is a sum of the content, as it mostly is. Elsewhere the length is
// looked up.
func (u *upload) verify(ctx context.Context, etag, want string) error {
	if etag == want {
		return nil
	}
	object, err := u.target.firstUnder(ctx, u.key)
	if err != nil {
		return fmt.Errorf("look up what was stored: %w", u.target.cause(ctx, err))
	}
	if object.Key != u.key || object.Size != u.size {
		return fmt.Errorf("%w: %w (%d bytes)", backends.ErrUnavailable, errNotStored, u.size)
	}
	return nil
}

// abort gives up the parts on the server, if there are, and returns the error
// that made it necessary. It is tried even if the upload was cancelled.
func (u *upload) abort(reason error) error {
	if u.id == "" {
		return reason
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.caller), abortTimeout)
	defer cancel()
	err := u.target.client.AbortMultipartUpload(ctx, u.target.bucket, u.key, u.id)
	if err == nil || answerCode(err) == minio.NoSuchUpload {
		return reason
	}
	// As text: it must not decide whether the Put is tried again.
	return fmt.Errorf("%w (its parts stay on the server: %v)", reason, u.target.cause(ctx, err))
}

func (u *upload) options() minio.PutObjectOptions {
	return minio.PutObjectOptions{StorageClass: u.target.opts.storageClass(u.name), DisableContentSha256: true}
}

// gatedReader passes a gate before it gives its last byte. It has no methods
// but these, so that the client can't read around it, and repeats a request
// by seeking to the start.
type gatedReader struct {
	content *bytes.Reader
	gate    *backends.Gate
}

func (r *gatedReader) Read(p []byte) (int, error) {
	if len(p) >= r.content.Len() && r.gate.Pass() != nil {
		return 0, context.Canceled
	}
	return r.content.Read(p)
}

func (r *gatedReader) Seek(offset int64, whence int) (int64, error) {
	return r.content.Seek(offset, whence)
}
