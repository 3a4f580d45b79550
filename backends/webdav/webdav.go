// Package webdav is the driver for WebDAV servers (RFC 4918): webdav:// and
// webdavs:// addresses, over HTTP and HTTPS.
//
// A backend talks to one collection. The path of an address counts from the
// server's root, with or without a second slash, as with Duplicity. Files are
// uploaded under a hidden name, their length is compared with what the server
// holds, and a MOVE gives them their name.
package webdav

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tklbam/backends"
)

// Environment is what the program knows besides an address.
type Environment struct {
	// User and Password serve addresses that name none. Duplicity takes the
	// password from FTP_PASSWORD for every protocol; WEBDAV_PASSWORD is the
	// name to prefer to it.
	User     string
	Password backends.Secret

	// CAFile is a file of certificates in PEM that webdavs:// trusts instead
	// of the system's (Duplicity's --ssl-cacert-file, and else
	// ~/.duplicity/cacert.pem, ~/duplicity_cacert.pem or
	// /etc/duplicity/cacert.pem where there is one).
	CAFile string

	// SpoolDir is where contents wait for their length to be known when a
	// server does not take them without (TMPDIR); "" is the system's
	// directory for temporary files.
	SpoolDir string

	// StallTimeout ends a connection on which no byte moves while one is
	// waited for; 0 is a minute (Duplicity's --timeout).
	StallTimeout time.Duration
}

// Driver returns the driver for webdav:// and webdavs:// addresses.
func Driver(env Environment) backends.Driver {
	return backends.Driver{
		Schemes: []string{"webdav", "webdavs"},
		Open: func(ctx context.Context, a backends.Address, opts backends.Options) (backends.Backend, error) {
			return open(ctx, env, a, opts)
		},
	}
}

// target is a collection on a server. It implements backends.Backend.
type target struct {
	address  backends.Address
	client   *client
	base     *url.URL // of the collection, with a slash at the end
	self     string   // the path by which the server's listings call it, decoded, with a slash at the end
	spoolDir string
	closed   atomic.Bool

	sweeping sync.Mutex // held while stale temporary files are removed
	swept    bool       // they have been

	trying sync.Mutex
	chunks support // whether the server stores bodies of unknown length
}

