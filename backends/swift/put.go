package swift

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"tklbam/backends"
)

const (
	// headSize is the content that is kept in memory.
	headSize = 1 << 20

	// cleanupTime bounds the clearing up after a Put.
	cleanupTime = 30 * time.Second
)

// Put implements backends.Backend. The content waits in a spool file, a
// segment at most, because its MD5 sum goes before it: the server stores what
// has that sum, and nothing else ever has the name. And it gives up an upload
// that is silent for a minute (client_timeout), as a backup may well be.
//
// A crash leaves the name as it was or with the new content, and perhaps
// segments, which a Put after a day removes. Cancelling ctx works until the
// last byte is sent. From there on Put waits for the answer, because the file
// may be there.
func (t *target) Put(ctx context.Context, name string, write func(w io.Writer) error) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	if err := t.put(ctx, name, write); err != nil {
		return fmt.Errorf("store %q in %s: %w", name, t, err)
	}
	return nil
}

func (t *target) put(ctx context.Context, name string, write func(w io.Writer) error) error {
	if err := t.check(ctx); err != nil {
		return err
	}
	if err := t.prepare(ctx); err != nil {
		return err
	}
	u := &upload{ctx: ctx, target: t, name: name, id: backends.TempName(), sum: md5.New()}
	err := write(u)
	if err == nil {
		err = u.commit()
	}
	err = errors.Join(err, u.closeSpool())
	if err == nil || u.inDoubt || len(u.segments) == 0 {
		return err
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if cleanupErr := t.removeAll(cleanup, u.paths()); cleanupErr != nil {
		// As text: it does not decide whether the Put may be repeated.
		return fmt.Errorf("%w (and segments of it may be left: %v)", err, cleanupErr)
	}
	return err
}

// An upload is the writer of one Put. It keeps up to a segment: the beginning
// in memory, more in a spool file.
type upload struct {
	ctx    context.Context
	target *target
	name   string
	id     string // that its segments have in their names

	head  bytes.Buffer // all that is kept, or nothing if there is a spool
	spool *os.File
	size  int64     // of what is kept
	sum   hash.Hash // of what is kept

	segments []segment // that are stored
	inDoubt  bool      // a manifest that names them may be stored
}

func (u *upload) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		if u.size == u.target.segmentSize {
			if err := u.storeSegment(); err != nil {
				return written, err
			}
		}
		n := int(min(int64(len(p)-written), u.target.segmentSize-u.size))
		if err := u.keep(p[written : written+n]); err != nil {
			return written, err
		}
		written += n
	}
	return written, u.ctx.Err()
}

// keep adds to what waits to be sent.
func (u *upload) keep(p []byte) error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	if u.spool == nil && u.head.Len()+len(p) > headSize {
		if err := u.spill(); err != nil {
			return err
		}
	}
	u.sum.Write(p)
	u.size += int64(len(p))
	if u.spool == nil {
		_, err := u.head.Write(p)
		return err
	}
	_, err := u.spool.Write(p)
	return err
}

// spill moves what is in memory to a file without a name: nothing of it
// outlives the program.
func (u *upload) spill() error {
	f, err := os.CreateTemp(u.target.spoolDir, "tklbam-swift-*")
	if err != nil {
		return fmt.Errorf("make a spool file: %w", err)
	}
	u.spool = f
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	_, err = f.Write(u.head.Bytes())
	u.head = bytes.Buffer{}
	return err
}

func (u *upload) closeSpool() error {
	if u.spool == nil {
		return nil
	}
	return u.spool.Close()
}

// kept returns what is kept, to be stored at a path.
func (u *upload) kept(path string) content {
	c := content{path: path, size: u.size, etag: hex.EncodeToString(u.sum.Sum(nil)), from: u.spool}
	if u.spool == nil {
		c.from = bytes.NewReader(u.head.Bytes())
	}
	return c
}

