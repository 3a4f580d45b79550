package sftp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys are the keys that known_hosts files hold for one server
// (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
type hostKeys struct {
	server  endpoint
	direct  bool // it is reached without another server
	files   []string
	keys    []knownKey
	refused error // why the key that the server showed was not taken
}

// A knownKey is a line that applies to the server.
type knownKey struct {
	key    ssh.PublicKey
	marker string // "", "cert-authority" or "revoked"
	file   string
	line   int
}

// loadHostKeys reads the files that are there. Lines that can't be read, such
// as those with a type of key that is not known, are passed over, as by
// OpenSSH.
func loadHostKeys(server endpoint, direct bool) (*hostKeys, error) {
	h := &hostKeys{server: server, direct: direct}
	h.files = server.files("userknownhostsfile", server.sshDir(), "known_hosts", "known_hosts2")
	system := server.files("globalknownhostsfile", server.env.SystemDir, "ssh_known_hosts", "ssh_known_hosts2")
	for _, file := range slices.Concat(h.files, system) {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read known hosts: %w", err)
		}
		h.parse(file, text)
	}
	return h, nil
}

func (h *hostKeys) parse(file string, text []byte) {
	for i, line := range bytes.Split(text, []byte("\n")) {
		marker, hosts, key, _, _, err := ssh.ParseKnownHosts(line)
		if err == nil && h.isNamed(hosts) {
			h.keys = append(h.keys, knownKey{key, marker, file, i + 1})
		}
	}
}

// isNamed reports whether the names of a line mean the server.
func (h *hostKeys) isNamed(names []string) bool {
	name := h.server.keyName()
	if len(names) == 1 && strings.HasPrefix(names[0], "|") {
		return isHashOf(names[0], name)
	}
	return matchPatterns(names, name)
}

// isHashOf checks a hashed name: |1|salt|HMAC-SHA1 of the name, in base64.
func isHashOf(text, name string) bool {
	parts := strings.Split(text, "|")
	if len(parts) != 4 || parts[0] != "" || parts[1] != "1" {
		return false
	}
	salt, saltErr := base64.StdEncoding.DecodeString(parts[2])
	sum, sumErr := base64.StdEncoding.DecodeString(parts[3])
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(name))
	return saltErr == nil && sumErr == nil && hmac.Equal(mac.Sum(nil), sum)
}

