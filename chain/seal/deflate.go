package seal

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/flate"
)

// deflateLevel makes files 1 to 3 % larger than gzip -6 at four times the
// speed. Blocks of noise are stored at gigabytes a second; from level 7 on
// they would cost as much as text.
const deflateLevel = 6

// deflateEnd is the empty final block which ends a deflate stream. It starts
// on a byte boundary, where every segment leaves off.
const deflateEnd = "\x03\x00"

// A deflater turns blocks into pieces of deflate stream that can be joined:
// no piece refers back to another, each ends on a byte boundary (a sync
// flush, RFC 1951's empty stored block), and none is marked as the last.
type deflater struct {
	pool sync.Pool // *deflateWriter
}

type deflateWriter struct {
	flate *flate.Writer
	out   []byte
}

func (w *deflateWriter) Write(p []byte) (int, error) {
	w.out = append(w.out, p...)
	return len(p), nil
}

func (d *deflater) writer() (*deflateWriter, error) {
	if w, ok := d.pool.Get().(*deflateWriter); ok {
		return w, nil
	}
	w := new(deflateWriter)
	var err error
	w.flate, err = flate.NewWriter(w, deflateLevel)
	return w, err
}

// compress appends block's piece of the stream to dst.
func (d *deflater) compress(dst, block []byte) ([]byte, error) {
	w, err := d.writer()
	if err != nil {
		return nil, fmt.Errorf("prepare deflate: %w", err)
	}
	w.out = dst
	w.flate.Reset(w)
	if _, err := w.flate.Write(block); err != nil {
		return nil, fmt.Errorf("deflate block: %w", err)
	}
	if err := w.flate.Flush(); err != nil {
		return nil, fmt.Errorf("deflate block: %w", err)
	}
	dst, w.out = w.out, nil
	d.pool.Put(w)
	return dst, nil
}
