package cache

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"
)

// A kept file holds the content as the target gave it, and behind that the
// SHA-256 of the identity and the content: no damage, and no file that came to
// a wrong name, goes unnoticed.

// sumSize is the length of what follows the content.
const sumSize = sha256.Size

// An identity is what a kept file is looked for by.
type identity struct {
	address string // of the target
	name    string // there
	size    int64
}

// keySize is the length of the part of a file's name that stands for address
// and name.
const keySize = 32

// key is the first part of the name of a kept file.
func key(address, name string) string {
	sum := sha256.Sum256([]byte(address + "\x00" + name))
	return hex.EncodeToString(sum[:keySize/2])
}

// file returns the name of the kept file.
func (id identity) file() string {
	return key(id.address, id.name) + "-" + strconv.FormatInt(id.size, 10)
}

// newHash returns the hash that the content is to be written to.
func (id identity) newHash() hash.Hash {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00%d\x00", id.address, id.name, id.size)
	return h
}

// isKept reports whether a name is one of a kept file. No other file in the
// directory is touched, but for temporary ones.
func isKept(name string) bool {
	if len(name) < keySize+2 || name[keySize] != '-' {
		return false
	}
	_, hexErr := hex.DecodeString(name[:keySize])
	_, sizeErr := strconv.ParseUint(name[keySize+1:], 10, 63)
	return hexErr == nil && sizeErr == nil
}

// errDamaged is a kept file that does not hold what was put there.
var errDamaged = errors.New("a kept file is damaged; it is fetched again")

// verify reads a kept file.
func (id identity) verify(ctx context.Context, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != id.size+sumSize {
		return errDamaged
	}
	h := id.newHash()
	if _, err := io.Copy(h, newReader(ctx, f, id.size)); err != nil {
		return err
	}
	var sum [sumSize]byte
	if _, err := f.ReadAt(sum[:], id.size); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(h.Sum(nil), sum[:]) == 0 {
		return errDamaged
	}
	return nil
}

// reader reads the content of a kept file. It ties it to the context it was
// opened with.
type reader struct {
	ctx     context.Context
	content *io.SectionReader
	file    *os.File
}

func newReader(ctx context.Context, f *os.File, size int64) *reader {
	return &reader{ctx, io.NewSectionReader(f, 0, size), f}
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.content.Read(p)
}

func (r *reader) Seek(offset int64, whence int) (int64, error) { return r.content.Seek(offset, whence) }

func (r *reader) Close() error { return r.file.Close() }

// temp is a file on its way into the cache. It is locked as long as it is
// open, which tells it from what a process that was killed has left.
type temp struct {
	dir  directory
	id   identity
	file *os.File
	hash hash.Hash
	err  error // of writing, the first one
}

func (t *temp) Write(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.file.Write(p)
	t.hash.Write(p[:n])
	t.err = err
	return n, err
}

// seal completes the content. It is not synced: should a crash lose a part,
// that is seen.
func (t *temp) seal() error {
	_, err := t.file.Write(t.hash.Sum(nil))
	return err
}

// commit gives the file its name.
func (t *temp) commit() error {
	touch(t.file.Name())
	if err := os.Rename(t.file.Name(), t.dir.join(t.id.file())); err != nil {
		return errors.Join(err, t.unlink())
	}
	return nil
}

// unlink takes the file's name away. It can be read on.
func (t *temp) unlink() error { return unlink(t.file.Name()) }

// discard gives the file up.
func (t *temp) discard() error {
	t.file.Close() // there is nothing to lose
	return t.unlink()
}

// touch makes now the time of a file's last use. What a directory lets nobody
// touch can be read for all that.
func touch(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
}

// unlink removes a file, which another process may have done before.
func unlink(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// lockFile locks an open file without waiting; syscall.EWOULDBLOCK says that
// another one has it.
func lockFile(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			return err
		}
	}
}