// algorithms returns what to ask the server for: first the kinds of key that
// are known, so that it shows one of those. The others follow, because its key
// makes a better message than its having none in common.
func (h *hostKeys) algorithms() []string {
	var list []string
	for _, k := range h.keys {
		switch {
		case k.marker == "cert-authority":
			list = append(list, certificates()...)
		case k.marker == "" && k.key.Type() == ssh.KeyAlgoRSA:
			list = append(list, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		case k.marker == "":
			list = append(list, k.key.Type())
		}
	}
	list = append(list, ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256)
	for _, name := range ssh.SupportedAlgorithms().HostKeys {
		if !isCertificate(name) {
			list = append(list, name)
		}
	}
	slices.SortStableFunc(list, func(a, b string) int { return boolInt(isCertificate(b)) - boolInt(isCertificate(a)) })
	return supported(unique(list))
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// unique keeps the first of equal texts.
func unique(list []string) []string {
	var kept []string
	for _, s := range list {
		if !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// supported leaves out algorithms that are not there or too weak to be safe.
func supported(list []string) []string {
	have := ssh.SupportedAlgorithms().HostKeys
	return slices.DeleteFunc(list, func(s string) bool { return !slices.Contains(have, s) })
}

func isCertificate(algorithm string) bool { return strings.Contains(algorithm, "-cert-v0") }

func certificates() []string {
	return slices.DeleteFunc(ssh.SupportedAlgorithms().HostKeys, func(s string) bool { return !isCertificate(s) })
}

// check is the ssh.HostKeyCallback. What it returns is kept, because the error
// of the handshake hides it.
func (h *hostKeys) check(_ string, _ net.Addr, key ssh.PublicKey) error {
	h.refused = h.verify(key)
	return h.refused
}

func (h *hostKeys) verify(key ssh.PublicKey) error {
	if k := h.find("revoked", key); k != nil {
		return fmt.Errorf("host key of %s is revoked by %q line %d", h.server.keyName(), k.file, k.line)
	}
	if cert, is := key.(*ssh.Certificate); is {
		return h.verifyCertificate(cert)
	}
	if h.find("", key) != nil {
		return nil
	}
	for _, k := range h.keys {
		if k.marker == "" {
			return h.changed(key, k)
		}
	}
	if h.server.conf.get("stricthostkeychecking") == "accept-new" && len(h.files) > 0 && len(h.keys) == 0 {
		return h.add(key)
	}
	return h.unknown(key)
}

// find returns the line with a marker and a key.
func (h *hostKeys) find(marker string, key ssh.PublicKey) *knownKey {
	for i, k := range h.keys {
		if k.marker == marker && bytes.Equal(k.key.Marshal(), key.Marshal()) {
			return &h.keys[i]
		}
	}
	return nil
}

func (h *hostKeys) verifyCertificate(cert *ssh.Certificate) error {
	checker := ssh.CertChecker{
		IsHostAuthority: func(authority ssh.PublicKey, _ string) bool { return h.find("cert-authority", authority) != nil },
		IsRevoked: func(c *ssh.Certificate) bool {
			return h.find("revoked", c.SignatureKey) != nil || h.find("revoked", c.Key) != nil
		},
	}
	name := h.server.host
	if alias := h.server.conf.get("hostkeyalias"); alias != "" {
		name = alias
	}
	// The port means nothing here: it is cut off.
	if err := checker.CheckHostKey(net.JoinHostPort(name, "22"), nil, cert); err != nil {
		return fmt.Errorf("host certificate of %s is not valid: %w", h.server.keyName(), err)
	}
	return nil
}

// changed describes a key that is another than the known one.
func (h *hostKeys) changed(key ssh.PublicKey, known knownKey) error {
	return fmt.Errorf("host key of %s has changed: the server shows %s, %q line %d holds %s: "+
		"somebody may be in between, or the server was set up anew; if you know that it was, forget the old key with: ssh-keygen -f %s -R %s",
		h.server.keyName(), fingerprint(key), known.file, known.line, fingerprint(known.key), quote(known.file), quote(h.server.keyName()))
}

// unknown describes a key where none is known.
func (h *hostKeys) unknown(key ssh.PublicKey) error {
	return fmt.Errorf("host key of %s is not known: the server shows %s; compare that with the server's own (ssh-keygen -lf on its /etc/ssh/ssh_host_*_key.pub); "+
		"if it is the same, add it with: %s", h.server.keyName(), fingerprint(key), h.addCommand(key))
}

// addCommand returns the command that makes a key known.
func (h *hostKeys) addCommand(key ssh.PublicKey) string {
	file := "known_hosts"
	if len(h.files) > 0 {
		file = h.files[0]
	}
	if !h.direct || h.server.conf.get("hostkeyalias") != "" {
		line := knownhosts.Line([]string{h.server.keyName()}, key)
		return fmt.Sprintf("echo %s >>%s", quote(line), quote(file))
	}
	kind, _, _ := strings.Cut(strings.TrimPrefix(key.Type(), "ssh-"), "-")
	return fmt.Sprintf("ssh-keyscan -t %s -p %d %s >>%s", kind, h.server.port, quote(h.server.host), quote(file))
}

// add makes a key known that the configuration wants taken at first sight.
func (h *hostKeys) add(key ssh.PublicKey) error {
	err := os.MkdirAll(filepath.Dir(h.files[0]), 0o700)
	if err != nil {
		return fmt.Errorf("add host key: %w", err)
	}
	f, err := os.OpenFile(h.files[0], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("add host key: %w", err)
	}
	// The file may lack its last newline; an empty line does no harm.
	_, err = f.WriteString("\n" + knownhosts.Line([]string{h.server.keyName()}, key) + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("add host key: %w", err)
	}
	return nil
}

// fingerprint names a key as OpenSSH does.
func fingerprint(key ssh.PublicKey) string { return key.Type() + " " + ssh.FingerprintSHA256(key) }
