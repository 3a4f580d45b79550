package seal

import (
	"io"
	"runtime"
)

// writerBlock is the length of a Writer's blocks in bytes. What is written
// this way are signatures, of which most is hashes: longer blocks would not
// make them smaller.
const writerBlock = BlockSize / 2

// NewWriter returns a Writer which seals what is written to it as one file
// on w. It cuts blocks of writerBlock, compresses them on all cores and holds
// one more than there are cores in memory, with their segments. All writing
// to w is done inside Write and Close. The file is complete once Close has
// returned nil; w stays open. An error in starting the file is returned by
// the first call of either.
func (s *Sealer) NewWriter(w io.Writer) io.WriteCloser {
	e, err := s.Seal(w)
	return &writer{sealer: s, envelope: e, width: runtime.GOMAXPROCS(0), err: err}
}

type writer struct {
	sealer   *Sealer
	envelope *Envelope
	filling  *job   // takes what is written; nil before the first byte of a block
	running  []*job // being compressed, in the order of the file
	width    int    // how many may run
	err      error
}

// A job is a block on its way to be a segment.
type job struct {
	block, segment []byte
	err            error
	done           chan struct{}
}

func (s *Sealer) newJob() *job {
	j, ok := s.jobs.Get().(*job)
	if !ok {
		j = new(job)
	}
	j.block, j.segment, j.done = j.block[:0], j.segment[:0], make(chan struct{})
	return j
}

func (w *writer) Write(p []byte) (int, error) {
	written := 0
	for w.err == nil && written < len(p) {
		if w.filling == nil {
			w.filling = w.sealer.newJob()
		}
		n := min(len(p)-written, writerBlock-len(w.filling.block))
		w.filling.block = append(w.filling.block, p[written:written+n]...)
		written += n
		if len(w.filling.block) == writerBlock {
			w.launch()
		}
	}
	return written, w.err
}

// launch starts to compress the block that was being filled, once there is
// room for it.
func (w *writer) launch() {
	w.collect(w.width - 1)
	j := w.filling
	w.filling = nil
	w.running = append(w.running, j)
	go func() {
		defer close(j.done)
		j.segment, j.err = w.sealer.Compress(j.segment, j.block)
	}()
}

// collect writes out the oldest segments until no more than leave jobs run.
func (w *writer) collect(leave int) {
	for len(w.running) > leave {
		j := w.running[0]
		w.running = w.running[1:]
		<-j.done
		if w.err == nil {
			w.err = j.err
		}
		if w.err == nil {
			w.err = w.envelope.WriteSegment(j.segment)
		}
		w.sealer.jobs.Put(j)
	}
}

func (w *writer) Close() error {
	if w.err == nil && w.filling != nil {
		w.launch()
	}
	w.collect(0)
	if w.err != nil {
		return w.err
	}
	if w.err = w.envelope.Close(); w.err != nil {
		return w.err
	}
	w.err = errClosed
	return nil
}
