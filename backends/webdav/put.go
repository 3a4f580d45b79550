package webdav

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"sync"
	"time"

	"tklbam/backends"
)

const (
	// headSize is the content that is kept in memory: a file that is no
	// longer is sent with its length.
	headSize = 1 << 20

	// cleanupTime bounds the removal of a temporary file.
	cleanupTime = 30 * time.Second

	// moveTime bounds a MOVE, which no cancelling interrupts: what came of it
	// could not be told.
	moveTime = 5 * time.Minute

	// firstWait and lastWait bound the growing waits for a MOVE.
	firstWait = 10 * time.Millisecond
	lastWait  = 500 * time.Millisecond

	// tempMaxAge is the age from which a temporary file is taken for a dead
	// run's.
	tempMaxAge = 24 * time.Hour
)

// Put implements backends.Backend: the content goes to a hidden temporary
// file, whose length the server confirms, and MOVE replaces the name by it in
// one request. A crash leaves the name as it was or with the new content, and
// perhaps the temporary file, which a Put after a day removes.
//
// Two things are the server's matter: whether stored content outlives its
// crash, and whether MOVE replaces a file in one step. Apache and those made
// with golang.org/x/net/webdav remove the old file first, so that for a moment
// nothing has the name; a new name has no such moment.
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
	if err := t.sweepOnce(ctx); err != nil {
		return err
	}
	u := &upload{ctx: ctx, target: t, name: backends.TempName()}
	err := u.commit(name, write)
	if err == nil {
		return nil
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if cleanupErr := t.remove(cleanup, u.name); cleanupErr != nil {
		// As text: it does not decide whether the Put may be repeated.
		return fmt.Errorf("%w (and its temporary file %q may be left: %v)", err, u.name, cleanupErr)
	}
	return err
}

// commit fills the temporary file and gives it its name.
func (u *upload) commit(name string, write func(w io.Writer) error) error {
	if err := u.fill(write); err != nil {
		return err
	}
	if err := u.target.verify(u.ctx, u.name, u.size); err != nil {
		return err
	}
	if err := u.ctx.Err(); err != nil {
		return err
	}
	return u.target.settle(context.WithoutCancel(u.ctx), u.name, name)
}

// settle moves a temporary file to its name. When that fails it looks which of
// the two is there: an answer may be lost (busy servers close connections they
// have just been sent a request on), a lock pass, and Apache says 404 when
// another MOVE replaces the same name at the same time. As long as nothing has
// happened it tries again, for a moment.
func (t *target) settle(ctx context.Context, from, to string) error {
	ctx, cancel := context.WithTimeout(ctx, moveTime)
	defer cancel()
	for wait := firstWait; ; wait *= 2 {
		err := t.move(ctx, from, to)
		if err == nil || !errors.Is(err, backends.ErrUnavailable) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_, lookErr := t.size(ctx, from)
		if errors.Is(lookErr, fs.ErrNotExist) {
			// Nobody else knows the temporary name: it was moved. Another Put
			// may have replaced the file since.
			if _, lookErr := t.size(ctx, to); lookErr == nil {
				return nil
			}
		}
		if lookErr != nil || wait > lastWait {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait/2 + mathrand.N(wait)):
		}
	}
}

// verify compares the length of a stored file with what was sent.
func (t *target) verify(ctx context.Context, name string, want int64) error {
	got, err := t.size(ctx, name)
	if err != nil {
		return fmt.Errorf("verify the upload: %w", err)
	}
	if got != want {
		return fmt.Errorf("%w: verify the upload: the server stored %d bytes of %d", backends.ErrUnavailable, got, want)
	}
	return nil
}

// move renames a file. It asks for leave to replace one only where there is
// one: of two requests, the first of which took so long that it was given up,
// the later may come first. A server that removes the old file before it looks
// for the new one then loses what it has just stored.
func (t *target) move(ctx context.Context, from, to string) error {
	err := t.moveTo(ctx, from, to, "F")
	if statusOf(err) == http.StatusPreconditionFailed {
		err = t.moveTo(ctx, from, to, "T")
	}
	return err
}

// moveTo sends a MOVE. Behind a proxy that ends TLS some servers (Apache: 502)
// take the full URL of the destination for another server's, and RFC 4918
// (section 10.3) lets it be a path as well.
func (t *target) moveTo(ctx context.Context, from, to, overwrite string) error {
	destination := t.file(to)
	send := func(destination string) error {
		return t.client.run(ctx, request{
			method: "MOVE",
			url:    t.file(from),
			header: http.Header{"Destination": {destination}, "Overwrite": {overwrite}},
		})
	}
	err := send(destination.String())
	if code := statusOf(err); code == http.StatusBadGateway || code == http.StatusBadRequest {
		err = send(destination.EscapedPath())
	}
	return err
}

