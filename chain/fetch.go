package chain

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
	"syscall"

	"tklbam/chain/collection"
	"tklbam/chain/manifest"
	"tklbam/chain/seal"
)

// A fetched is a volume at hand: its stored bytes are here and were compared
// with the manifest's hash before any of them is used.
type fetched struct {
	info    manifest.Volume
	name    string // "" when the store lacks it
	title   string // what it is in a sentence
	file    io.ReadCloser
	err     error // the volume can't be had at all
	damaged error // its bytes are not those that were stored
}

// fatal reports whether an error would meet every other file as well.
func fatal(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS) ||
		errors.Is(err, syscall.EMFILE) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// prefetch fetches volumes, some at once, and hands them on in order.
func (r *fetcher) prefetch(ctx context.Context, vols []manifest.Volume, set *collection.Set) <-chan fetched {
	out, turns := make(chan fetched), make(chan chan fetched, max(r.parallel, 1)-1)
	go func() {
		defer close(turns)
		for _, v := range vols {
			turn := make(chan fetched, 1)
			select {
			case turns <- turn:
			case <-ctx.Done():
				return
			}
			go func() { turn <- r.fetch(ctx, v, set) }()
		}
	}()
	go func() {
		defer close(out)
		for turn := range turns {
			f := <-turn
			select {
			case out <- f:
			case <-ctx.Done():
				f.close()
			}
		}
	}()
	return out
}

// A fetcher brings volumes of a store here.
type fetcher struct {
	store    Reader
	scratch  string // directory for scratch files
	parallel int    // volumes that are fetched at once
}

// A dropper is a store that has kept what it gave before, and can forget it.
type dropper interface{ Drop(name string) }

// fetch brings a volume here. One that a store had kept may have been damaged
// on its way there.
func (r *fetcher) fetch(ctx context.Context, v manifest.Volume, set *collection.Set) fetched {
	f := fetchVolume(ctx, r.store, r.scratch, v, set)
	if d, ok := r.store.(dropper); ok && f.damaged != nil {
		d.Drop(f.name)
		f.close()
		return fetchVolume(ctx, r.store, r.scratch, v, set)
	}
	return f
}

func (f *fetched) close() {
	if f.file != nil {
		f.file.Close()
	}
}

// fetchVolume brings a volume here. Content that can be read twice is hashed
// where it is; any other is copied to a scratch file that has no name.
func fetchVolume(ctx context.Context, store Reader, scratch string, v manifest.Volume, set *collection.Set) fetched {
	out := fetched{info: v}
	listed, ok := set.Volume(v.Number)
	if !ok {
		out.title = fmt.Sprintf("volume %d of the %s", v.Number, set)
		out.err = fmt.Errorf("%s is missing", out.title)
		return out
	}
	name := listed.File.Name
	out.name, out.title = name, fmt.Sprintf("volume %q", name)
	f, err := store.Open(ctx, name)
	if err != nil {
		out.err = fmt.Errorf("open volume %q: %w", name, err)
		return out
	}
	seeker, ok := f.(io.ReadSeeker)
	if !ok {
		defer f.Close()
		if out.file, out.err = spoolVolume(f, scratch); out.err != nil {
			out.err = fmt.Errorf("fetch volume %q: %w", name, out.err)
			return out
		}
		seeker = out.file.(io.ReadSeeker)
	} else {
		out.file = f
	}
	out.damaged = checkHash(seeker, v, listed.Suffix)
	if _, err := seeker.Seek(0, io.SeekStart); err != nil {
		out.err = fmt.Errorf("read volume %q: %w", name, err)
	}
	return out
}

func spoolVolume(r io.Reader, scratch string) (io.ReadCloser, error) {
	f, err := os.CreateTemp(scratch, "volume-")
	if err != nil {
		return nil, err
	}
	if err = os.Remove(f.Name()); err == nil {
		_, err = io.Copy(f, r)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// storedSHA1 is the type of the hash of an age volume as it is stored. Its
// hash of type SHA1 is of the plain volume.
const storedSHA1 = "STORED-SHA1"

type hashKind struct {
	name string
	new  func() hash.Hash
}

// hashKinds lists the hashes of stored bytes that volumes of a suffix can
// have in the manifest, the best first.
func hashKinds(suffix string) []hashKind {
	if suffix == seal.ZstdAge.Suffix() {
		return []hashKind{{storedSHA1, sha1.New}}
	}
	return []hashKind{{"SHA1", sha1.New}, {"MD5", md5.New}}
}

// checkHash compares a volume's bytes with the best hash in the manifest.
func checkHash(r io.Reader, v manifest.Volume, suffix string) error {
	for _, kind := range hashKinds(suffix) {
		want := v.Hash(kind.name)
		if want == "" {
			continue
		}
		h := kind.new()
		if _, err := io.Copy(h, r); err != nil {
			return err
		}
		if got := hex.EncodeToString(h.Sum(nil)); !strings.EqualFold(got, want) {
			return fmt.Errorf("%s is %s, the manifest says %s", kind.name, got, want)
		}
		return nil
	}
	return nil
}

// A readAhead reads its source in a goroutine of its own, so that decoding
// and writing overlap.
type readAhead struct {
	chunks chan []byte
	spare  chan []byte
	stop   chan struct{}
	done   chan struct{}
	cur    bytes.Reader
	held   []byte
	err    error // of the source, valid once chunks is closed
}

const (
	aheadChunk  = 256 << 10
	aheadChunks = 8
)

func newReadAhead(r io.Reader) *readAhead {
	a := &readAhead{
		chunks: make(chan []byte, aheadChunks), spare: make(chan []byte, aheadChunks+2),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go a.run(r)
	return a
}

func (a *readAhead) run(r io.Reader) {
	defer close(a.done)
	defer close(a.chunks)
	for {
		var buf []byte
		select {
		case buf = <-a.spare:
		default:
			buf = make([]byte, aheadChunk)
		}
		n, err := fillFrom(r, buf[:aheadChunk])
		if n > 0 {
			select {
			case a.chunks <- buf[:n]:
			case <-a.stop:
				return
			}
		}
		if err != nil {
			a.err = err
			return
		}
	}
}

// fillFrom reads until buf is full or the source has no more. Unlike
// io.ReadFull it leaves the source's error alone: an unexpected end must stay one.
func fillFrom(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

func (a *readAhead) Read(p []byte) (int, error) {
	for a.cur.Len() == 0 {
		if a.held != nil {
			a.spare <- a.held
			a.held = nil
		}
		chunk, ok := <-a.chunks
		if !ok {
			return 0, a.err
		}
		a.held = chunk
		a.cur.Reset(chunk)
	}
	return a.cur.Read(p)
}

// Close ends the reading; the source is free once it returns.
func (a *readAhead) Close() {
	close(a.stop)
	for range a.chunks {
	}
	<-a.done
}

// unsealed opens a fetched volume's content.
func (f *fetched) unsealed(opener *seal.Opener) (io.ReadCloser, error) {
	enc, err := encodingOf(f.name)
	if err != nil {
		return nil, err
	}
	plain, err := opener.Open(f.file, enc)
	if err != nil {
		return nil, named(f.name, wrongSecret(err))
	}
	return &stored{plain: plain, raw: io.NopCloser(nil), name: f.name}, nil
}
