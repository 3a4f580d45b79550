package seal

import (
	"crypto/cipher"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"hash"
	"io"
)

// fill reads until buf is full or the input ends, which is io.EOF then.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

// mdcSize is the length of the packet at the end of integrity protected
// data: a header of two bytes and the SHA-1 of all before the sum itself,
// the random prefix included (RFC 4880, sections 5.13 and 5.14).
const mdcSize = 2 + sha1.Size

func mdcHeader() []byte { return []byte{tagMDC.newHeader(), sha1.Size} }

// An mdcReader decrypts integrity protected data. The sum is verified before
// the last 64 KiB are handed out.
type mdcReader struct {
	data  io.Reader
	cfb   *cfb
	sum   hash.Hash
	in    []byte        // cipher text
	plain []byte        // what might be the MDC, and then what in decrypts to
	held  [mdcSize]byte // the former
	have  int           // its length
	out   []byte        // part of plain
	err   error
}

// newMDCReader returns a reader of the packets after the random prefix.
func newMDCReader(data io.Reader, block cipher.Block) (*mdcReader, error) {
	r := &mdcReader{
		data:  data,
		cfb:   newCFB(block),
		sum:   sha1.New(),
		in:    make([]byte, readAhead),
		plain: make([]byte, mdcSize+readAhead),
	}
	prefix := make([]byte, block.BlockSize()+2)
	if _, err := io.ReadFull(r, prefix); err != nil {
		return nil, notEOF(err)
	}
	return r, nil
}

func (r *mdcReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 && r.err == nil {
		r.err = r.advance()
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	if n == 0 && len(p) > 0 {
		return 0, r.err
	}
	return n, nil
}

// advance decrypts more and sets out to what is surely not the MDC.
func (r *mdcReader) advance() error {
	n, err := fill(r.data, r.in)
	if err != nil && err != io.EOF {
		return err
	}
	copy(r.plain, r.held[:r.have])
	r.cfb.decrypt(r.plain[r.have:r.have+n], r.in[:n])
	all := r.plain[:r.have+n]
	ready := max(0, len(all)-mdcSize)
	r.sum.Write(all[:ready])
	r.have = copy(r.held[:], all[ready:])
	if err == io.EOF {
		if err := r.verify(); err != nil {
			return err
		}
	}
	r.out = all[:ready]
	return err
}

// verify checks the MDC that is held.
func (r *mdcReader) verify() error {
	if r.have < mdcSize {
		return io.ErrUnexpectedEOF
	}
	r.sum.Write(r.held[:2])
	want := r.sum.Sum(mdcHeader())
	if subtle.ConstantTimeCompare(r.held[:], want) == 0 {
		return errors.New("the MDC does not match")
	}
	return nil
}

// A resyncReader decrypts data without integrity protection, which starts
// cipher feedback anew after the random prefix (section 13.9).
type resyncReader struct {
	data io.Reader
	cfb  *cfb
	in   []byte
}

func newResyncReader(data io.Reader, block cipher.Block) (*resyncReader, error) {
	prefix := make([]byte, block.BlockSize()+2)
	if _, err := io.ReadFull(data, prefix); err != nil {
		return nil, notEOF(err)
	}
	c := newCFB(block)
	copy(c.last, prefix[2:])
	return &resyncReader{data: data, cfb: c, in: make([]byte, readAhead)}, nil
}

func (r *resyncReader) Read(p []byte) (int, error) {
	n, err := r.data.Read(r.in[:min(len(p), len(r.in))])
	r.cfb.decrypt(p[:n], r.in[:n])
	return n, err
}

// maxChunkBits is the largest chunk of authenticated encryption as a power
// of two: 4 MiB, which is also what gpg writes.
const maxChunkBits = 22

// An aeadReader decrypts the data of GnuPG 2.3 (packet 20, section 5.16 of
// draft-koch-openpgp-2015-rfc4880bis): chunks with a tag each, and a last
// tag over their total length.
type aeadReader struct {
	data   io.Reader
	aead   cipher.AEAD
	nonce  []byte
	header [5]byte // authenticated with each chunk
	index  uint64  // of the next chunk
	total  uint64  // bytes of clear text before it
	in     []byte  // a chunk with its tag, and the size of a tag more
	have   int     // bytes of in that are filled
	out    []byte
	err    error
}

// decryptAEAD decrypts data in authenticated mode.
func (o *Opener) decryptAEAD(m *message) (io.Reader, error) {
	r := &aeadReader{data: m.data, header: [5]byte{tagEncryptedAEAD.newHeader(), 1}}
	if _, err := io.ReadFull(m.data, r.header[2:]); err != nil {
		return nil, notEOF(err)
	}
	id, mode, bits := cipherID(r.header[2]), aeadMode(r.header[3]), int(r.header[4])+6
	if bits > maxChunkBits {
		return nil, errors.New("the chunks of an OpenPGP message are too long")
	}
	r.nonce = make([]byte, mode.nonceSize())
	if _, err := io.ReadFull(m.data, r.nonce); err != nil {
		return nil, notEOF(err)
	}
	key, err := o.findKey(m, func(k sessionKey) (bool, error) { return k.cipher == id, nil })
	if err != nil {
		return nil, err
	}
	if r.aead, err = mode.open(key); err != nil {
		return nil, err
	}
	r.in = make([]byte, 1<<bits+2*aeadTagSize)
	return r, nil
}

func (r *aeadReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 && r.err == nil {
		r.err = r.advance()
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	if n == 0 && len(p) > 0 {
		return 0, r.err
	}
	return n, nil
}

// advance opens the next chunk, and at the end the last tag. What follows a
// chunk is read with it, as only the end of the data tells the last tag from
// a chunk.
func (r *aeadReader) advance() error {
	n, err := fill(r.data, r.in[r.have:])
	if err != nil && err != io.EOF {
		return err
	}
	all := r.in[:r.have+n]
	if len(all) < aeadTagSize {
		return io.ErrUnexpectedEOF
	}
	chunk, rest := all[:len(all)-aeadTagSize], all[len(all)-aeadTagSize:]
	if len(chunk) > 0 {
		if r.out, err = r.open(chunk, nil); err != nil {
			return err
		}
	}
	if n < len(r.in)-r.have {
		total := binary.BigEndian.AppendUint64(nil, r.total)
		if _, err := r.open(rest, total); err != nil {
			r.out = nil
			return err
		}
		return io.EOF
	}
	r.have = copy(r.in, rest)
	return nil
}

// open opens one chunk or the last tag.
func (r *aeadReader) open(chunk, total []byte) ([]byte, error) {
	nonce := append([]byte(nil), r.nonce...)
	low := nonce[len(nonce)-8:]
	binary.BigEndian.PutUint64(low, binary.BigEndian.Uint64(low)^r.index)
	header := binary.BigEndian.AppendUint64(r.header[:len(r.header):len(r.header)], r.index)
	plain, err := r.aead.Open(nil, nonce, chunk, append(header, total...))
	if err != nil {
		return nil, errors.New("a chunk is not authentic")
	}
	r.index++
	r.total += uint64(len(plain))
	return plain, nil
}
