// Package swift is the driver for OpenStack's object storage: swift://
// addresses, and cf+http:// ones for Rackspace's CloudFiles. Both name a
// container and, after a slash, what the names of its objects begin with.
//
// A file is an object with the MD5 sum the server checks it by before it
// appears. Longer ones than a segment are static large objects: a manifest
// under the file's name and segments under hidden names, in the same container
// so that they have its policy and its permissions.
package swift

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"tklbam/backends"
)

// Environment is what the program knows besides an address.
type Environment struct {
	Swift      Account // of swift:// addresses
	CloudFiles Account // of cf+http:// addresses; its AuthURL (CLOUDFILES_AUTHURL) is Rackspace's if empty

	// StoragePolicy is that of containers Create makes, the service's default
	// if empty. Duplicity's --swift-storage-policy.
	StoragePolicy string

	// SegmentSize is the length in bytes from which a file is stored in
	// segments, and that of a segment; 0 is 1 GiB. Duplicity's
	// --mp-segment-size.
	SegmentSize int64

	// CAFile is a file of certificates in PEM that are trusted instead of the
	// system's (OS_CACERT).
	CAFile string

	// Proxy says which proxy a request takes, such as
	// http.ProxyFromEnvironment; nil is none.
	Proxy func(*http.Request) (*url.URL, error)

	// SpoolDir is where content of up to a segment waits to be sent (TMPDIR);
	// "" is the system's directory for temporary files.
	SpoolDir string
}

// defaultSegmentSize is well below the 5 GB that Swift allows an object, and
// makes a terabyte of the 1000 segments it allows a manifest.
const defaultSegmentSize = 1 << 30

// Driver returns the driver for swift:// and cf+http:// addresses.
func Driver(env Environment) backends.Driver {
	return backends.Driver{
		Schemes: []string{"swift", "cf+http"},
		Open: func(ctx context.Context, a backends.Address, opts backends.Options) (backends.Backend, error) {
			return open(ctx, env, a, opts)
		},
	}
}

// target is what is under a prefix in a container. It implements
// backends.Backend.
type target struct {
	address     backends.Address
	client      *client
	container   string
	prefix      string // of all names, with a slash at the end unless it is empty
	policy      string
	segmentSize int64
	spoolDir    string
	closed      atomic.Bool

	preparing sync.Mutex
	large     map[string]bool // files that have segments of ours; nil before they are looked for
}

func open(ctx context.Context, env Environment, a backends.Address, opts backends.Options) (backends.Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := &target{address: a, policy: env.StoragePolicy, segmentSize: env.SegmentSize, spoolDir: env.SpoolDir}
	if t.segmentSize <= 0 {
		t.segmentSize = defaultSegmentSize
	}
	if err := t.setPath(a.Path); err != nil {
		return nil, err
	}
	account := env.Swift
	if a.Scheme == "cf+http" {
		account = env.CloudFiles
	}
	transport, err := newTransport(env)
	if err != nil {
		return nil, err
	}
	s, err := newSession(account.forAddress(a), transport)
	if err != nil {
		return nil, err
	}
	t.client = &client{s, transport}
	if err := t.find(ctx, opts.Create); err != nil {
		transport.CloseIdleConnections()
		return nil, err
	}
	return t, nil
}

// setPath takes a path apart. Slashes at its end, and more than one between
// names, count for nothing, as with Duplicity.
func (t *target) setPath(path string) error {
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		if name == "." || name == ".." {
			return fmt.Errorf("its path has the element %q", name) // proxies resolve it
		}
		if name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return errors.New("it names no container")
	}
	t.container, t.prefix = names[0], strings.Join(names[1:], "/")
	if t.prefix != "" {
		t.prefix += "/"
	}
	return nil
}

// find asks for the container, and makes it if that is wanted. It asks for a
// bit of a listing, because Swift answers HEAD with a body, which net/http
// prints complaints about.
func (t *target) find(ctx context.Context, create bool) error {
	_, err := t.client.run(ctx, request{method: http.MethodGet, path: "/" + t.container, query: url.Values{"limit": {"1"}}})
	if create && errors.Is(err, fs.ErrNotExist) {
		r := request{method: http.MethodPut, path: "/" + t.container, header: http.Header{}}
		if t.policy != "" {
			r.header.Set("X-Storage-Policy", t.policy)
		}
		_, err = t.client.run(ctx, r)
	}
	if err != nil {
		return fmt.Errorf("find container %q: %w", t.container, err)
	}
	return nil
}

// object returns the path of an object in the container.
func (t *target) object(key string) string { return "/" + t.container + "/" + key }

// check returns the error of a call that must do nothing.
func (t *target) check(ctx context.Context) error {
	if t.closed.Load() {
		return fs.ErrClosed
	}
	return ctx.Err()
}

// Delete implements backends.Backend. The segments of a large object go after
// its manifest: what is half deleted is not there.
func (t *target) Delete(ctx context.Context, name string) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	err := t.check(ctx)
	if err == nil {
		err = t.delete(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("delete %q in %s: %w", name, t, err)
	}
	return nil
}

func (t *target) delete(ctx context.Context, name string) error {
	segments, err := t.segmentsOf(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.remove(ctx, t.object(t.prefix+name)); err != nil {
		return err
	}
	return t.removeAll(ctx, segments)
}

// remove deletes an object; an absent one is deleted already.
func (t *target) remove(ctx context.Context, path string) error {
	_, err := t.client.run(ctx, request{method: http.MethodDelete, path: path})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (t *target) removeAll(ctx context.Context, paths []string) error {
	for _, path := range paths {
		if err := t.remove(ctx, path); err != nil {
			return fmt.Errorf("delete the segment %q: %w", path, err)
		}
	}
	return nil
}

// Close implements backends.Backend.
func (t *target) Close() error {
	t.closed.Store(true)
	t.client.transport.CloseIdleConnections()
	return nil
}

// String implements backends.Backend.
func (t *target) String() string { return t.address.String() }
