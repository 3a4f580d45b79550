package chain

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"hash"
	"io"
	"runtime"
	"sync"

	"tklbam/chain/archive"
	"tklbam/chain/filename"
	"tklbam/chain/manifest"
	"tklbam/chain/seal"
)

// An uploader turns blocks into volumes in the store: it compresses blocks on
// all cores, encrypts them in order, and begins the next volume while the one
// before becomes durable.
type uploader struct {
	ctx      context.Context
	store    Store
	sealer   *seal.Sealer
	pool     *bufferPool
	name     filename.Name // of the set's volumes, but for the number
	volSize  int64
	parallel int
	next     int // number of the next volume
	durable  func(m mark) error
	journal  *journal
	report   Reporter

	work  chan *job // to the compressors
	order chan *job // to the volumes
	quit  chan struct{}
	done  chan error
	group sync.WaitGroup
	once  sync.Once
	err   error
}

// A job is a block on its way through compression.
type job struct {
	block
	segment []byte
	err     error
	ready   chan struct{}
}

// inFlight is how many volumes may be on their way into the store besides the
// one being written, if nothing else is said: what becomes durable.
const inFlight = 2

// start begins the goroutines; Close ends them.
func (u *uploader) start() {
	workers := runtime.GOMAXPROCS(0)
	u.work = make(chan *job)
	u.order = make(chan *job, workers)
	u.quit = make(chan struct{})
	u.done = make(chan error, 1)
	for range workers {
		u.group.Go(u.compress)
	}
	go func() { u.done <- u.volumes() }()
}

// add takes a block over.
func (u *uploader) add(b block) error {
	j := &job{block: b, ready: make(chan struct{})}
	for _, c := range []chan *job{u.work, u.order} {
		select {
		case c <- j:
		case <-u.quit:
			return u.err
		case <-u.ctx.Done():
			return u.ctx.Err()
		}
	}
	return nil
}

// finish waits until every block is in a volume of the store.
func (u *uploader) finish() error {
	close(u.order)
	close(u.work)
	err := <-u.done
	u.group.Wait()
	return err
}

// abort gives up what is under way.
func (u *uploader) abort(cause error) {
	u.fail(cause)
	<-u.done
	close(u.work)
	u.group.Wait()
}

func (u *uploader) fail(err error) {
	u.once.Do(func() {
		u.err = err
		close(u.quit)
	})
}

func (u *uploader) compress() {
	for j := range u.work {
		j.segment, j.err = u.sealer.Compress(u.pool.get(), j.data)
		if !u.hashesPlain() {
			u.pool.put(j.data)
			j.data = nil
		}
		close(j.ready)
	}
}

// volumes writes volume after volume until the blocks end. A set without any
// entry has one volume too, empty: readers want it.
func (u *uploader) volumes() error {
	var puts sync.WaitGroup
	if u.parallel < 1 {
		u.parallel = inFlight
	}
	slots := make(chan struct{}, 1+u.parallel)
	first, err := u.take()
	if err == io.EOF && u.next == 1 {
		err = nil
	}
	for err == nil {
		slots <- struct{}{}
		v := &volume{u: u, number: u.next, pending: first, filled: make(chan struct{})}
		u.next++
		puts.Go(func() {
			defer func() { <-slots }()
			if perr := v.put(); perr != nil {
				u.fail(perr)
			}
			v.fill.Do(func() { close(v.filled) })
		})
		<-v.filled
		if first = v.pending; first == nil {
			break
		}
		select {
		case <-u.quit:
			err = u.err
		default:
		}
	}
	puts.Wait()
	if err == nil || err == io.EOF {
		select {
		case <-u.quit:
			err = u.err
		default:
			err = nil
		}
	}
	return err
}

// take waits for the next block, compressed; io.EOF after the last.
func (u *uploader) take() (*job, error) {
	select {
	case j, ok := <-u.order:
		if !ok {
			return nil, io.EOF
		}
		select {
		case <-j.ready:
			return j, j.err
		case <-u.quit:
			return nil, u.err
		}
	case <-u.quit:
		return nil, u.err
	case <-u.ctx.Done():
		return nil, u.ctx.Err()
	}
}

// A volume is one being written.
type volume struct {
	u       *uploader
	number  int
	pending *job // the first block; afterwards the one that did not fit, nil at the end
	fill    sync.Once
	filled  chan struct{}
}

func (v *volume) put() error {
	if err := v.u.room(v.number); err != nil {
		return err
	}
	name := v.u.name
	name.Volume = v.number
	return v.u.store.Put(v.u.ctx, name.String(), func(w io.Writer) error {
		return v.write(name.String(), w)
	})
}

// room checks, before a volume is begun, that the store can take it. The
// first may turn out to be small; whoever fills one will fill another.
func (u *uploader) room(number int) error {
	s, ok := u.store.(spacer)
	if !ok {
		return nil
	}
	free, err := s.Free(u.ctx)
	if err != nil {
		return err
	}
	need := int64(blockSize)
	if number > 1 {
		need = u.volSize
	}
	if free < uint64(need) {
		return &NoSpaceError{Where: "in the target", Need: need, Free: int64(free)}
	}
	return nil
}

// write produces the volume's content and journals it, before the store makes
// it appear.
func (v *volume) write(name string, w io.Writer) error {
	defer v.fill.Do(func() { close(v.filled) })
	stored, plain := sha1.New(), sha1.New()
	size := &countingWriter{w: io.MultiWriter(w, stored)}
	env, err := v.u.sealer.Seal(size)
	if err != nil {
		return err
	}
	info := manifest.Volume{Number: v.number}
	if v.pending != nil {
		info.Start = v.pending.first
	}
	var last mark
	for v.pending != nil && (!last.Started || size.n < v.u.volSize) {
		j := v.pending
		before := size.n
		if err := env.WriteSegment(j.segment); err != nil {
			return err
		}
		v.u.pool.put(j.segment)
		if j.data != nil {
			plain.Write(j.data)
			v.u.pool.put(j.data)
		}
		info.End, last = j.last, j.mark
		v.u.report.Add(0, 0, size.n-before)
		if v.pending, err = v.u.take(); err != nil && err != io.EOF {
			return err
		}
	}
	if err := v.end(env); err != nil {
		return err
	}
	plain.Write(archive.Footer)
	info.Hashes = v.u.hashes(stored, plain)
	if err := v.u.durable(last); err != nil {
		return err
	}
	return v.u.journal.add(journalVolume{Volume: fromVolume(info), Name: name, Size: size.n, Mark: last})
}

// hashesPlain reports whether the manifest is to have the hash of the plain
// volume: stock can't read age, and what it compares is the volume that
// "age -d" and "zstd -d" leave.
func (u *uploader) hashesPlain() bool { return u.name.Suffix == seal.ZstdAge.Suffix() }

func (u *uploader) hashes(stored, plain hash.Hash) []manifest.Hash {
	s := manifest.Hash{Type: "SHA1", Hex: hex.EncodeToString(stored.Sum(nil))}
	if !u.hashesPlain() {
		return []manifest.Hash{s}
	}
	s.Type = storedSHA1
	return []manifest.Hash{{Type: "SHA1", Hex: hex.EncodeToString(plain.Sum(nil))}, s}
}

// end writes the end of the tar and of the envelope.
func (v *volume) end(env *seal.Envelope) error {
	footer, err := v.u.sealer.Compress(nil, archive.Footer)
	if err != nil {
		return err
	}
	if err := env.WriteSegment(footer); err != nil {
		return err
	}
	return env.Close()
}

// A countingWriter counts what passes.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
