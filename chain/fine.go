package chain

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tklbam/chain/rdiff"
	"tklbam/chain/state"
)

// fineDir is the part of the cache for finer signatures than the chain has:
// of sparse files, for which every session would carry as many sums as the
// file has blocks, so that the chain's blocks are large. A delta that is made
// by the finer one stores less. The chain does not depend on them; what is lost
// of them makes one delta larger.
const fineDir = "fine"

// fineAge is how long a signature stays that is not replaced: that of a file
// which is gone is never asked for.
const fineAge = 100 * 24 * time.Hour

type fineSignatures struct {
	dir    string
	signer *rdiff.Signer
	file   *os.File
	buf    *bufio.Writer
}

// openFine opens the part of a cache, and removes what is old there.
func openFine(cache string, now time.Time) (*fineSignatures, error) {
	f := &fineSignatures{dir: filepath.Join(cache, fineDir)}
	entries, err := os.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	for _, e := range entries {
		info, ierr := e.Info()
		if ierr == nil && now.Sub(info.ModTime()) > fineAge {
			ierr = os.Remove(filepath.Join(f.dir, e.Name()))
		}
		err = errors.Join(err, ierr)
	}
	return f, err
}

// path is where the signature of an item with its present content is: the name
// has both the path and the digest of the content.
func (f *fineSignatures) path(item *state.Item) string {
	h := sha256.New()
	h.Write([]byte(item.Path))
	h.Write([]byte{0})
	h.Write(item.Digest.Sum[:])
	return filepath.Join(f.dir, hex.EncodeToString(h.Sum(nil)))
}

// find returns the signature of an item, nil if there is none.
func (f *fineSignatures) find(item *state.Item) (*rdiff.Signature, *os.File) {
	if !item.Digest.Known() {
		return nil, nil
	}
	file, err := os.Open(f.path(item))
	if err != nil {
		return nil, nil
	}
	info, err := file.Stat()
	if err == nil {
		var sig *rdiff.Signature
		if sig, err = rdiff.OpenSignature(file, info.Size()); err == nil {
			return sig, file
		}
	}
	file.Close() // damaged: as good as none
	return nil, nil
}

// begin begins a signature, which what is written to the signer goes into.
func (f *fineSignatures) begin(p rdiff.Params) (err error) {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	if f.file, err = os.CreateTemp(f.dir, "new-"); err != nil {
		return err
	}
	f.buf = bufio.NewWriterSize(f.file, 64<<10)
	if f.signer == nil {
		f.signer, err = rdiff.NewSigner(f.buf, p)
		return err
	}
	return f.signer.Reset(f.buf, p)
}

// end stores the signature as that of an item, in the place of the one of its
// earlier content.
func (f *fineSignatures) end(item, old *state.Item) error {
	name := f.file.Name()
	err := errors.Join(f.signer.Close(), f.buf.Flush(), f.file.Close())
	f.file = nil
	if err == nil {
		err = os.Rename(name, f.path(item))
	}
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	if old == nil || f.path(old) == f.path(item) {
		return nil
	}
	if err := os.Remove(f.path(old)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// abort gives up a signature that was begun and not ended.
func (f *fineSignatures) abort() error {
	if f.file == nil {
		return nil
	}
	name := f.file.Name()
	err := errors.Join(f.file.Close(), os.Remove(name))
	f.file = nil
	return err
}
