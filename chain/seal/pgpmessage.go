package seal

import (
	"bufio"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"
)

// maxNesting is how many packets may lie in one another: gpg writes a
// literal in a compressed one.
const maxNesting = 4

// maxESKs is how many session key packets a message may have. Each can cost
// a tenth of a second or two.
const maxESKs = 16

// A message is an OpenPGP message read up to its encrypted data.
type message struct {
	keys []*esk
	bad  error // why a key that is there is not among keys
	tag  packetTag
	data *bufio.Reader // the content of the packet with the encrypted data
}

// openPGP reads an encrypted OpenPGP message. What is signed as well is not
// supported.
func (o *Opener) openPGP(f *file) error {
	outer := bufio.NewReaderSize(f.source, readAhead)
	m, err := readMessage(outer)
	if err != nil {
		return err
	}
	plain, err := o.decrypt(m)
	if err != nil {
		return err
	}
	f.push(outer, plain)
	for range maxNesting {
		literal, err := o.unpack(f)
		if literal || err != nil {
			return err
		}
	}
	return errors.New("OpenPGP packets are nested too deeply")
}

// readMessage reads what comes before the encrypted data. Packets for the
// holders of public keys are passed over.
func readMessage(r *bufio.Reader) (*message, error) {
	m := new(message)
	for range maxESKs {
		tag, body, err := nextPacket(r)
		if err != nil {
			return nil, notEOF(err)
		}
		switch tag {
		case tagSymmetricESK:
			m.readKey(body)
		case tagPublicKeyESK, tagMarker:
		default:
			m.tag, m.data = tag, bufio.NewReaderSize(body, readAhead)
			return m, nil
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the OpenPGP message has too many session keys")
}

func (m *message) readKey(body io.Reader) {
	k, err := readESK(body)
	if err != nil {
		m.bad = err
		return
	}
	m.keys = append(m.keys, k)
}

// decrypt returns the packets that are encrypted in m.
func (o *Opener) decrypt(m *message) (io.Reader, error) {
	switch m.tag {
	case tagEncryptedMDC:
		if err := m.checkVersion(); err != nil {
			return nil, err
		}
		return o.decryptCFB(m)
	case tagEncrypted:
		if !o.opts.AllowNoMDC {
			return nil, ErrNoMDC
		}
		return o.decryptCFB(m)
	case tagEncryptedAEAD:
		if err := m.checkVersion(); err != nil {
			return nil, err
		}
		return o.decryptAEAD(m)
	}
	return nil, fmt.Errorf("OpenPGP packet %d where encrypted data should be", m.tag)
}

// checkVersion reads the version of the encrypted data. There is a second
// one in RFC 9580, which gpg does not write.
func (m *message) checkVersion() error {
	v, err := m.data.ReadByte()
	if err != nil {
		return notEOF(err)
	}
	if v != 1 {
		return fmt.Errorf("OpenPGP encrypted data version %d: %w", v, errors.ErrUnsupported)
	}
	return nil
}

// findKey returns the first session key that fits, among those the secret
// gets. Without one the error is ErrWrongSecret if there was one to try.
func (o *Opener) findKey(m *message, fits func(sessionKey) (bool, error)) (sessionKey, error) {
	reason := m.bad
	for _, k := range m.keys {
		key, err := o.sessionKey(k)
		if err == nil {
			var ok bool
			if ok, err = fits(key); ok {
				return key, nil
			}
		}
		if err == nil {
			err = ErrWrongSecret
		}
		if !errors.Is(reason, ErrWrongSecret) {
			reason = err
		}
	}
	if reason == nil {
		reason = fmt.Errorf("an OpenPGP message without a passphrase: %w", errors.ErrUnsupported)
	}
	return sessionKey{}, reason
}

// decryptCFB decrypts data in cipher feedback mode, with the check at its
// end or without.
func (o *Opener) decryptCFB(m *message) (io.Reader, error) {
	key, err := o.findKey(m, m.prefixRepeats)
	if err != nil {
		return nil, err
	}
	block, err := key.block()
	if err != nil {
		return nil, err
	}
	if m.tag == tagEncryptedMDC {
		return newMDCReader(m.data, block)
	}
	return newResyncReader(m.data, block)
}

// prefixRepeats is the quick check of a session key: data in CFB starts with
// a random block whose last two bytes come twice (section 5.7). One in 65536
// wrong keys passes, and then the data looks damaged.
func (m *message) prefixRepeats(key sessionKey) (bool, error) {
	block, err := key.block()
	if err != nil {
		return false, err
	}
	size := block.BlockSize()
	prefix, err := m.data.Peek(size + 2)
	if err != nil {
		return false, notEOF(err)
	}
	plain := make([]byte, size+2)
	newCFB(block).decrypt(plain, prefix)
	return plain[size-2] == plain[size] && plain[size-1] == plain[size+1], nil
}

// unpack opens the packet at the start of the innermost layer and pushes the
// layers that it adds. The last is that of a literal packet.
func (o *Opener) unpack(f *file) (literal bool, err error) {
	r := bufio.NewReaderSize(f.layers[len(f.layers)-1], readAhead)
	tag, body, err := nextPacket(r)
	for err == nil && tag == tagMarker {
		if _, err = io.Copy(io.Discard, body); err == nil {
			tag, body, err = nextPacket(r)
		}
	}
	if err != nil {
		return false, notEOF(err)
	}
	f.push(r)
	switch tag {
	case tagLiteral:
		f.push(body)
		return true, skipLiteralHeader(body)
	case tagCompressed:
		return false, o.decompress(f, body)
	}
	return false, fmt.Errorf("OpenPGP packet %d in an encrypted message: %w", tag, errors.ErrUnsupported)
}

// skipLiteralHeader passes over the format, the name and the time of a
// literal packet (section 5.9). The content is bytes to us in any format.
func skipLiteralHeader(body io.Reader) error {
	var start [2]byte
	if _, err := io.ReadFull(body, start[:]); err != nil {
		return notEOF(err)
	}
	_, err := io.CopyN(io.Discard, body, int64(start[1])+4)
	return notEOF(err)
}

// Compression algorithms of OpenPGP (section 9.3).
const (
	compressionNone  = 0
	compressionZIP   = 1
	compressionZLIB  = 2
	compressionBZip2 = 3
)

// decompress pushes the content of a compressed packet.
func (o *Opener) decompress(f *file, body io.Reader) error {
	r := bufio.NewReaderSize(body, readAhead)
	f.push(r)
	algorithm, err := r.ReadByte()
	if err != nil {
		return notEOF(err)
	}
	switch algorithm {
	case compressionNone:
	case compressionZIP:
		return o.inflate(f, r)
	case compressionZLIB:
		z, err := zlib.NewReader(r)
		if err != nil {
			return notEOF(err)
		}
		f.push(z)
	case compressionBZip2:
		f.push(bzip2.NewReader(r))
	default:
		return fmt.Errorf("OpenPGP compression %d: %w", algorithm, errors.ErrUnsupported)
	}
	return nil
}

// inflate pushes a decoder which goes back to the pool with the file.
func (o *Opener) inflate(f *file, r *bufio.Reader) error {
	z, ok := o.inflates.Get().(io.ReadCloser)
	if !ok {
		z = flate.NewReader(r)
	} else if err := z.(flate.Resetter).Reset(r, nil); err != nil {
		return err
	}
	f.push(z)
	release := f.release
	f.release = func() {
		release()
		o.inflates.Put(z)
	}
	return nil
}
