package seal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// zstdLevel is the fastest: the default takes a quarter longer for files 2
// to 6 % smaller.
const zstdLevel = zstd.SpeedFastest

// maxZstdWindow is the memory a frame may ask for, in bytes. It is the limit
// of zstd -d without options.
const maxZstdWindow = 128 << 20

// Costs of scrypt as powers of two. A step up doubles time and memory; 18 is
// what the age program uses, 22 the most it accepts (4 GiB).
const (
	strongLogN = 10
	weakLogN   = 18
	maxLogN    = 22
)

type ageCodec struct {
	zstd      *zstd.Encoder
	recipient *age.ScryptRecipient
}

func newAgeCodec(secret []byte, weak bool) (*ageCodec, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstdLevel), zstd.WithZeroFrames(true),
		zstd.WithWindowSize(BlockSize), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("prepare zstd: %w", err)
	}
	r, err := age.NewScryptRecipient(string(secret))
	if err != nil {
		return nil, fmt.Errorf("prepare age encryption: %w", err)
	}
	r.SetWorkFactor(strongLogN)
	if weak {
		r.SetWorkFactor(weakLogN)
	}
	return &ageCodec{zstd: z, recipient: r}, nil
}

func (c *ageCodec) compress(dst, block []byte) ([]byte, error) {
	return c.zstd.EncodeAll(block, dst), nil
}

func (c *ageCodec) begin(w io.Writer) (body, error) {
	enc, err := age.Encrypt(w, c.recipient)
	if err != nil {
		return nil, err
	}
	return &ageBody{codec: c, age: enc}, nil
}

type ageBody struct {
	codec *ageCodec
	age   io.WriteCloser
}

func (b *ageBody) segment(seg []byte) error {
	_, err := b.age.Write(seg)
	return err
}

// end makes an empty file one empty frame: no frame at all is no zstd file.
func (b *ageBody) end(empty bool) error {
	if empty {
		if err := b.segment(b.codec.zstd.EncodeAll(nil, nil)); err != nil {
			return err
		}
	}
	return b.age.Close()
}

// openAge reads zstd frames inside age.
func (o *Opener) openAge(f *file) error {
	identity, err := o.ageIdentity()
	if err != nil {
		return err
	}
	payload, err := age.Decrypt(f.source, identity)
	if noMatch := new(age.NoIdentityMatchError); errors.As(err, &noMatch) {
		return fmt.Errorf("%w: %v", ErrWrongSecret, noMatch)
	}
	if err != nil {
		return err
	}
	frames := bufio.NewReaderSize(payload, readAhead)
	if _, err := frames.Peek(1); err != nil {
		return notEOF(err)
	}
	z, err := o.zstdDecoder()
	if err != nil {
		return err
	}
	f.release = func() {
		if z.Reset(nil) == nil {
			o.zstds.Put(z)
		}
	}
	if err := z.Reset(frames); err != nil {
		return err
	}
	f.push(frames, z)
	return nil
}

// zstdDecoder returns a decoder that works in the calling goroutine alone,
// and so leaves nothing behind when it is dropped.
func (o *Opener) zstdDecoder() (*zstd.Decoder, error) {
	if z, ok := o.zstds.Get().(*zstd.Decoder); ok {
		return z, nil
	}
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderMaxMemory(maxZstdWindow))
}

func (o *Opener) ageIdentity() (age.Identity, error) {
	id, err := age.NewScryptIdentity(string(o.secret))
	if err != nil {
		return nil, fmt.Errorf("prepare age decryption: %w", err)
	}
	id.SetMaxWorkFactor(o.maxLogN)
	return oneAtATime{id, &o.deriving}, nil
}

// oneAtATime keeps several files that are opened at once from each claiming
// the memory of a derivation.
type oneAtATime struct {
	age.Identity
	mu *sync.Mutex
}

func (o oneAtATime) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Identity.Unwrap(stanzas)
}
