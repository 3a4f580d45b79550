package retry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"io/fs"
)

// A reader goes on where its file broke off.
//
// All it gives has to be of one version of the file, and no driver can be
// asked which one it opens. Therefore a file that is opened again is read from
// its beginning: only when a hash of it up to where the reader was is that of
// what was given does the reader go on. Whatever was replaced meanwhile, all
// that was given is then of the version it goes on with. The price is the
// transfer of that part, which for a volume is little.
//
// A seekable reader of a driver is of one version for good, and can be sent
// back to any offset: that is used instead where there is one. It is not
// opened again.
type reader struct {
	backend *backend
	ctx     context.Context
	name    string
	inner   io.ReadCloser // nil while there is none
	seeker  io.Seeker     // inner, if it is one
	tries   tries
	offset  int64     // of the next byte
	given   hash.Hash // of all before it; unused with a seeker
	broken  error     // why inner can't be read on
	err     error     // why the reader can't
}

func (b *backend) newReader(ctx context.Context, name string, inner io.ReadCloser) io.ReadCloser {
	r := &reader{
		backend: b, ctx: ctx, name: name, inner: inner,
		tries: tries{backend: b, op: "read", name: name}, given: sha256.New(),
	}
	if seeker, ok := inner.(io.Seeker); ok {
		r.seeker = seeker
		return seekReader{r}
	}
	return r
}

func (r *reader) Read(p []byte) (int, error) {
	for r.err == nil {
		if r.broken == nil {
			n, err := r.inner.Read(p)
			r.advance(p[:n])
			if err == nil || err == io.EOF {
				return n, err
			}
			r.broken = err
			if n > 0 {
				return n, nil
			}
		}
		r.err = r.resume()
	}
	return 0, r.err
}

func (r *reader) advance(p []byte) {
	if len(p) == 0 {
		return
	}
	r.offset += int64(len(p))
	r.tries.progress()
	if r.seeker == nil {
		r.given.Write(p)
	}
}

// resume waits and makes inner give what comes at offset.
func (r *reader) resume() error {
	for r.broken != nil {
		if err := r.tries.again(r.ctx, r.broken); err != nil {
			return err
		}
		if r.seeker != nil {
			_, r.broken = r.seeker.Seek(r.offset, io.SeekStart)
		} else {
			r.broken = r.reopen()
		}
	}
	return nil
}

func (r *reader) reopen() error {
	if r.inner != nil {
		r.inner.Close() // it has failed already
		r.inner = nil
	}
	inner, err := r.backend.inner.Open(r.ctx, r.name)
	if err != nil {
		return err
	}
	if err := r.skip(inner); err != nil {
		inner.Close() // what skip found counts
		return err
	}
	r.inner = inner
	return nil
}

// skip reads what has been given, and makes sure that it is that.
func (r *reader) skip(inner io.Reader) error {
	again := sha256.New()
	_, err := io.CopyN(again, inner, r.offset)
	if err != nil && err != io.EOF {
		return err
	}
	if !bytes.Equal(again.Sum(nil), r.given.Sum(nil)) {
		return fmt.Errorf("read %q in %s: it was replaced while it was read", r.name, r.backend)
	}
	return nil
}

func (r *reader) Close() error {
	r.err = fs.ErrClosed
	if r.inner == nil {
		return nil
	}
	return r.inner.Close()
}

// seekReader is a reader of a driver's seekable one.
type seekReader struct{ *reader }

// Seek implements io.Seeker. The driver's own position is not relied on: a
// read that failed may have left it anywhere.
func (s seekReader) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekCurrent {
		offset, whence = offset+s.offset, io.SeekStart
	}
	at, err := s.seeker.Seek(offset, whence)
	if err != nil {
		return at, err
	}
	s.offset, s.broken = at, nil
	return at, nil
}
