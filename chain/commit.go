package chain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tklbam/chain/filename"
	"tklbam/chain/manifest"
	"tklbam/chain/seal"
	"tklbam/chain/state"
)

// storeSignatures makes the signature file while the last volumes are on
// their way; it appears in the store once they are all there.
func (s *session) storeSignatures(ctx context.Context, u *uploader) error {
	volumes := sync.OnceValue(u.finish)
	done := make(chan struct{})
	go func() {
		volumes()
		close(done)
	}()
	name := s.name
	name.Kind = filename.Signatures
	size, err := s.put(ctx, name, s.enc, func(w io.Writer) error {
		layer, err := state.NewReader(s.layer.reader())
		if err == nil {
			err = writeSigtar(w, layer, s.sigs.file)
		}
		return errors.Join(err, volumes())
	})
	<-done
	s.set = cachedSet{Signatures: name.String(), SignaturesSize: size}
	if verr := volumes(); verr != nil {
		return verr
	}
	return err
}

// commit stores the manifest, last of all; then the cache follows. A crash
// before the manifest leaves a session to go on with; after it, a finished one.
func (s *session) commit(ctx context.Context) error {
	set, name := s.set, s.name
	name.Kind, name.Suffix = filename.Manifest, s.enc.ManifestEncoding().Suffix()
	var sealed bytes.Buffer
	m := s.manifest()
	if err := s.seal(&sealed, s.enc.ManifestEncoding(), func(w io.Writer) error {
		_, err := m.WriteTo(w)
		return err
	}); err != nil {
		return err
	}
	if err := s.Store.Put(ctx, name.String(), copyFrom(sealed.Bytes())); err != nil {
		return err
	}
	s.report.Add(0, 0, int64(sealed.Len()))
	set.Manifest, set.ManifestSize = name.String(), int64(sealed.Len())
	s.summarise(set.SignaturesSize + set.ManifestSize)
	if s.Simulate {
		return nil
	}
	if err := s.updateCache(set, sealed.Bytes()); err != nil {
		// The backup is complete; the next session rebuilds the cache.
		s.report.Problem(Problem{Err: fmt.Errorf("update cache: %w", err)})
	}
	if err := s.journal.remove(); err != nil {
		return err
	}
	return s.sweep(ctx)
}

// leftoverAge is how old an unfinished set gets before a session removes it:
// a younger one may be another machine's, still being made.
const leftoverAge = 24 * time.Hour

// sweep removes what sessions that were never gone on with left in the target.
func (s *session) sweep(ctx context.Context) error {
	for _, stray := range s.coll.Incomplete {
		if !stray.Removable || s.name.End.Sub(stray.Set.End) < leftoverAge {
			continue
		}
		s.report.Note(fmt.Sprintf("removing the unfinished %s", stray.Set.String()))
		for _, f := range stray.Set.DeletionOrder() {
			if err := s.remove(ctx, f.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove deletes a file that nothing uses from the target. A target that
// forbids it keeps it.
func (s *session) remove(ctx context.Context, name string) error {
	if err := s.Store.Delete(ctx, name); err != nil {
		if cerr := ctx.Err(); cerr != nil {
			return cerr
		}
		s.report.Problem(Problem{Err: err})
	}
	return nil
}

// put seals what write produces and stores it under name.
func (s *session) put(ctx context.Context, name filename.Name, enc seal.Encoding, write func(io.Writer) error) (int64, error) {
	var size int64
	err := s.Store.Put(ctx, name.String(), func(w io.Writer) error {
		c := &countingWriter{w: w}
		err := s.seal(c, enc, write)
		size = c.n
		return err
	})
	s.report.Add(0, 0, size)
	return size, err
}

func (s *session) seal(w io.Writer, enc seal.Encoding, write func(io.Writer) error) error {
	sealer := s.sealer
	if enc != s.enc {
		var err error
		if sealer, err = seal.NewSealer(seal.Options{Encoding: enc, Secret: s.Secret}); err != nil {
			return err
		}
	}
	sw := sealer.NewWriter(w)
	return errors.Join(write(sw), sw.Close())
}

func (s *session) manifest() *manifest.Manifest {
	m := &manifest.Manifest{Hostname: s.Hostname, Localdir: s.Localdir}
	for _, v := range s.journal.volumes {
		m.Volumes = append(m.Volumes, v.Volume.volume())
	}
	return m
}

func (s *session) summarise(stored int64) {
	s.sum.Start, s.sum.End = s.name.Start, s.name.End
	s.sum.Volumes = len(s.journal.volumes)
	s.sum.StoredBytes = stored
	for _, v := range s.journal.volumes {
		s.sum.StoredBytes += v.Size
	}
	if s.Frequency.Now() {
		return
	}
	full := s.name.End
	if len(s.chain) > 0 {
		full = s.chain[0].End
	}
	s.sum.NextFull = full.Add(time.Duration(s.Frequency.Seconds()) * time.Second)
}

// updateCache makes the finished set part of the cache.
func (s *session) updateCache(set cachedSet, sealed []byte) error {
	head := s.cache.head
	if len(s.chain) == 0 {
		head = cacheHead{}
	}
	set.Local = "signatures-" + s.name.End.Format("20060102T150405Z")
	head.Sets = append(head.Sets[:len(head.Sets):len(head.Sets)], set)
	if err := s.sigs.Sync(); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(s.dir, signaturesName), s.cache.path(set.Local)); err != nil {
		return err
	}
	var layers []string
	if s.corrected || s.sum.New+s.sum.Changed+s.sum.Deleted > 0 || len(s.chain) == 0 {
		layers = []string{s.refresh, filepath.Join(s.dir, layerName)}
	}
	return s.cache.commit(head, layers, copyFrom(sealed))
}
