package chain

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"

	"tklbam/chain/collection"
	"tklbam/chain/seal"
	"tklbam/chain/state"
)

// A cache keeps, on the machine that is backed up, what an incremental
// session needs of the chain it extends: the merged state, the signatures of
// each set, and the last manifest as it is stored, to check the secret with.
// The chain is the truth: a cache that does not agree with the listing is
// brought up to it, from nothing if need be.
//
// head.json says which files count. It is replaced last, so that a crash
// leaves the old cache or the new one; files it does not name are leftovers.
type cache struct {
	dir  string
	head cacheHead
}

const cacheVersion = 1

type cacheHead struct {
	Version  int
	State    string // file with the merged state
	Manifest string // file with the last manifest, sealed
	Sets     []cachedSet
}

// A cachedSet identifies a set as the listing shows it.
type cachedSet struct {
	Manifest       string
	ManifestSize   int64
	Signatures     string
	SignaturesSize int64
	Local          string // file with the plain signatures
}

const headName = "head.json"

// stateWindow is what the state is compressed within, in bytes: paths repeat
// nearby, and reading takes no more memory than this.
const stateWindow = 128 << 10

// openCache reads the cache in dir; one that can't be read is an empty one.
func openCache(dir string) (*cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &cache{dir: dir}
	raw, err := os.ReadFile(c.path(headName))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(raw, &c.head) != nil || c.head.Version != cacheVersion {
		c.head = cacheHead{}
	}
	return c, nil
}

func (c *cache) path(name string) string { return filepath.Join(c.dir, name) }

func listed(s *collection.Set) cachedSet {
	return cachedSet{
		Manifest: s.Manifest.Name, ManifestSize: s.Manifest.Size,
		Signatures: s.Signatures.Name, SignaturesSize: s.Signatures.Size,
	}
}

// known counts the leading sets that the cache has as they are listed. A
// cache with sets the chain lacks knows none: its state is of another time.
func (c *cache) known(sets []*collection.Set) int {
	if len(c.head.Sets) > len(sets) {
		return 0
	}
	for i, have := range c.head.Sets {
		have.Local = ""
		if have != listed(sets[i]) {
			return 0
		}
	}
	return len(c.head.Sets)
}

