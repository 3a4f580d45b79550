package seal

import (
	"bytes"
	"compress/flate"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// packet frames content as a packet of the new format.
func packet(tag packetTag, content ...[]byte) []byte {
	all := slices.Concat(content...)
	return append(appendLength([]byte{tag.newHeader()}, uint32(len(all))), all...)
}

func literal(content string) []byte {
	return packet(tagLiteral, []byte("b\x00\x00\x00\x00\x00"), []byte(content))
}

// deflated returns a raw deflate stream.
func deflated(t testing.TB, content ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, 9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(slices.Concat(content...)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func compressed(t testing.TB, packets ...[]byte) []byte {
	return packet(tagCompressed, []byte{compressionZIP}, deflated(t, packets...))
}

// encryptPackets encrypts packets as they are, with a sound MDC. It returns
// the packet for the passphrase and the content of the encrypted packet.
func encryptPackets(t testing.TB, packets ...[]byte) (esk, data []byte) {
	t.Helper()
	c := newSealer(t, GPG).codec.(*pgpCodec)
	block, err := c.key.block()
	if err != nil {
		t.Fatal(err)
	}
	random := noise(16)
	plain := slices.Concat(random, random[14:], slices.Concat(packets...), mdcHeader())
	sum := sha1.Sum(plain)
	plain = append(plain, sum[:]...)
	newCFB(block).encrypt(plain)
	return c.esk, append([]byte{1}, plain...)
}

func encryptedMessage(t testing.TB, packets ...[]byte) []byte {
	esk, data := encryptPackets(t, packets...)
	return append(slices.Clone(esk), packet(tagEncryptedMDC, data)...)
}

// What an encrypted message may have in it, and what not.
func TestPacketsInside(t *testing.T) {
	marker := packet(tagMarker, []byte("PGP"))
	parts := slices.Concat([]byte{tagLiteral.newHeader(), 0xe0 + 3}, []byte("b\x00\x00\x00\x00\x00he"), []byte{3}, []byte("llo"))
	named := packet(tagLiteral, []byte("t\x04name1234hello"))
	old := slices.Concat([]byte{tagLiteral.oldHeader(1), 0, 11}, []byte("b\x00\x00\x00\x00\x00hello"))
	nested := literal("hello")
	for range maxNesting {
		nested = compressed(t, nested)
	}
	for name, test := range map[string]struct {
		message []byte
		want    error // nil if the content is "hello"
	}{
		"literal":            {encryptedMessage(t, literal("hello")), nil},
		"compressed":         {encryptedMessage(t, compressed(t, literal("hello"))), nil},
		"twice compressed":   {encryptedMessage(t, compressed(t, compressed(t, literal("hello")))), nil},
		"stored":             {encryptedMessage(t, packet(tagCompressed, []byte{compressionNone}, literal("hello"))), nil},
		"parts":              {encryptedMessage(t, parts), nil},
		"name and time":      {encryptedMessage(t, named), nil},
		"old header":         {encryptedMessage(t, old), nil},
		"marker":             {encryptedMessage(t, marker, compressed(t, marker, literal("hello"))), nil},
		"marker before":      {slices.Concat(marker, encryptedMessage(t, literal("hello"))), nil},
		"nested too deeply":  {encryptedMessage(t, nested), ErrDamaged},
		"two literals":       {encryptedMessage(t, literal("hello"), literal("hello")), ErrDamaged},
		"two in compressed":  {encryptedMessage(t, compressed(t, literal("hello"), literal("x"))), ErrDamaged},
		"after compressed":   {encryptedMessage(t, compressed(t, literal("hello")), literal("x")), ErrDamaged},
		"in compressed":      {encryptedMessage(t, packet(tagCompressed, []byte{1}, deflated(t, literal("hello")), []byte("x"))), ErrDamaged},
		"packet after":       {append(encryptedMessage(t, literal("hello")), marker...), ErrDamaged},
		"nothing":            {encryptedMessage(t), ErrDamaged},
		"nothing compressed": {encryptedMessage(t, compressed(t)), ErrDamaged},
		"short literal":      {encryptedMessage(t, literal("hello")[:9]), ErrDamaged},
		"short header":       {encryptedMessage(t, packet(tagLiteral, []byte("b\x09name"))), ErrDamaged},
		"no algorithm":       {encryptedMessage(t, packet(tagCompressed)), ErrDamaged},
		"algorithm 4":        {encryptedMessage(t, packet(tagCompressed, []byte{4}, literal("hello"))), errors.ErrUnsupported},
		"signature":          {encryptedMessage(t, packet(4, make([]byte, 13)), literal("hello")), errors.ErrUnsupported},
		"marker for ever":    {encryptedMessage(t, []byte{tagMarker.oldHeader(formToTheEnd), 'P'}), ErrDamaged},
	} {
		got, err := open(newOpener(), test.message, GPG)
		if !errors.Is(err, test.want) || test.want == nil && string(got) != "hello" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// The encrypted packet itself, in every form of header there is.
func TestPacketHeaders(t *testing.T) {
	for _, n := range []int{5, 100, 3000, 70000} {
		content := string(text(n))
		esk, data := encryptPackets(t, literal(content))
		size := len(data)
		headers := map[string][]byte{
			"new":          packet(tagEncryptedMDC, data),
			"new, 5 bytes": slices.Concat([]byte{tagEncryptedMDC.newHeader(), 255, 0, byte(size >> 16), byte(size >> 8), byte(size)}, data),
		}
		var parts []byte
		for rest := data; len(rest) > 0; {
			part := min(len(rest), 32)
			if part < 32 {
				parts = append(append(parts, byte(part)), rest...)
				break
			}
			parts = append(append(parts, partialLength(5)), rest[:32]...)
			if rest = rest[32:]; len(rest) == 0 {
				parts = append(parts, 0)
			}
		}
		headers["parts"] = append([]byte{tagEncryptedMDC.newHeader()}, parts...)
		for name, message := range headers {
			got, err := open(newOpener(), slices.Concat(esk, message), GPG)
			if err != nil || string(got) != content {
				t.Errorf("%s of %d: %d bytes, %v", name, n, len(got), err)
			}
		}
	}
}

// What comes before the encrypted data.
func TestPacketsBefore(t *testing.T) {
	esk, data := encryptPackets(t, literal("hello"))
	sealed := packet(tagEncryptedMDC, data)
	other := newSealer(t, GPG).codec.(*pgpCodec).esk // another salt: its key does not fit
	session := []byte{4, 9, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 96}
	for name, test := range map[string]struct {
		before []byte
		want   error
	}{
		"second fits":     {slices.Concat(other, esk), nil},
		"first fits":      {slices.Concat(esk, other), nil},
		"public key":      {slices.Concat(packet(tagPublicKeyESK, noise(100)), esk), nil},
		"unknown skipped": {slices.Concat(packet(tagSymmetricESK, []byte{6, 9, 9, 9}), esk), nil},
		"broken skipped":  {slices.Concat(packet(tagSymmetricESK), esk), nil},
		"none":            {nil, errors.ErrUnsupported},
		"wrong":           {other, ErrWrongSecret},
		"wrong, unknown":  {slices.Concat(other, packet(tagSymmetricESK, []byte{6, 9, 9, 9})), ErrWrongSecret},
		"wrong encrypted": {packet(tagSymmetricESK, session, noise(33)), ErrWrongSecret},
		"too many":        {bytes.Repeat(other, maxESKs), ErrDamaged},
		"too long":        {packet(tagSymmetricESK, session, noise(300)), ErrDamaged},
		"no length":       {slices.Concat([]byte{tagSymmetricESK.oldHeader(formToTheEnd)}, session), ErrDamaged},
		"cut":             {esk[:len(esk)-1], ErrDamaged},
		"version 6":       {packet(tagSymmetricESK, []byte{6, 9, 9, 9}), errors.ErrUnsupported},
		"cipher 1":        {packet(tagSymmetricESK, []byte{4, 1, 0, 2}), errors.ErrUnsupported},
		"hash 1":          {packet(tagSymmetricESK, []byte{4, 9, 0, 1}), errors.ErrUnsupported},
		"argon2":          {packet(tagSymmetricESK, []byte{4, 9, 4, 1, 1, 1}, noise(16)), errors.ErrUnsupported},
		"no salt":         {packet(tagSymmetricESK, []byte{4, 9, 3, 8, 1, 2, 3}), ErrDamaged},
		"no nonce":        {packet(tagSymmetricESK, []byte{5, 9, 2, 0, 8, 1, 2}), ErrDamaged},
		"unknown mode":    {packet(tagSymmetricESK, []byte{5, 9, 7, 0, 8}, noise(48)), errors.ErrUnsupported},
		"mode of cipher":  {packet(tagSymmetricESK, []byte{5, 3, 2, 0, 8}, noise(48)), errors.ErrUnsupported},
		"text":            {[]byte("-----BEGIN PGP MESSAGE-----"), ErrDamaged},
	} {
		got, err := open(newOpener(), slices.Concat(test.before, sealed), GPG)
		if !errors.Is(err, test.want) || test.want == nil && string(got) != "hello" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	data[0] = 2
	if _, err := open(newOpener(), slices.Concat(esk, packet(tagEncryptedMDC, data)), GPG); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("data of version 2: %v", err)
	}
}

// Published messages: the samples of draft-koch-openpgp-2015-rfc4880bis,
// appendix A, of what GnuPG 2.3 writes, and one of the OpenPGP
// interoperability test suite with an encrypted session key.
var samples = []struct{ name, content, message string }{
	{"EAX", "Hello, world!\n", "c33e0507010308cd5a9f70fbe0bc6590bc669e34e500dcaedc5b32aa2dab02359dee19d07c3446c4312a34ae1967a2fb7e928ea5b4fa8012bd456d1738c63c36" +
		"d44a0107010eb732379f73c4928de25facfe6517ec105dc11a81dc0cb8a2f6f3d90016384a56fc821ae11ae8dbcb49862655dea88d06a81486801b0ff387bd2eab013de1259586906eab2476"},
	{"OCB", "Hello, world!\n", "c33d05070203089f0b7da3e5ea64779099e326e5400a90936cefb4e8eba08c6773716d1f2714540a38fcac529949dac529d3de31e15b4aeb729e330033dbed" +
		"d4490107020e5ed2bc1e470abe8f1d644c7a6c8a567b0f7701196611a154ba9c2574cd056284a8ef68035c623d93cc708a43211bb6eaf2b27f7c18d571bcd83b20add3a08b73af15b9a098"},
	{"encrypted session key", "Hello World :)", "c32e0409030873616c7a6967657200080674a0d96a4a6e122b1d5bbaa3fac117b9cbb46c7e38f12967386b57e2f79d11" +
		"d23f01cee77ceed8544e6d52c78bd33c81bd366c8673b68955ddbd1ade98fe6a9b4e27ae54cd10dda7cd3a4637f44e0ead895ebebdcf0c679f1342745628f104e7"},
}

func TestPublishedMessages(t *testing.T) {
	o := NewOpener([]byte("password"), OpenOptions{})
	for _, s := range samples {
		message, err := hex.DecodeString(s.message)
		if err != nil {
			t.Fatal(err)
		}
		sameData(t, s.name, mustOpen(t, o, message, GPG), []byte(s.content))
		if _, err := open(newOpener(), message, GPG); !errors.Is(err, ErrWrongSecret) {
			t.Errorf("%s with the wrong secret: %v", s.name, err)
		}
		for i := range message {
			bad := bytes.Clone(message)
			bad[i] ^= 0x11
			if _, err := open(o, bad, GPG); err == nil || !promised(err) {
				t.Errorf("%s with byte %d altered: %v", s.name, i, err)
			}
			if _, err := open(o, message[:i], GPG); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s cut at %d: %v", s.name, i, err)
			}
		}
	}
}

// sealAEAD returns the content of packet 20, written the way aeadReader describes it.
func sealAEAD(t *testing.T, key sessionKey, mode aeadMode, bits byte, plain []byte) []byte {
	t.Helper()
	aead, err := mode.open(key)
	if err != nil {
		t.Fatal(err)
	}
	nonce := noise(mode.nonceSize())
	header := []byte{tagEncryptedAEAD.newHeader(), 1, byte(key.cipher), byte(mode), bits - 6}
	out := append(bytes.Clone(header[1:]), nonce...)
	index := make([]byte, 8)
	seal := func(chunk []byte, more ...byte) {
		n := bytes.Clone(nonce)
		for i, c := range index {
			n[len(n)-8+i] ^= c
		}
		out = aead.Seal(out, n, chunk, slices.Concat(header, index, more))
		index[7]++
	}
	for chunk := range slices.Chunk(plain, 1<<bits) {
		seal(chunk)
	}
	total := len(plain)
	seal(nil, 0, 0, 0, 0, 0, byte(total>>16), byte(total>>8), byte(total))
	return out
}

func TestAEADChunks(t *testing.T) {
	c := newSealer(t, GPG).codec.(*pgpCodec)
	for _, mode := range []aeadMode{modeEAX, modeOCB} {
		for _, n := range []int{0, 1, 55, 56, 57, 119, 120, 121, 184, 3000} { // with the literal's header: around 64, 128, 192
			content := text(n)
			data := sealAEAD(t, c.key, mode, 6, literal(string(content)))
			message := slices.Concat(c.esk, packet(tagEncryptedAEAD, data))
			sameData(t, fmt.Sprint(mode, n), mustOpen(t, newOpener(), message, GPG), content)
			for _, cut := range []int{1, 15, 16, 17, 32, 80, 96} {
				short := slices.Concat(c.esk, packet(tagEncryptedAEAD, data[:max(0, len(data)-cut)]))
				if _, err := open(newOpener(), short, GPG); !errors.Is(err, ErrDamaged) {
					t.Errorf("mode %d, %d bytes, %d cut: %v", mode, n, cut, err)
				}
			}
		}
	}
	long := slices.Concat(c.esk, packet(tagEncryptedAEAD, []byte{1, 7, 2, 17}, noise(100)))
	if _, err := open(newOpener(), long, GPG); !errors.Is(err, ErrDamaged) {
		t.Errorf("chunks of 8 MiB: %v", err)
	}
}

// cfb is the cipher feedback of the standard library, in pieces of any size.
func TestCFB(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, id := range []cipherID{cipherAES128, cipherAES256, cipher3DES, cipherCAST5} {
		key := sessionKey{id, noise(id.keySize())}
		block, err := key.block()
		if err != nil {
			t.Fatal(err)
		}
		data := noise(5000)
		want := make([]byte, len(data))
		//lint:ignore SA1019 the oracle
		cipher.NewCFBEncrypter(block, make([]byte, block.BlockSize())).XORKeyStream(want, data)
		got, back := bytes.Clone(data), make([]byte, len(data))
		enc, dec := newCFB(block), newCFB(block)
		for pos := 0; pos < len(got); {
			n := min(r.IntN(70), len(got)-pos)
			enc.encrypt(got[pos : pos+n])
			pos += n
		}
		for pos := 0; pos < len(got); {
			n := min(r.IntN(70), len(got)-pos)
			dec.decrypt(back[pos:pos+n], got[pos:pos+n])
			pos += n
		}
		sameData(t, fmt.Sprint("encrypt ", id), got, want)
		sameData(t, fmt.Sprint("decrypt ", id), back, data)
	}
}

// A key is derived once for all files of a Sealer, and the keys that an
// Opener keeps are bounded.
func TestKeyCache(t *testing.T) {
	o, s := newOpener(), newSealer(t, GPG)
	for range 5 {
		mustOpen(t, o, sealBlocks(t, s, text(10), 10), GPG)
	}
	if len(o.keys) != 1 {
		t.Errorf("%d keys for one Sealer", len(o.keys))
	}
	cheap := s2k{mode: s2kSalted, hash: hashSHA1}
	for i := range 3 * maxCachedKeys {
		cheap.salt[0], cheap.salt[1] = byte(i), byte(i>>8)
		if _, err := o.deriveKey(cheap, 16); err != nil {
			t.Fatal(err)
		}
	}
	if len(o.keys) > maxCachedKeys {
		t.Errorf("%d keys are kept", len(o.keys))
	}
}

// Sealing under one key is sound only as long as no two files start alike.
func TestPrefixIsRandom(t *testing.T) {
	c := newSealer(t, GPG).codec.(*pgpCodec)
	block, err := aes.NewCipher(c.key.key)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for range 100 {
		var b bytes.Buffer
		body, err := c.begin(&b)
		if err != nil {
			t.Fatal(err)
		}
		if err := body.end(true); err != nil {
			t.Fatal(err)
		}
		sealed := b.Bytes()[len(c.esk)+3:]
		prefix := make([]byte, 18)
		newCFB(block).decrypt(prefix, sealed[:18])
		if !bytes.Equal(prefix[14:16], prefix[16:]) {
			t.Fatalf("prefix %x does not repeat", prefix)
		}
		seen[string(prefix)] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d prefixes in 100 files", len(seen))
	}
}