func open(ctx context.Context, env Environment, a backends.Address, opts backends.Options) (backends.Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := newClient(env, a)
	if err != nil {
		return nil, err
	}
	t := &target{address: a, client: c, base: baseURL(a), spoolDir: env.SpoolDir}
	err = t.find(ctx)
	if opts.Create && errors.Is(err, fs.ErrNotExist) {
		if err = t.makeCollection(ctx, t.base); err == nil {
			err = t.find(ctx)
		}
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return t, nil
}

// baseURL returns the URL of an address's collection.
func baseURL(a backends.Address) *url.URL {
	u := &url.URL{Scheme: "http", Host: a.Host}
	if a.Scheme == "webdavs" {
		u.Scheme = "https"
	}
	if strings.Contains(a.Host, ":") {
		u.Host = "[" + a.Host + "]"
	}
	if a.Port != 0 {
		u.Host = fmt.Sprintf("%s:%d", u.Host, a.Port)
	}
	setPath(u, path.Clean("/"+a.Path))
	return collectionURL(u)
}

// setPath gives a URL a decoded path. All but RFC 3986's unreserved characters
// are written as percent codes, because servers differ in the others.
func setPath(u *url.URL, decoded string) {
	u.Path = decoded
	var b strings.Builder
	for i := range len(decoded) {
		if c := decoded[i]; isUnreserved(c) || c == '/' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	u.RawPath = b.String()
}

func isUnreserved(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// collectionURL returns a URL with a slash at its end.
func collectionURL(u *url.URL) *url.URL {
	v := *u
	if !strings.HasSuffix(v.Path, "/") {
		setPath(&v, v.Path+"/")
	}
	return &v
}

// file returns the URL of a file in the collection.
func (t *target) file(name string) *url.URL {
	u := *t.base
	setPath(&u, t.base.Path+name)
	return &u
}

// find asks for the collection itself, and learns where a redirection leads
// and what the server calls it.
func (t *target) find(ctx context.Context) error {
	found := false
	final, err := t.propfind(ctx, t.base, "0", func(e entry) error {
		if !found {
			found, t.self = e.collection, e.dir+e.name+"/"
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !found {
		return errors.New("the address is not that of a collection")
	}
	t.base, t.self = collectionURL(final), foldSlashes(t.self)
	return nil
}

// makeCollection makes a collection, and those above it that the server says
// are missing. One that somebody makes meanwhile is found made.
func (t *target) makeCollection(ctx context.Context, u *url.URL) error {
	status, err := t.mkcol(ctx, u)
	if status == http.StatusConflict || status == http.StatusNotFound { // 404: not RFC 4918, but seen
		parent := *u
		setPath(&parent, path.Dir(strings.TrimSuffix(u.Path, "/")))
		if u.Path == "/" {
			return err
		}
		if err := t.makeCollection(ctx, collectionURL(&parent)); err != nil {
			return err
		}
		status, err = t.mkcol(ctx, u)
	}
	if status == http.StatusMethodNotAllowed || status == http.StatusMovedPermanently {
		return nil // it exists; find looks at what it is
	}
	return err
}

func (t *target) mkcol(ctx context.Context, u *url.URL) (status int, err error) {
	err = t.client.run(ctx, request{method: "MKCOL", url: u})
	status = statusOf(err)
	if err != nil {
		err = fmt.Errorf("make collection %q: %w", u.Path, err)
	}
	return status, err
}

// check returns the error of a call that must do nothing.
func (t *target) check(ctx context.Context) error {
	if t.closed.Load() {
		return fs.ErrClosed
	}
	return ctx.Err()
}

// List implements backends.Reader. It is one answer of the server, parsed as
// it arrives: a function that takes minutes for a file makes servers give up.
func (t *target) List(ctx context.Context, fn func(name string, size int64) error) error {
	var stop error // fn's own, which is returned as it is
	err := t.check(ctx)
	if err == nil {
		_, err = t.propfind(ctx, t.base, "1", func(e entry) error {
			if !t.isFile(e) || !backends.ValidName(e.name) {
				return nil
			}
			size, err := t.listedSize(ctx, e)
			if err != nil || size < 0 {
				return err
			}
			stop = fn(e.name, size)
			return stop
		})
	}
	if err == nil || stop != nil {
		return stop
	}
	return fmt.Errorf("list %s: %w", t, err)
}

// isFile reports whether an entry is a file directly in the collection.
func (t *target) isFile(e entry) bool { return !e.collection && foldSlashes(e.dir) == t.self }

// listedSize asks for a size that the listing does not give; -1 is a file that
// was deleted meanwhile.
func (t *target) listedSize(ctx context.Context, e entry) (int64, error) {
	if e.size >= 0 {
		return e.size, nil
	}
	size, err := t.size(ctx, e.name)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	return size, err
}

// size returns the length of a file: from PROPFIND, and from HEAD where the
// server gives no getcontentlength.
func (t *target) size(ctx context.Context, name string) (int64, error) {
	size := int64(-1)
	_, err := t.propfind(ctx, t.file(name), "0", func(e entry) error {
		size = e.size
		return nil
	})
	if err != nil || size >= 0 {
		return size, err
	}
	res, err := t.client.do(ctx, request{method: http.MethodHead, url: t.file(name)})
	if err != nil {
		return -1, err
	}
	if err := res.Body.Close(); err != nil {
		return -1, t.client.cause(err)
	}
	if res.ContentLength < 0 {
		return -1, errors.New("the server does not tell its length")
	}
	return res.ContentLength, nil
}

// Delete implements backends.Backend.
func (t *target) Delete(ctx context.Context, name string) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	err := t.check(ctx)
	if err == nil {
		err = t.remove(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("delete %q in %s: %w", name, t, err)
	}
	return nil
}

// remove deletes a file; an absent one is deleted already.
func (t *target) remove(ctx context.Context, name string) error {
	err := t.client.run(ctx, request{method: http.MethodDelete, url: t.file(name)})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Close implements backends.Backend.
func (t *target) Close() error {
	t.closed.Store(true)
	t.client.close()
	return nil
}

// String implements backends.Backend.
func (t *target) String() string { return t.address.String() }