// storeSegment sends what is kept as a segment.
func (u *upload) storeSegment() error {
	c := u.kept(u.target.object(fmt.Sprintf("%s%s%s/%s/%08d", u.target.prefix, segmentsDir, u.name, u.id, len(u.segments)+1)))
	if err := u.send(c); err != nil {
		return fmt.Errorf("segment %d: %w", len(u.segments)+1, err)
	}
	u.segments = append(u.segments, segment{c.path, c.etag, c.size})
	u.size = 0
	u.sum.Reset()
	u.head.Reset()
	if u.spool == nil {
		return nil
	}
	_, err := u.spool.Seek(0, io.SeekStart)
	return errors.Join(err, u.spool.Truncate(0))
}

// commit stores what was written under the name.
func (u *upload) commit() error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	old, err := u.target.replaced(u.ctx, u.name)
	if err != nil {
		return err
	}
	if len(u.segments) == 0 {
		err = u.send(u.kept(u.target.object(u.target.prefix + u.name)))
	} else if err = u.storeSegment(); err == nil {
		err = u.join()
	}
	if err != nil {
		return err
	}
	// The file is stored: what fails here leaves segments to a later Put.
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), cleanupTime)
	defer cancel()
	_ = u.target.removeAll(cleanup, old)
	return nil
}

func (u *upload) paths() (all []string) {
	for _, s := range u.segments {
		all = append(all, s.Path)
	}
	return all
}

// content is what a PUT stores.
type content struct {
	path  string
	query url.Values
	from  io.ReaderAt
	size  int64
	etag  string // that the object will have
}

// send stores content if the server finds it to have its ETag. An answer with
// another one is a server that does not look: the object is removed.
func (u *upload) send(c content) error {
	g := newGate(u.ctx)
	defer g.close()
	if c.size == 0 && !g.pass() { // no body is read then
		return u.ctx.Err()
	}
	header, err := u.target.client.run(g.ctx, request{
		method: http.MethodPut,
		path:   c.path,
		query:  c.query,
		header: http.Header{"Etag": {c.etag}, "Content-Type": {"application/octet-stream"}},
		size:   c.size,
		body:   func() io.ReadCloser { return &gatedReader{io.NewSectionReader(c.from, 0, c.size), g} },
	})
	if g.ctx.Err() != nil {
		return u.ctx.Err()
	}
	got := strings.Trim(header.Get("Etag"), `"`)
	if err != nil || got == c.etag || got == "" { // none: a later Put has won
		return err
	}
	err = fmt.Errorf("%w: the server stored content with the ETag %q, not %q", backends.ErrUnavailable, got, c.etag)
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), cleanupTime)
	defer cancel()
	return errors.Join(err, u.target.remove(cleanup, c.path))
}

// A gate ends a context with another one, up to a moment and not after it.
type gate struct {
	ctx    context.Context
	cancel context.CancelFunc
	caller context.Context

	mu     sync.Mutex
	passed bool
	stop   func() bool
}

func newGate(caller context.Context) *gate {
	g := &gate{caller: caller}
	g.ctx, g.cancel = context.WithCancel(context.WithoutCancel(caller))
	g.stop = context.AfterFunc(caller, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if !g.passed {
			g.cancel()
		}
	})
	return g
}

// pass reports whether the caller's context has not ended yet; from then on
// that ends nothing.
func (g *gate) pass() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.passed && g.caller.Err() != nil {
		g.cancel()
		return false
	}
	g.passed = true
	return true
}

func (g *gate) close() {
	g.stop()
	g.cancel()
}

// gatedReader passes a gate before it gives its last byte.
type gatedReader struct {
	*io.SectionReader
	gate *gate
}

func (r *gatedReader) Read(p []byte) (int, error) {
	at, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	if at+int64(len(p)) >= r.Size() && !r.gate.pass() {
		return 0, r.gate.caller.Err()
	}
	return r.SectionReader.Read(p)
}

func (r *gatedReader) Close() error { return nil }
