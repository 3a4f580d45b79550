package backendtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"tklbam/backends"
)

// memory is a backend that keeps the contract, unless its fault names a
// sentence to break.
type memory struct {
	fault  string
	mu     sync.Mutex
	files  map[string][]byte
	closed bool
}

func (m *memory) check(ctx context.Context, name string) error {
	if m.closed && m.fault != "works after close" {
		return fs.ErrClosed
	}
	if m.fault == "takes any name" {
		return ctx.Err()
	}
	return errors.Join(ctx.Err(), backends.CheckName(name))
}

func (m *memory) List(ctx context.Context, fn func(string, int64) error) error {
	if err := m.check(ctx, "any"); err != nil && m.fault != "list ignores context" {
		return err
	}
	m.mu.Lock()
	files := maps.Clone(m.files)
	m.mu.Unlock()
	names := slices.Collect(maps.Keys(files))
	switch {
	case m.fault == "lists one page":
		names = names[:min(len(names), 1000)]
	case m.fault == "lists a name twice" && len(names) > 2000:
		names = append(names, names[0])
	case m.fault == "lists in parallel":
		return inParallel(names, fn)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil && m.fault != "list ignores context" {
			return err
		}
		size := int64(len(files[name]))
		if m.fault == "lists blocks" {
			size = (size + 511) / 512 * 512
		}
		if err := fn(name, size); err != nil {
			return m.stopped(err)
		}
	}
	return nil
}

func (m *memory) stopped(err error) error {
	if m.fault == "list hides error" {
		return nil
	}
	return err
}

func inParallel(names []string, fn func(string, int64) error) error {
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { errs[i] = fn(name, 4) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (m *memory) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := m.check(ctx, name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.files[name]
	if !ok && m.fault != "absent is empty" {
		return nil, fmt.Errorf("open %q: %w", name, fs.ErrNotExist)
	}
	return &memoryReader{ctx: ctx, m: m, name: name, p: p}, nil
}

type memoryReader struct {
	ctx    context.Context
	m      *memory
	name   string
	p      []byte
	offset int
}

func (r *memoryReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil && r.m.fault != "read ignores context" {
		return 0, err
	}
	content := r.p
	switch r.m.fault {
	case "reads mix versions":
		r.m.mu.Lock()
		defer r.m.mu.Unlock()
		content = r.m.files[r.name]
	case "reads end early":
		content = content[:min(len(content), 10<<20)]
	}
	n := copy(p, content[min(r.offset, len(content)):])
	r.offset += n
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (r *memoryReader) Close() error { return nil }

func (m *memory) Put(ctx context.Context, name string, write func(io.Writer) error) error {
	if err := m.check(ctx, name); err != nil {
		return err
	}
	w := &memoryWriter{ctx: ctx, m: m}
	if m.fault == "shows what is being stored" {
		m.store(name, nil)
	}
	err := write(w)
	if err == nil && m.fault != "stores when cancelled" {
		err = ctx.Err()
	}
	if err == nil || m.fault == "keeps a part" {
		m.store(name, w.Bytes())
	}
	if m.fault == "put loses error" && err != nil {
		return errors.New("put: something went wrong")
	}
	return err
}

func (m *memory) store(name string, p []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault == "appends" {
		p = append(m.files[name], p...)
	}
	m.files[name] = p
}

type memoryWriter struct {
	ctx context.Context
	m   *memory
	bytes.Buffer
}

func (w *memoryWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil && w.m.fault != "write ignores context" {
		return 0, err
	}
	n, err := w.Buffer.Write(p)
	if w.m.fault == "writes short" {
		n /= 2
	}
	return n, err
}

func (m *memory) Delete(ctx context.Context, name string) error {
	if err := m.check(ctx, name); err != nil && (m.fault != "delete ignores context" || m.closed) {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.files[name]; !ok && m.fault == "delete wants a file" {
		return fs.ErrNotExist
	}
	delete(m.files, name)
	if m.fault == "deletes by prefix" {
		maps.DeleteFunc(m.files, func(other string, _ []byte) bool { return len(other) > len(name) && other[:len(name)] == name })
	}
	return nil
}

func (m *memory) Close() error {
	if m.closed && m.fault == "closes once" {
		return fs.ErrClosed
	}
	m.closed = true
	return nil
}

func (m *memory) String() string {
	if m.fault == "prints its password" {
		return "memory://user:secret@host"
	}
	return "memory://user@host"
}
