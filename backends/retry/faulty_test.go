package retry_test

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"

	"tklbam/backends"
)

// faulty is a backend that fails where plan says so, at any of its steps: a
// call, a write, a read, a reported name, and the answer to a change that has
// been made.
type faulty struct {
	backends.Backend
	seeks bool // its readers keep their Seek

	mu   sync.Mutex
	step int
	plan func(step int) error
}

// failing is a plan to fail at one step.
func failing(at int, err error) func(int) error {
	return func(step int) error {
		if step == at {
			return err
		}
		return nil
	}
}

// sometimes is a plan to fail at one of so many steps.
func sometimes(oneOf int, err error) func(int) error {
	dice := rand.New(rand.NewPCG(1, 2))
	return func(int) error {
		if dice.IntN(oneOf) == 0 {
			return err
		}
		return nil
	}
}

func (f *faulty) next() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.step++
	return f.plan(f.step)
}

func (f *faulty) steps() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.step
}

func (f *faulty) List(ctx context.Context, fn func(string, int64) error) error {
	if err := f.next(); err != nil {
		return err
	}
	calls := 0
	err := f.Backend.List(ctx, func(name string, size int64) error {
		if calls++; calls%100 == 2 {
			if err := f.next(); err != nil {
				return err
			}
		}
		return fn(name, size)
	})
	if err == nil {
		err = f.next()
	}
	return err
}

func (f *faulty) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := f.next(); err != nil {
		return nil, err
	}
	r, err := f.Backend.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	faulty := &faultyReader{f, r}
	if f.seeks {
		return &faultySeeker{faulty, r.(io.Seeker)}, nil
	}
	return faulty, nil
}

type faultyReader struct {
	f *faulty
	io.ReadCloser
}

// Read fails before it reads or after.
func (r *faultyReader) Read(p []byte) (int, error) {
	if err := r.f.next(); err != nil {
		return 0, err
	}
	n, err := r.ReadCloser.Read(p[:min(len(p), 256<<10)])
	if err == nil {
		err = r.f.next()
	}
	return n, err
}

type faultySeeker struct {
	*faultyReader
	seeker io.Seeker
}

func (s *faultySeeker) Seek(offset int64, whence int) (int64, error) {
	return s.seeker.Seek(offset, whence)
}

func (f *faulty) Put(ctx context.Context, name string, write func(io.Writer) error) error {
	if err := f.next(); err != nil {
		return err
	}
	err := f.Backend.Put(ctx, name, func(w io.Writer) error { return write(&faultyWriter{f, w}) })
	if err == nil {
		err = f.next()
	}
	return err
}

type faultyWriter struct {
	f *faulty
	io.Writer
}

func (w *faultyWriter) Write(p []byte) (int, error) {
	if err := w.f.next(); err != nil {
		n, _ := w.Writer.Write(p[:len(p)/2])
		return n, err
	}
	return w.Writer.Write(p)
}

func (f *faulty) Delete(ctx context.Context, name string) error {
	if err := f.next(); err != nil {
		return err
	}
	if err := f.Backend.Delete(ctx, name); err != nil {
		return err
	}
	return f.next()
}

func (f *faulty) Free(ctx context.Context) (uint64, error) {
	if err := f.next(); err != nil {
		return 0, err
	}
	return f.Backend.(backends.Spacer).Free(ctx)
}
