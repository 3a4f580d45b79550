package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// What a caller may do something about. What is stored in a way that this
// package has no reader for (a cipher, say) is errors.ErrUnsupported.
var (
	// ErrWrongSecret says that the secret does not open the file. Damage
	// within the first bytes of an encrypted file can look the same.
	ErrWrongSecret = errors.New("the secret does not open this file")

	// ErrDamaged says that the file is not what was written: cut short,
	// altered or overlong.
	ErrDamaged = errors.New("the file is damaged")

	// ErrNoMDC says that nothing protects an OpenPGP message from being
	// altered (packet 9 of RFC 4880), as was usual before 2003.
	ErrNoMDC = errors.New("the message has no integrity protection")
)

var errTrailing = errors.New("data follows its end")

// OpenOptions say what to accept besides sound files.
type OpenOptions struct {
	// AllowNoMDC accepts OpenPGP messages without integrity protection. Only
	// what breaks the compression is then seen as damage.
	AllowNoMDC bool
}

// An Opener reads stored files under one secret. It is safe for concurrent
// use; it keeps decoders and derived keys for the files to come.
type Opener struct {
	secret  []byte
	opts    OpenOptions
	maxLogN int // the most expensive scrypt that is accepted

	deriving sync.Mutex // held while a costly key is derived: one at a time
	keys     keyCache   // under deriving

	zstds    sync.Pool // *zstd.Decoder
	gzips    sync.Pool // *gzip.Reader
	inflates sync.Pool // io.ReadCloser of flate
}

// NewOpener returns an Opener. The secret may be empty if only files without
// encryption are to be read.
func NewOpener(secret []byte, opts OpenOptions) *Opener {
	return &Opener{secret: bytes.Clone(secret), opts: opts, maxLogN: maxLogN}
}

// Open returns the plain content of the stored file r.
//
// The content is vouched for only once Read has returned io.EOF: up to there
// it may be the content of a damaged file. Any damage is an error of Open or
// of some Read, and errors stick; only a Plain file has nothing to check,
// and a gzip file of several members (not one of ours) can lose whole ones.
//
// Memory is bounded whatever the file says (by 128 MiB for a frame of zstd
// and 4 GiB for the scrypt of an age file, one at a time, if its author
// asked for as much as the stock programs grant); the length of the content
// is not. A small file can expand without end, and the caller has to stop
// reading.
//
// An error of r itself comes back wrapped, never as ErrDamaged. Close keeps
// r open.
func (o *Opener) Open(r io.Reader, e Encoding) (io.ReadCloser, error) {
	f := &file{source: &source{r: r}, release: func() {}}
	if err := o.open(f, e); err != nil {
		f.release()
		return nil, f.source.explain(err)
	}
	return f, nil
}

func (o *Opener) open(f *file, e Encoding) error {
	if e.Encrypted() && len(o.secret) == 0 {
		return fmt.Errorf("%w: it is empty", ErrWrongSecret)
	}
	switch e {
	case Plain:
		f.push(f.source)
		return nil
	case Gzip:
		return o.openGzip(f)
	case GPG:
		return o.openPGP(f)
	case ZstdAge:
		return o.openAge(f)
	}
	return fmt.Errorf("%s: %w", e, errors.ErrUnsupported)
}

// readAhead is the size of buffers between layers in bytes.
const readAhead = 64 << 10

// A file is a stored file being read.
type file struct {
	source  *source
	layers  []io.Reader // outermost first; the last has the plain content
	release func()      // gives pooled decoders back
	err     error
}

func (f *file) push(layers ...io.Reader) { f.layers = append(f.layers, layers...) }

func (f *file) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.layers[len(f.layers)-1].Read(p)
	if err == io.EOF {
		err = f.end()
	}
	if err != nil && err != io.EOF {
		err = f.source.explain(err)
	}
	f.err = err
	return n, err
}

// end returns io.EOF if every layer ends where the plain content does. That
// also makes each of them check what it keeps at its end.
func (f *file) end() error {
	var probe [1]byte
	for i := len(f.layers) - 1; i >= 0; i-- {
		n, err := io.ReadFull(f.layers[i], probe[:])
		if n > 0 {
			return errTrailing
		}
		if err != io.EOF {
			return err
		}
	}
	return io.EOF
}

func (f *file) Close() error {
	if f.release != nil {
		f.release()
	}
	f.layers, f.release, f.err = nil, nil, errClosed
	return nil
}

// A source is the stored file. It remembers an error in reading it, which
// the layers above would report in words of their own or as damage.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// explain turns what went wrong in some layer into what callers are promised.
func (s *source) explain(err error) error {
	if s.err != nil {
		return fmt.Errorf("read stored file: %w", s.err)
	}
	for _, known := range []error{ErrWrongSecret, ErrNoMDC, ErrDamaged, errors.ErrUnsupported} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %v", ErrDamaged, err)
}

// notEOF marks an end of file where there should be more.
func notEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
