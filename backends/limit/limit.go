// Package limit holds the transfers of backends to a number of bytes a second,
// which may change with the time of day.
package limit

import (
	"context"
	"io"

	"tklbam/backends"
)

// Limits are what all streams of the backends it wraps share: each direction
// has one Schedule, whatever the number of files and targets under way.
//
// What counts is content, as it passes between the program and a driver. What
// a driver holds in buffers may go over the network faster for a moment, and
// names, listings and encryption of the connection come on top.
type Limits struct {
	up, down bucket
}

// New returns limits for uploads and downloads.
func New(up, down Schedule) *Limits {
	return &Limits{bucket{schedule: up}, bucket{schedule: down}}
}

// Wrap returns a backend that transfers the content of files no faster than l
// permits. It is a backends.Spacer if b is, and its readers are io.Seekers if
// those of b are.
func (l *Limits) Wrap(b backends.Backend) backends.Backend {
	w := &backend{b, l}
	if s, ok := b.(backends.Spacer); ok {
		return struct {
			*backend
			backends.Spacer
		}{w, s}
	}
	return w
}

type backend struct {
	backends.Backend
	limits *Limits
}

// Put implements backends.Backend. Cancelling ends its waits.
func (b *backend) Put(ctx context.Context, name string, write func(w io.Writer) error) error {
	return b.Backend.Put(ctx, name, func(w io.Writer) error {
		return write(&writer{ctx, w, &b.limits.up})
	})
}

// Open implements backends.Reader. Cancelling ends the waits of its reader.
func (b *backend) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	inner, err := b.Backend.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	r := &reader{inner, ctx, &b.limits.down}
	if seeker, ok := inner.(io.Seeker); ok {
		return struct {
			*reader
			io.Seeker
		}{r, seeker}, nil
	}
	return r, nil
}

// writer waits before it writes each piece.
type writer struct {
	ctx    context.Context
	w      io.Writer
	bucket *bucket
}

func (w *writer) Write(p []byte) (written int, err error) {
	for {
		rate := w.bucket.rate()
		piece := p[:rate.piece(len(p))]
		if err := w.bucket.wait(w.ctx, rate, len(piece)); err != nil {
			return written, err
		}
		n, err := w.w.Write(piece)
		written += n
		p = p[len(piece):]
		if err != nil || len(p) == 0 {
			return written, err
		}
	}
}

// reader waits after it has read a piece, because only then its length is
// known.
type reader struct {
	io.ReadCloser
	ctx    context.Context
	bucket *bucket
}

func (r *reader) Read(p []byte) (int, error) {
	rate := r.bucket.rate()
	n, err := r.ReadCloser.Read(p[:rate.piece(len(p))])
	if n > 0 {
		if stop := r.bucket.wait(r.ctx, rate, n); stop != nil {
			return n, stop
		}
	}
	return n, err
}
