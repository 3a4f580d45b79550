package chain

import (
	"runtime"
	"sync"

	"tklbam/chain/archive"
)

// writers put small files in place on all cores while the volume is read on:
// most of their cost is the file system's.
type writers struct {
	jobs  chan writeJob
	group sync.WaitGroup
	pool  *bufferPool
	mu    sync.Mutex
	err   error // the first that ends the restore
}

// A writeJob is a whole file in memory.
type writeJob struct {
	entry   archive.Entry
	content []byte
	doubt   error
}

// writersAhead bounds the files, of up to pieceSize bytes, that wait.
const writersAhead = 32

func newWriters(r *restorer) *writers {
	w := &writers{jobs: make(chan writeJob, writersAhead), pool: newBufferPool(writersAhead, 16<<10)}
	for range runtime.GOMAXPROCS(0) {
		w.group.Go(func() {
			for job := range w.jobs {
				if err := job.write(r); err != nil {
					w.fail(err)
				}
				w.pool.put(job.content)
			}
		})
	}
	return w
}

func (f *writeJob) write(r *restorer) error {
	s := newFileSink(r, &f.entry, f.doubt)
	if _, err := s.Write(f.content); err != nil {
		s.drop()
		return lost(r.report, f.entry.Path, err)
	}
	return s.done()
}

func (w *writers) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

func (w *writers) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// wait ends the writers once they have written all there is.
func (w *writers) wait() error {
	close(w.jobs)
	w.group.Wait()
	return w.err
}

// A smallSink gathers a small file and leaves it to the writers.
type smallSink struct {
	w    *writers
	file writeJob
}

func newSmallSink(w *writers, e *archive.Entry, doubt error) *smallSink {
	return &smallSink{w, writeJob{*e, w.pool.get(), doubt}}
}

func (s *smallSink) path() string { return s.file.entry.Path }

func (s *smallSink) Write(p []byte) (int, error) {
	s.file.content = append(s.file.content, p...)
	return len(p), nil
}

func (s *smallSink) done() error {
	s.w.jobs <- s.file
	return s.w.failed()
}

func (s *smallSink) drop() { s.w.pool.put(s.file.content) }
