package sftp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/crypto/ssh"

	"tklbam/backends"
)

// A decrypter returns what is done with a passphrase, which it obtains, or an
// error. The name is the key's.
type decrypter func(name string, open func(passphrase backends.Secret) error) error

// A keyFile is an identity: a private key, or just the public half of one that
// the agent has.
type keyFile struct {
	path   string
	public ssh.PublicKey
	signer ssh.Signer // nil without the private key
	certs  []ssh.Signer
}

// loadKey reads an identity. A key that is encrypted is decrypted when a
// server has accepted its public half, where that can be had without.
func loadKey(path string, decrypt decrypter) (keyFile, error) {
	k := keyFile{path: path}
	text, err := os.ReadFile(path)
	if err != nil {
		public, publicErr := readPublic(path + ".pub")
		if !errors.Is(err, fs.ErrNotExist) || publicErr != nil {
			return k, err
		}
		k.public = public
		return k, nil
	}
	if public, _, _, _, err := ssh.ParseAuthorizedKey(text); err == nil {
		k.public = public
		return k, nil
	}
	if k.signer, err = parseKey(path, text, decrypt); err != nil {
		return k, err
	}
	k.public = k.signer.PublicKey()
	return k, k.addCertificate(path + "-cert.pub")
}

func parseKey(path string, text []byte, decrypt decrypter) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(text)
	missing := (*ssh.PassphraseMissingError)(nil)
	if !errors.As(err, &missing) {
		return signer, err
	}
	open := func(passphrase backends.Secret) (err error) {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(text, []byte(passphrase.Reveal()))
		return err
	}
	public := missing.PublicKey
	if public == nil {
		public, _ = readPublic(path + ".pub") // if it can be had: an old format has it nowhere else
	}
	if public == nil {
		err := decrypt(path, open)
		return signer, err
	}
	return &lockedKey{public: public, unlock: func() (ssh.Signer, error) {
		err := decrypt(path, open)
		return signer, err
	}}, nil
}

func readPublic(path string) (ssh.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	return key, err
}

// addCertificate adds the certificate of the key, if the file is there.
func (k *keyFile) addCertificate(path string) error {
	key, err := readPublic(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read certificate %q: %w", path, err)
	}
	cert, is := key.(*ssh.Certificate)
	if !is || !bytes.Equal(cert.Key.Marshal(), k.public.Marshal()) {
		return nil // another key's
	}
	signer, err := ssh.NewCertSigner(cert, k.signer)
	if err != nil {
		return fmt.Errorf("use certificate %q: %w", path, err)
	}
	k.certs = append(k.certs, signer)
	return nil
}

// lockedKey is a signer whose private key is decrypted when it is first used.
// It is used by one handshake.
type lockedKey struct {
	public ssh.PublicKey
	unlock func() (ssh.Signer, error)
	signer ssh.Signer
}

func (k *lockedKey) PublicKey() ssh.PublicKey { return k.public }

func (k *lockedKey) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return k.SignWithAlgorithm(rand, data, k.public.Type())
}

func (k *lockedKey) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	if k.signer == nil {
		signer, err := k.unlock()
		if err != nil {
			return nil, err
		}
		k.signer = signer
	}
	signer, can := k.signer.(ssh.AlgorithmSigner)
	if !can {
		return nil, fmt.Errorf("%w: signature with %s", errors.ErrUnsupported, algorithm)
	}
	return signer.SignWithAlgorithm(rand, data, algorithm)
}
