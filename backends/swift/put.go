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
	"net/url"
	"strings"
	"time"

	"tklbam/backends"
	"tklbam/backends/spool"
)

// cleanupTime bounds the clearing up after a Put.
const cleanupTime = 30 * time.Second

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
	u := &upload{ctx: ctx, target: t, name: name, id: backends.TempName(), kept: spool.NewContent(ctx, t.spoolDir), sum: md5.New()}
	err := write(u)
	if err == nil {
		err = u.commit()
	}
	err = errors.Join(err, u.kept.Close())
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

// An upload is the writer of one Put. It keeps up to a segment.
type upload struct {
	ctx    context.Context
	target *target
	name   string
	id     string // that its segments have in their names

	kept *spool.Content
	sum  hash.Hash // of what is kept

	segments []segment // that are stored
	inDoubt  bool      // a manifest that names them may be stored
}

func (u *upload) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		if u.kept.Size() == u.target.segmentSize {
			if err := u.storeSegment(); err != nil {
				return written, err
			}
		}
		n := int(min(int64(len(p)-written), u.target.segmentSize-u.kept.Size()))
		n, err := u.kept.Write(p[written : written+n])
		u.sum.Write(p[written : written+n])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, u.ctx.Err()
}

// sendKept stores what is kept at a path.
func (u *upload) sendKept(path string) (content, error) {
	from, err := u.kept.Reader()
	if err != nil {
		return content{}, err
	}
	c := content{path: path, size: u.kept.Size(), etag: hex.EncodeToString(u.sum.Sum(nil)), from: from}
	return c, u.send(c)
}

// storeSegment sends what is kept as a segment.
func (u *upload) storeSegment() error {
	number := len(u.segments) + 1
	c, err := u.sendKept(u.target.object(fmt.Sprintf("%s%s%s/%s/%08d", u.target.prefix, segmentsDir, u.name, u.id, number)))
	if err != nil {
		return fmt.Errorf("segment %d: %w", number, err)
	}
	u.segments = append(u.segments, segment{c.path, c.etag, c.size})
	u.sum.Reset()
	return u.kept.Reset()
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
		_, err = u.sendKept(u.target.object(u.target.prefix + u.name))
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
	g := backends.NewGate(u.ctx)
	defer g.Close()
	if c.size == 0 { // no body is read then
		if err := g.Pass(); err != nil {
			return err
		}
	}
	header, err := u.target.client.run(g.Context(), request{
		method: http.MethodPut,
		path:   c.path,
		query:  c.query,
		header: http.Header{"Etag": {c.etag}, "Content-Type": {"application/octet-stream"}},
		size:   c.size,
		body:   func() io.ReadCloser { return &gatedReader{io.NewSectionReader(c.from, 0, c.size), g} },
	})
	if g.Context().Err() != nil {
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

// gatedReader passes a gate before it gives its last byte.
type gatedReader struct {
	*io.SectionReader
	gate *backends.Gate
}

func (r *gatedReader) Read(p []byte) (int, error) {
	at, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	if at+int64(len(p)) >= r.Size() {
		if err := r.gate.Pass(); err != nil {
			return 0, err
		}
	}
	return r.SectionReader.Read(p)
}

func (r *gatedReader) Close() error { return nil }
