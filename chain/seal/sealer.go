package seal

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// BlockSize is the recommended length of a block in bytes. Blocks twice as
// long make files 1 % smaller and take twice the memory.
const BlockSize = 1 << 20

// Options say how files are sealed.
type Options struct {
	Encoding Encoding

	// Secret is the passphrase of an encrypted chain, any bytes; what is not
	// encrypted ignores it. Both age and gpg ask for it on a single line.
	Secret []byte

	// WeakSecret says that a person chose the secret, so that guessing has
	// to be made expensive: about half a second and 256 MiB of memory for
	// each ZstdAge file, 50 ms for each Sealer of GPG. Without it the secret
	// must have about 128 random bits or more.
	WeakSecret bool
}

// A Sealer writes files in one encoding under one secret. It is safe for
// concurrent use.
type Sealer struct {
	codec codec
	jobs  sync.Pool // *job
}

// A codec is one encoding's way to write.
type codec interface {
	// compress appends the segment of a block that is not empty. It is safe
	// for concurrent use.
	compress(dst, block []byte) ([]byte, error)
	// begin writes what a file starts with.
	begin(w io.Writer) (body, error)
}

// A body is a file between its start and its end.
type body interface {
	segment(seg []byte) error
	// end writes what closes the file; empty says that it has no segments.
	end(empty bool) error
}

// NewSealer returns a Sealer. The key of a GPG file is derived here, once
// for all files of the Sealer.
func NewSealer(opts Options) (*Sealer, error) {
	if opts.Encoding.Encrypted() && len(opts.Secret) == 0 {
		return nil, fmt.Errorf("prepare %s encryption: the secret is empty", opts.Encoding)
	}
	c, err := newCodec(opts)
	if err != nil {
		return nil, err
	}
	return &Sealer{codec: c}, nil
}

func newCodec(opts Options) (codec, error) {
	switch opts.Encoding {
	case Plain:
		return plainCodec{}, nil
	case Gzip:
		return newGzipCodec(), nil
	case GPG:
		return newPGPCodec(opts.Secret, opts.WeakSecret)
	case ZstdAge:
		return newAgeCodec(opts.Secret, opts.WeakSecret)
	}
	return nil, fmt.Errorf("prepare to write files: %s", opts.Encoding)
}

// Compress appends the segment of one block to dst and returns the result.
// A segment is only good for an Envelope of this Sealer; its length is what
// it adds to the stored file, give or take 1 %. An empty block gives no
// segment. Any number of calls may run at once.
func (s *Sealer) Compress(dst, block []byte) ([]byte, error) {
	if len(block) == 0 {
		return dst, nil
	}
	return s.codec.compress(dst, block)
}

// Seal starts a file on w. Files are independent of each other and may be
// written at the same time.
func (s *Sealer) Seal(w io.Writer) (*Envelope, error) {
	b, err := s.codec.begin(w)
	if err != nil {
		return nil, fmt.Errorf("start stored file: %w", err)
	}
	return &Envelope{body: b}, nil
}

// An Envelope is one file being written. It is not safe for concurrent use.
// After an error every call returns that error.
type Envelope struct {
	body   body
	filled bool
	err    error
}

var errClosed = errors.New("the file is already closed")

// WriteSegment adds the next segment of the file. The order is the caller's
// to keep; nothing of seg is used after it returns.
func (e *Envelope) WriteSegment(seg []byte) error {
	if e.err != nil {
		return e.err
	}
	if len(seg) == 0 {
		return nil
	}
	e.filled = true
	if err := e.body.segment(seg); err != nil {
		e.err = fmt.Errorf("write stored file: %w", err)
	}
	return e.err
}

// Close writes what ends the file: the file is complete only once it has
// returned nil. It does not close the underlying writer.
func (e *Envelope) Close() error {
	if e.err != nil {
		return e.err
	}
	e.err = errClosed
	if err := e.body.end(!e.filled); err != nil {
		e.err = fmt.Errorf("end stored file: %w", err)
		return e.err
	}
	return nil
}

// plainCodec stores content as it is.
type plainCodec struct{}

func (plainCodec) compress(dst, block []byte) ([]byte, error) { return append(dst, block...), nil }

func (plainCodec) begin(w io.Writer) (body, error) { return plainBody{w}, nil }

type plainBody struct{ w io.Writer }

func (b plainBody) segment(seg []byte) error {
	_, err := b.w.Write(seg)
	return err
}

func (plainBody) end(bool) error { return nil }
