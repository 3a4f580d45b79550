package sftp

import (
	"context"
	"fmt"
	"io"
	"sync"

	sftplib "github.com/pkg/sftp"

	"tklbam/backends"
)

const (
	// packetSize is the content of one request: what every server takes.
	packetSize = 32 << 10

	// requests is how many may be unanswered for one file. Together they
	// are the flow control window of a channel, here as in OpenSSH; more
	// would wait there.
	requests = 64
)

// sender writes a file with many requests under way.
type sender struct {
	ctx    context.Context
	file   *sftplib.File
	offset int64
	free   chan []byte // a buffer, or nil for one to be made, for every request that may be sent

	mu  sync.Mutex
	err error // the first
}

func newSender(ctx context.Context, file *sftplib.File) *sender {
	s := &sender{ctx: ctx, file: file, free: make(chan []byte, requests)}
	for range requests {
		s.free <- nil
	}
	return s
}

// Write sends p, which it copies, and does not wait for the answer. It returns
// errors of earlier ones.
func (s *sender) Write(p []byte) (n int, err error) {
	for n < len(p) {
		buf, err := s.buffer()
		if err != nil {
			return n, err
		}
		buf = append(buf[:0], p[n:min(n+packetSize, len(p))]...)
		go s.send(buf, s.offset)
		n += len(buf)
		s.offset += int64(len(buf))
	}
	return n, nil
}

// buffer waits for the right to send another request.
func (s *sender) buffer() ([]byte, error) {
	if err := s.failed(); err != nil {
		return nil, err
	}
	select {
	case buf := <-s.free:
		if buf == nil {
			buf = make([]byte, 0, packetSize)
		}
		return buf, nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

func (s *sender) send(buf []byte, offset int64) {
	n, err := s.file.WriteAt(buf, offset)
	if err == nil && n < len(buf) {
		err = io.ErrShortWrite
	}
	if err != nil {
		s.mu.Lock()
		if s.err == nil {
			s.err = cause(err)
		}
		s.mu.Unlock()
	}
	s.free <- buf
}

// wait waits for all answers.
func (s *sender) wait() error {
	for range requests {
		select {
		case <-s.free:
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
	return s.failed()
}

func (s *sender) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// receiver reads a file with many requests under way. It reads as many bytes
// as the file had when it was opened: a file that then ends earlier is an
// error.
type receiver struct {
	ctx     context.Context // ends with the one of Open, and with Close
	cancel  context.CancelFunc
	release func()          // frees the file
	chunks  chan chan chunk // the answers in order; as many as may be under way
	free    chan []byte     // buffers that were read
	current chunk           // what is being read
	buf     []byte          // of current, whole
}

// A chunk is the answer to one request.
type chunk struct {
	data []byte
	err  error
}

// newReceiver reads a file of the given size; release is called when nothing
// uses it any more.
func newReceiver(ctx context.Context, file *sftplib.File, size int64, release func()) *receiver {
	ctx, cancel := context.WithCancel(ctx)
	r := &receiver{
		ctx: ctx, cancel: cancel, release: release,
		chunks: make(chan chan chunk, requests), free: make(chan []byte, requests),
	}
	go r.request(file, size)
	return r
}

// request sends the requests, up to the end of the file or of the reader.
func (r *receiver) request(file *sftplib.File, size int64) {
	var pending sync.WaitGroup
	defer func() {
		close(r.chunks)
		pending.Wait()
		r.release()
	}()
	for offset := int64(0); offset < size; offset += packetSize {
		answer := make(chan chunk, 1)
		select {
		case r.chunks <- answer:
		case <-r.ctx.Done():
			return
		}
		length := min(packetSize, size-offset)
		pending.Go(func() { answer <- r.fetch(file, offset, int(length)) })
	}
}

func (r *receiver) fetch(file *sftplib.File, offset int64, length int) chunk {
	var buf []byte
	select {
	case buf = <-r.free:
	default:
		buf = make([]byte, packetSize)
	}
	n, err := file.ReadAt(buf[:length], offset)
	switch {
	case n == length:
		return chunk{data: buf[:length]}
	case err == nil || err == io.EOF:
		err = fmt.Errorf("%w: the file ends at byte %d", backends.ErrUnavailable, offset+int64(n))
	}
	return chunk{err: cause(err)}
}

// Read implements io.Reader.
func (r *receiver) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if len(r.current.data) == 0 && r.current.err == nil {
		r.next()
	}
	n := copy(p, r.current.data)
	r.current.data = r.current.data[n:]
	if n == 0 {
		return 0, r.current.err
	}
	return n, nil
}

// next waits for the next chunk.
func (r *receiver) next() {
	if r.buf != nil {
		select {
		case r.free <- r.buf[:packetSize]:
		default:
		}
		r.buf = nil
	}
	r.current = chunk{err: io.EOF}
	select {
	case answer, more := <-r.chunks:
		if more {
			r.await(answer)
		}
	case <-r.ctx.Done():
		r.current.err = r.ctx.Err()
	}
}

func (r *receiver) await(answer chan chunk) {
	select {
	case r.current = <-answer:
		r.buf = r.current.data
	case <-r.ctx.Done():
		r.current.err = r.ctx.Err()
	}
}

// Close implements io.Closer. The file is freed when the last answer is here.
func (r *receiver) Close() error {
	r.cancel()
	return nil
}
