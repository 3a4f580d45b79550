// Package s3 is the driver for Amazon S3 and services that work like it:
// s3:// and s3+http:// addresses.
//
//	s3://[key:secret@]host[:port]/bucket[/prefix]
//	s3+http://bucket[/prefix]
//
// Both use TLS, whatever the second is called, unless the options say
// otherwise; the second means Amazon, or the service the options name.
//
// The files are the keys under the prefix, up to the next slash. A bucket is
// made if it is absent and may be, a prefix is not a thing that can be absent.
//
// The permissions needed are those to list the prefix, put and get objects
// and, for Delete alone, to delete them. Put never needs to delete: an upload
// that fails is aborted where that is permitted, and so is what a killed run
// left, when the target is opened for a backup some days later; otherwise they
// are left to the bucket's rule for incomplete uploads.
package s3

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"tklbam/backends"
)

// Driver returns the driver for s3:// and s3+http:// addresses.
func Driver(opts Options) backends.Driver {
	return backends.Driver{
		Schemes: []string{"s3", "s3+http"},
		Open: func(ctx context.Context, a backends.Address, o backends.Options) (backends.Backend, error) {
			return open(ctx, a, opts, o.Create)
		},
	}
}

// target is the files under a prefix of a bucket. It implements
// backends.Backend.
type target struct {
	location
	address     backends.Address
	opts        Options
	credentials *credentials.Credentials
	renewable   bool // the credentials can be fetched anew
	transport   *http.Transport
	client      *minio.Core
	closed      atomic.Bool
}

func open(ctx context.Context, a backends.Address, opts Options, create bool) (backends.Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := &target{address: a}
	if err := t.configure(opts); err != nil {
		return nil, err
	}
	if err := t.connect(ctx, create); err != nil {
		t.transport.CloseIdleConnections()
		return nil, err
	}
	return t, nil
}

func (t *target) configure(opts Options) (err error) {
	if t.opts, err = opts.withDefaults(); err != nil {
		return err
	}
	if t.location, err = locate(t.address, t.opts); err != nil {
		return err
	}
	if err := checkClass(t.opts.StorageClass, s3utils.IsAmazonEndpoint(t.url(t.opts))); err != nil {
		return err
	}
	if t.credentials, t.renewable, err = newCredentials(t.address, t.opts); err != nil {
		return err
	}
	t.transport, err = newTransport(t.opts)
	return err
}

// connect makes sure of the service, the credentials and the bucket, which it
// makes if it may.
func (t *target) connect(ctx context.Context, create bool) (err error) {
	t.client, err = newClient(ctx, t.location, t.opts, t.credentials, t.transport)
	if err != nil {
		return err
	}
	_, err = t.firstUnder(ctx, t.prefix)
	if answerCode(err) == minio.NoSuchBucket && create {
		err = t.client.MakeBucket(ctx, t.bucket, minio.MakeBucketOptions{Region: t.opts.Region})
		if answerCode(err) == minio.BucketAlreadyOwnedByYou { // made by another run since
			err = nil
		}
	}
	if err != nil || !create {
		return t.cause(ctx, err)
	}
	t.abortLeftovers(ctx)
	return ctx.Err()
}

// firstUnder returns the first object in the order of keys whose key starts
// with some text, and the zero value if there is none. The request needs no
// permission but that to list what starts so, and unlike others answers with
// a reason when it fails.
func (t *target) firstUnder(ctx context.Context, prefix string) (minio.ObjectInfo, error) {
	opts := minio.ListObjectsOptions{Prefix: prefix, MaxKeys: 1, Recursive: true, FetchOwner: new(bool)}
	for object := range t.client.ListObjectsIter(ctx, t.bucket, opts) {
		return object, object.Err
	}
	return minio.ObjectInfo{}, ctx.Err()
}

// ready returns why a call can't begin, if so.
func (t *target) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.closed.Load() {
		return fs.ErrClosed
	}
	return nil
}

// List implements backends.Reader. It holds one page of a thousand names.
func (t *target) List(ctx context.Context, fn func(name string, size int64) error) error {
	if err := t.ready(ctx); err != nil {
		return fmt.Errorf("list %s: %w", t, err)
	}
	opts := minio.ListObjectsOptions{Prefix: t.prefix, FetchOwner: new(bool)}
	for object := range t.client.ListObjectsIter(ctx, t.bucket, opts) {
		if err := t.cause(ctx, object.Err); err != nil {
			return fmt.Errorf("list %s: %w", t, err)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list %s: %w", t, err)
		}
		name, found := strings.CutPrefix(object.Key, t.prefix)
		if !found || !backends.ValidName(name) {
			continue // deeper keys among them, which are listed up to the slash
		}
		if err := fn(name, object.Size); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil { // which ends the loop silently
		return fmt.Errorf("list %s: %w", t, err)
	}
	return nil
}

// Delete implements backends.Backend. In a bucket with versions the old ones
// stay.
func (t *target) Delete(ctx context.Context, name string) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	err := t.ready(ctx)
	if err == nil {
		err = t.client.RemoveObject(ctx, t.bucket, t.prefix+name, minio.RemoveObjectOptions{})
		if answerCode(err) == minio.NoSuchKey {
			err = nil
		}
		err = t.cause(ctx, err)
	}
	if err != nil {
		return fmt.Errorf("delete %q in %s: %w", name, t, err)
	}
	return nil
}

// Close implements backends.Backend.
func (t *target) Close() error {
	t.closed.Store(true)
	t.transport.CloseIdleConnections()
	return nil
}

// String implements backends.Backend.
func (t *target) String() string { return t.address.String() }