// sync brings the cache to the chain's sets, reading from the target only
// the signature files it does not have.
func (c *cache) sync(ctx context.Context, store Reader, opener *seal.Opener, sets []*collection.Set, rep Reporter) error {
	known := c.known(sets)
	if known == len(sets) && c.usable() {
		return nil
	}
	if known == 0 || !c.usable() {
		known, c.head = 0, cacheHead{Version: cacheVersion}
	}
	rep.Note(fmt.Sprintf("reading the signatures of %d of %d sets from the target", len(sets)-known, len(sets)))
	tmp, err := os.MkdirTemp(c.dir, "sync-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	var layers []string
	head := c.head
	head.Sets = slices.Clone(head.Sets)
	for i := known; i < len(sets); i++ {
		layer := filepath.Join(tmp, fmt.Sprint(i))
		set, err := c.fetch(ctx, store, opener, sets[i], i, layer)
		if err != nil {
			return err
		}
		layers = append(layers, layer)
		head.Sets = append(head.Sets, set)
	}
	return c.commit(head, layers, func(w io.Writer) error {
		return fetch(ctx, store, sets[len(sets)-1].Manifest.Name, w)
	})
}

// usable reports whether the files of the head are all there.
func (c *cache) usable() bool {
	names := []string{c.head.State, c.head.Manifest}
	for _, s := range c.head.Sets {
		names = append(names, s.Local)
	}
	for _, name := range names {
		if st, err := os.Stat(c.path(name)); err != nil || !st.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// fetch reads one set's signature file into a layer and a file of signatures.
func (c *cache) fetch(ctx context.Context, store Reader, opener *seal.Opener, s *collection.Set, ordinal int, layer string) (cachedSet, error) {
	set := listed(s)
	set.Local = localSignatures(s)
	plain, err := openStored(ctx, store, opener, s.Signatures.Name)
	if err != nil {
		return set, err
	}
	defer plain.Close()
	err = writeFile(layer, func(lw io.Writer) error {
		w := state.NewWriter(lw)
		err := writeFile(c.path(set.Local), func(sw io.Writer) error {
			return readSigtar(plain, ordinal, w, sw)
		})
		return errors.Join(err, w.Close())
	})
	if err != nil {
		return set, named(s.Signatures.Name, err)
	}
	return set, nil
}

func localSignatures(s *collection.Set) string {
	return "signatures-" + s.End.Format("20060102T150405Z")
}

// commit merges layers, the oldest first, into the state and makes head the
// cache's, with the manifest of its last set. Without layers the state stays.
func (c *cache) commit(head cacheHead, layers []string, manifest func(io.Writer) error) error {
	var streams []state.Stream
	if head.State != "" {
		old, err := c.state()
		if err != nil {
			return err
		}
		defer old.Close()
		streams = append(streams, old)
	}
	for _, layer := range layers {
		f, err := os.Open(layer)
		if err != nil {
			return err
		}
		defer f.Close()
		r, err := state.NewReader(f)
		if err != nil {
			return err
		}
		streams = append(streams, r)
	}
	last := head.Sets[len(head.Sets)-1].Manifest
	head.Manifest = "manifest-" + last
	if len(layers) > 0 {
		if head.State = "state-" + last; head.State == c.head.State {
			head.State += "~" // it is being read
		}
		if err := c.writeState(head.State, state.Live(state.Merge(streams, nil))); err != nil {
			return err
		}
	}
	if err := writeFile(c.path(head.Manifest), manifest); err != nil {
		return err
	}
	return c.replaceHead(head)
}

func (c *cache) replaceHead(head cacheHead) error {
	head.Version = cacheVersion
	raw, err := json.MarshalIndent(head, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(c.path(headName), copyFrom(raw)); err != nil {
		return err
	}
	c.head = head
	return c.sweep()
}

// sweep removes what the head does not name, but for the session's own.
func (c *cache) sweep() error {
	keep := map[string]bool{headName: true, c.head.State: true, c.head.Manifest: true, filepath.Base(sessionDir(c.dir)): true, fineDir: true}
	for _, s := range c.head.Sets {
		keep[s.Local] = true
	}
	names, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if !keep[n.Name()] {
			if err := os.RemoveAll(c.path(n.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *cache) writeState(name string, s state.Stream) error {
	return writeFile(c.path(name), func(f io.Writer) error {
		z, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithWindowSize(stateWindow))
		if err != nil {
			return err
		}
		w := state.NewWriter(z)
		for {
			item, err := s.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			if err := w.Add(item); err != nil {
				return err
			}
		}
		if err := w.Close(); err != nil {
			return err
		}
		return z.Close()
	})
}

// A storedState is the cache's state being read.
type storedState struct {
	*state.Reader
	z *zstd.Decoder
	f *os.File
}

func (s *storedState) Close() error {
	s.z.Close()
	return s.f.Close()
}

// state opens the merged state.
func (c *cache) state() (*storedState, error) {
	f, err := os.Open(c.path(c.head.State))
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		f.Close()
		return nil, err
	}
	r, err := state.NewReader(z)
	if err != nil {
		z.Close()
		f.Close()
		return nil, err
	}
	return &storedState{r, z, f}, nil
}

// checkSecret opens the last manifest with the secret.
func (c *cache) checkSecret(opener *seal.Opener) error {
	last := c.head.Sets[len(c.head.Sets)-1]
	enc, err := encodingOf(last.Manifest)
	if err != nil {
		return err
	}
	f, err := os.Open(c.path(c.head.Manifest))
	if err != nil {
		return err
	}
	defer f.Close()
	return checkSealed(opener, f, enc)
}

// checkSealed reads a sealed file to its end.
func checkSealed(opener *seal.Opener, r io.Reader, enc seal.Encoding) error {
	plain, err := opener.Open(r, enc)
	if err != nil {
		return wrongSecret(err)
	}
	return wrongSecret(errors.Join(drain(plain), plain.Close()))
}

// fetch copies a file of the target as it is stored.
func fetch(ctx context.Context, store Reader, name string, w io.Writer) error {
	f, err := store.Open(ctx, name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	return nil
}

func copyFrom(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

// writeFile puts a file in place whole: under another name first, synced,
// then renamed. A crash leaves the old file or none.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(path + ".new")
		}
	}()
	b := bufio.NewWriterSize(f, 64<<10)
	if err := errors.Join(write(b), b.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
