package chain

import (
	"bytes"

	"tklbam/chain/archive"
	"tklbam/chain/manifest"
)

// pieceSize is how much of a file's data one tar entry takes: data above it
// is cut. Stock cuts at 64 KiB; larger pieces save headers, and a multiple of
// every block length lets a resumed session check the pieces before it by
// their signature.
const pieceSize = 256 << 10

// blockSize is how much of the tar stream is compressed at once: large enough
// that blocks compressed apart lose little, small enough that a volume's size
// is met closely. Small volumes take smaller blocks.
const blockSize = 1 << 20

// A block is a run of whole tar entries: the unit of compression, and what
// volumes are made of.
type block struct {
	data        []byte
	first, last manifest.Position
	mark        mark
}

// A mark is where a session stands after a block: what it needs to go on from
// there in another process.
type mark struct {
	Path    []byte // of the last entry begun
	Piece   int    // pieces of it so far, 0 when the entry is complete
	Started bool   // whether there was an entry at all
	Done    bool   // whether it was the last

	Index      int64  // bytes of the session's layer
	Signatures int64  // bytes of its signatures
	SigStart   int64  // where those of an incomplete entry begin
	Identity   string // of an incomplete entry: see identity
	Counts     counts
}

// counts are the figures of a Summary that a resumed session carries on.
type counts struct {
	New, Changed, Deleted, Read int64
}

// A blockWriter gathers records into blocks and hands each full one on.
type blockWriter struct {
	size int
	emit func(block) error
	pool *bufferPool
	buf  bytes.Buffer
	w    *archive.Writer
	cur  block
	any  bool
}

func newBlockWriter(size int, pool *bufferPool, emit func(block) error) *blockWriter {
	b := &blockWriter{size: size, pool: pool, emit: emit, buf: *bytes.NewBuffer(pool.get())}
	b.w = archive.NewWriter(&b.buf)
	return b
}

// add appends one record with its body. The block ends only when cut is
// called: a block's mark must be the state after its last record.
func (b *blockWriter) add(r archive.Record, body []byte) error {
	at := manifest.Position{Path: r.Entry.Path, Piece: r.Piece}
	if !b.any {
		b.cur.first, b.any = at, true
	}
	b.cur.last = at
	if err := b.w.Begin(r); err != nil {
		return err
	}
	if _, err := b.w.Write(body); err != nil {
		return err
	}
	return b.w.Flush()
}

// cut ends the block at m if it has the size, or if it must.
func (b *blockWriter) cut(m mark, must bool) error {
	if !b.any || b.buf.Len() < b.size && !must {
		return nil
	}
	b.cur.data, b.cur.mark = b.buf.Bytes(), m
	done := b.cur
	b.buf = *bytes.NewBuffer(b.pool.get())
	b.cur, b.any = block{}, false
	return b.emit(done)
}

// pieces cuts a file's data into records: one if it is short, numbered ones
// if it is not.
type pieces struct {
	rec   archive.Record
	buf   []byte
	n     int
	skip  int // pieces already in the chain, from before an interruption
	write func(r archive.Record, body []byte) error
}

func (p *pieces) Write(data []byte) (int, error) {
	total := len(data)
	for len(data) > 0 {
		if len(p.buf) == pieceSize {
			if err := p.flush(p.n + 1); err != nil {
				return 0, err
			}
		}
		n := min(pieceSize-len(p.buf), len(data))
		p.buf = append(p.buf, data[:n]...)
		data = data[n:]
	}
	return total, nil
}

// Close writes the last piece, or the only record.
func (p *pieces) Close() error {
	if p.n == 0 {
		return p.flush(0)
	}
	return p.flush(p.n + 1)
}

func (p *pieces) flush(number int) error {
	body := p.buf
	p.buf = p.buf[:0]
	p.n = number
	if number > 0 && number <= p.skip {
		return nil
	}
	p.rec.Piece, p.rec.Size = number, int64(len(body))
	return p.write(p.rec, body)
}

// A bufferPool hands large buffers round, so that none is garbage: what the
// collector frees late would show as memory.
type bufferPool struct {
	free chan []byte
	size int // capacity of a new buffer
}

// newBufferPool makes a pool that keeps up to n buffers.
func newBufferPool(n, size int) *bufferPool {
	return &bufferPool{make(chan []byte, n), size}
}

func (b *bufferPool) get() []byte {
	select {
	case buf := <-b.free:
		return buf[:0]
	default:
		return make([]byte, 0, b.size)
	}
}

func (b *bufferPool) put(buf []byte) {
	select {
	case b.free <- buf:
	default:
	}
}