// sweepOnce removes temporary files of dead runs before the first content is
// stored, so that the space they take is free for it. Other Puts at that time
// go on.
func (t *target) sweepOnce(ctx context.Context) error {
	if !t.sweeping.TryLock() {
		return nil
	}
	defer t.sweeping.Unlock()
	if t.swept {
		return nil
	}
	var stale []string
	_, err := t.propfind(ctx, t.base, "1", func(e entry) error {
		if t.isFile(e) && backends.IsTemp(e.name) && e.age > tempMaxAge {
			stale = append(stale, e.name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range stale {
		if err := t.remove(ctx, name); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err // another user's stays: it stops no Put
		}
	}
	t.swept = true
	return nil
}

// An upload is the writer of one Put. It keeps the first headSize bytes in
// memory; a longer content it streams to the server or, where that needs to
// know the length, into a spool file.
type upload struct {
	ctx    context.Context
	target *target
	name   string // of the temporary file
	size   int64  // written so far
	head   bytes.Buffer
	stream *stream
	spool  *os.File
}

// fill runs write and ends the upload.
func (u *upload) fill(write func(w io.Writer) error) (err error) {
	defer func() {
		if u.spool != nil {
			err = errors.Join(err, u.spool.Close())
		}
	}()
	if err := write(u); err != nil {
		if u.stream != nil {
			u.stream.abort(err)
		}
		return err
	}
	switch {
	case u.stream != nil:
		return u.stream.finish()
	case u.spool != nil:
		return u.target.store(u.ctx, u.name, &fileBody{u.spool, u.size})
	}
	return u.target.store(u.ctx, u.name, textBody(u.head.String()))
}

func (u *upload) Write(p []byte) (n int, err error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	switch {
	case u.stream != nil:
		n, err = u.stream.Write(p)
	case u.spool != nil:
		n, err = u.spool.Write(p)
	case u.head.Len()+len(p) <= headSize:
		n, err = u.head.Write(p)
	default:
		if err := u.overflow(); err != nil {
			return 0, err
		}
		return u.Write(p)
	}
	u.size += int64(n)
	return n, err
}

// overflow moves the head to where the rest will go.
func (u *upload) overflow() (err error) {
	chunks, err := u.target.takesChunks(u.ctx)
	if err != nil {
		return err
	}
	if chunks {
		u.stream = u.target.startStream(u.ctx, u.name, u.head.Bytes())
		return nil
	}
	if u.spool, err = newSpool(u.target.spoolDir); err != nil {
		return fmt.Errorf("make a spool file: %w", err)
	}
	_, err = u.spool.Write(u.head.Bytes())
	u.head = bytes.Buffer{}
	return err
}

// newSpool returns an open file without a name: nothing of it outlives the
// program.
func newSpool(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "tklbam-webdav-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// store uploads a body.
func (t *target) store(ctx context.Context, name string, b body) error {
	return t.client.run(ctx, request{
		method: http.MethodPut,
		url:    t.file(name),
		header: http.Header{"Content-Type": {"application/octet-stream"}},
		body:   b,
	})
}

// fileBody is a body in a file.
type fileBody struct {
	file *os.File
	size int64
}

func (b *fileBody) open() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(b.file, 0, b.size)), nil
}
func (b *fileBody) length() int64 { return b.size }
func (b *fileBody) repeats() bool { return true }

// A stream is an upload under way while its content is written.
type stream struct {
	ctx     context.Context
	content *bufio.Writer
	pipe    *io.PipeWriter
	done    chan struct{} // closed when the upload is over
	err     error         // what came of it, then
}

func (t *target) startStream(ctx context.Context, name string, head []byte) *stream {
	r, w := io.Pipe()
	s := &stream{ctx: ctx, content: bufio.NewWriterSize(w, bufferSize), pipe: w, done: make(chan struct{})}
	go func() {
		s.err = t.store(ctx, name, &streamBody{content: io.MultiReader(bytes.NewReader(head), r), pipe: r})
		close(s.done)
		r.CloseWithError(s.ended())
	}()
	return s
}

// ended is the error of writing to an upload that is over.
func (s *stream) ended() error {
	<-s.done
	switch {
	case s.ctx.Err() != nil:
		return s.ctx.Err()
	case s.err != nil:
		return s.err
	}
	return fmt.Errorf("%w: the server ended the upload before its end", backends.ErrUnavailable)
}

// Write takes content. The transport closes the body before it tells why.
func (s *stream) Write(p []byte) (int, error) {
	n, err := s.content.Write(p)
	if errors.Is(err, io.ErrClosedPipe) {
		err = s.ended()
	}
	return n, err
}

// finish ends the content and returns what came of the upload.
func (s *stream) finish() error {
	err := s.content.Flush()
	if err == nil {
		err = s.pipe.Close()
	}
	if <-s.done; s.err != nil {
		return s.err
	}
	return err
}

// abort breaks the upload off: the connection ends without the mark of a
// complete body.
func (s *stream) abort(err error) {
	s.pipe.CloseWithError(err)
	<-s.done
}

// streamBody is a body that can be read once. The transport may close one it
// has not read, and be given it again.
type streamBody struct {
	content io.Reader
	pipe    *io.PipeReader

	mu      sync.Mutex
	started bool
}

func (b *streamBody) open() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.started {
		return nil, fmt.Errorf("%w: the server refused an upload under way", backends.ErrUnavailable)
	}
	return b, nil
}

func (b *streamBody) length() int64 { return -1 }
func (b *streamBody) repeats() bool { return false }

func (b *streamBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	b.started = true
	b.mu.Unlock()
	return b.content.Read(p)
}

func (b *streamBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.started {
		return nil
	}
	return b.pipe.Close()
}
