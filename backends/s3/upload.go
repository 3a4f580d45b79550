package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/minio/minio-go/v7"
)

const (
	// maxParts is S3's limit for one file.
	maxParts = 10_000

	// equalParts is the number of parts after which their size doubles,
	// and again after as many more, so that a file of unknown length does
	// not run out of parts: 488 GiB in parts of 8 MiB at first. Up to
	// there they are equal, as some services demand.
	equalParts = 2_000

	// minBuffer is what a file takes in memory at the least.
	minBuffer = 4 << 10
)

// upload is a Put under way: the writer that takes the content and sends the
// full parts. Its methods are for one goroutine.
type upload struct {
	target *target
	name   string
	key    string
	caller context.Context         // the Put's
	ctx    context.Context         // ends with it and with the first error
	cancel context.CancelCauseFunc // ends it

	size    int64
	buf     []byte // what is not yet sent
	buffers int    // made so far, of up to Parallel+1
	free    chan []byte
	id      string // of the upload in parts, "" as long as it has not begun
	parts   []*part
	running sync.WaitGroup
}

// part is a part that is sent. All but the number are set when it is there.
type part struct {
	number int
	md5    [md5.Size]byte
	etag   string
}

func newUpload(ctx context.Context, t *target, name string) *upload {
	u := &upload{target: t, name: name, key: t.prefix + name, caller: ctx, buffers: 1}
	u.ctx, u.cancel = context.WithCancelCause(ctx)
	u.free = make(chan []byte, t.opts.Parallel+1)
	return u
}

// failed returns the error that ended the upload: the caller's context's, or
// the first one of a part.
func (u *upload) failed() error {
	if err := u.caller.Err(); err != nil {
		return err
	}
	return context.Cause(u.ctx)
}

// Write takes content. When more of it comes than a part holds, the part is
// sent, and Write waits only for a buffer to be free.
func (u *upload) Write(p []byte) (int, error) {
	if err := u.failed(); err != nil {
		return 0, err
	}
	written := 0
	for written < len(p) {
		if len(u.buf) == u.partSize() {
			if err := u.sendAndGoOn(); err != nil {
				return written, err
			}
		}
		n := min(len(p)-written, u.partSize()-len(u.buf))
		u.grow(n)
		u.buf = append(u.buf, p[written:written+n]...)
		u.size += int64(n)
		written += n
	}
	return written, nil
}

// partSize returns the size of the part that is being filled.
func (u *upload) partSize() int {
	return u.target.opts.PartSize << (len(u.parts) / equalParts)
}

// grow makes room for n bytes: twice what there was, up to a part, so that a
// short file takes little memory.
func (u *upload) grow(n int) {
	if len(u.buf)+n > cap(u.buf) {
		size := min(max(len(u.buf)+n, 2*cap(u.buf), minBuffer), u.partSize())
		u.buf = append(make([]byte, 0, size), u.buf...)
	}
}

// sendAndGoOn sends the buffer and takes another one.
func (u *upload) sendAndGoOn() error {
	if err := u.send(); err != nil {
		return err
	}
	return u.takeBuffer()
}

// send begins to send the buffer as a part.
func (u *upload) send() error {
	if err := u.begin(); err != nil {
		u.cancel(err)
		return err
	}
	p := &part{number: len(u.parts) + 1}
	u.parts = append(u.parts, p)
	content := u.buf
	u.buf = nil
	u.running.Go(func() {
		if err := u.sendPart(p, content); err != nil {
			u.cancel(err)
		}
		u.free <- content[:0]
	})
	return nil
}

// begin begins an upload in parts, if that is not done.
func (u *upload) begin() error {
	if len(u.parts) == maxParts {
		return fmt.Errorf("the file is longer than the %d parts S3 allows: choose larger ones", maxParts)
	}
	if u.id != "" {
		return nil
	}
	id, err := u.target.client.NewMultipartUpload(u.ctx, u.target.bucket, u.key, u.options())
	if err != nil {
		return u.target.cause(u.caller, err)
	}
	u.id = id
	return nil
}

func (u *upload) sendPart(p *part, content []byte) error {
	t := u.target
	s := t.sums(content)
	opts := minio.PutObjectPartOptions{Md5Base64: s.md5Base64(), Sha256Hex: s.sha256Hex, DisableContentSha256: true}
	sent, err := t.client.PutObjectPart(u.ctx, t.bucket, u.key, u.id, p.number, bytes.NewReader(content), int64(len(content)), opts)
	if err != nil {
		return t.cause(u.ctx, err)
	}
	p.md5, p.etag = s.md5, sent.ETag
	return nil
}

// takeBuffer makes a buffer or, when there are enough, waits for one.
func (u *upload) takeBuffer() error {
	select {
	case u.buf = <-u.free:
		return nil
	default:
	}
	if u.buffers <= u.target.opts.Parallel {
		u.buffers++
		u.buf = make([]byte, 0, u.partSize())
		return nil
	}
	select {
	case u.buf = <-u.free:
		return nil
	case <-u.ctx.Done():
		return u.failed()
	}
}

// completed lists the parts for the request that joins them.
func completed(parts []*part) []minio.CompletePart {
	var all []minio.CompletePart
	for _, p := range parts {
		all = append(all, minio.CompletePart{PartNumber: p.number, ETag: p.etag})
	}
	return all
}

// joinedETag returns the ETag that Amazon and most others give a file made of
// parts: the MD5 sum of the parts' MD5 sums, and their number.
func joinedETag(parts []*part) string {
	var all []byte
	for _, p := range parts {
		all = append(all, p.md5[:]...)
	}
	return fmt.Sprintf("%x-%d", md5.Sum(all), len(parts))
}

// contentSums go with a request, for the server to check the content by.
type contentSums struct {
	md5       [md5.Size]byte
	sha256Hex string // with plain HTTP, as a part of the signature
}

// sums returns the sums of one request's content. All services know MD5,
// which is a guard against accidents; against forgery there is TLS.
func (t *target) sums(content []byte) contentSums {
	s := contentSums{md5: md5.Sum(content)}
	if t.opts.PlainHTTP {
		sum := sha256.Sum256(content)
		s.sha256Hex = hex.EncodeToString(sum[:])
	}
	return s
}

func (s contentSums) md5Base64() string { return base64.StdEncoding.EncodeToString(s.md5[:]) }

func (s contentSums) md5Hex() string { return hex.EncodeToString(s.md5[:]) }
