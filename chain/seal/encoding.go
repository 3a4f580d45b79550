// Package seal compresses and encrypts the files of a chain, and reads them
// back.
//
// A file's content is written as a sequence of blocks. Each block is
// compressed on its own, and so on any core, into a segment; the segments
// follow one another inside one envelope, and the whole is a stream that the
// stock tools read as any other:
//
//	Plain    the content
//	Gzip     one gzip member                        gzip -d, duplicity
//	GPG      an OpenPGP message under a passphrase  gpg -d, duplicity
//	ZstdAge  zstd frames inside age, the same       age -d | zstd -d
//
// Reading takes whatever those tools write, not only what this package does.
package seal

import "fmt"

// An Encoding is the way a stored file holds its plain content. The zero
// value is none of them, so that nothing is stored in the clear by omission.
type Encoding uint8

// The encodings of a chain.
const (
	Plain   Encoding = iota + 1 // the content itself
	Gzip                        // gzip, for chains without encryption
	GPG                         // an OpenPGP message, compressed inside
	ZstdAge                     // zstd inside age
)

// Encodings lists every encoding there is.
func Encodings() []Encoding { return []Encoding{Plain, Gzip, GPG, ZstdAge} }

// String returns the encoding's name in the configuration.
func (e Encoding) String() string {
	switch e {
	case Plain:
		return "none"
	case Gzip:
		return "gzip"
	case GPG:
		return "gpg"
	case ZstdAge:
		return "age"
	}
	return "unknown encoding"
}

// Suffix returns what the names of files in this encoding end in, with its
// dot; nothing for Plain.
func (e Encoding) Suffix() string {
	switch e {
	case Gzip:
		return ".gz"
	case GPG:
		return ".gpg"
	case ZstdAge:
		return ".zst.age"
	}
	return ""
}

// Encrypted reports whether files in this encoding need a secret.
func (e Encoding) Encrypted() bool { return e == GPG || e == ZstdAge }

// ManifestEncoding returns the encoding of the manifests in a chain whose
// volumes are in e: stock Duplicity leaves those of unencrypted chains plain.
func (e Encoding) ManifestEncoding() Encoding {
	if e == Gzip {
		return Plain
	}
	return e
}

// ParseEncoding returns the encoding of that name, the reverse of String.
func ParseEncoding(name string) (Encoding, error) {
	for _, e := range Encodings() {
		if e.String() == name {
			return e, nil
		}
	}
	return 0, fmt.Errorf("parse encoding %q: want none, gzip, gpg or age", name)
}

// ParseSuffix returns the encoding whose Suffix is exactly s.
func ParseSuffix(s string) (Encoding, error) {
	for _, e := range Encodings() {
		if e.Suffix() == s {
			return e, nil
		}
	}
	return 0, fmt.Errorf("parse suffix %q: want .gz, .gpg, .zst.age or nothing", s)
}
