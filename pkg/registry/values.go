package registry

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Secret returns the secret that encrypts the backups.
func (r *Registry) Secret() (string, error) { return r.read(secretFile) }

// SetSecret replaces the secret. As with every Set method here, white space at
// the end is not kept and the empty value removes the file. A secret, like a
// key, is a single line.
func (r *Registry) SetSecret(secret string) error { return r.writeLine(secretFile, secret) }

// Key returns the key packet: the secret as package keypacket seals it.
func (r *Registry) Key() (string, error) { return r.read(keyFile) }

// SetKey replaces the key packet.
func (r *Registry) SetKey(packet string) error { return r.writeLine(keyFile, packet) }

// SubAPIKey returns the key that links this system to a Hub account.
func (r *Registry) SubAPIKey() (string, error) { return r.read(subAPIKeyFile) }

// SetSubAPIKey replaces the Hub account's key.
func (r *Registry) SetSubAPIKey(key string) error { return r.writeLine(subAPIKeyFile, key) }

// Resume returns the configuration of the interrupted session, a JSON document
// that means nothing to this package.
func (r *Registry) Resume() ([]byte, error) {
	value, err := r.read(resumeFile)
	if err != nil {
		return nil, err
	}
	return []byte(value), nil
}

// SetResume replaces the configuration of the interrupted session.
func (r *Registry) SetResume(document []byte) error {
	return r.write(resumeFile, string(document))
}

// Credentials are the storage credentials from the Hub under the names it uses
// for them. Printed, they show the names only.
type Credentials map[string]string

// Type returns which of the Hub's kinds they are: devpay, iamuser or iamrole.
// Those stored without a type are the oldest kind, devpay.
func (c Credentials) Type() string {
	if kind := c["type"]; kind != "" {
		return kind
	}
	return "devpay"
}

// String lists the names without the values.
func (c Credentials) String() string {
	return fmt.Sprintf("credentials(%s)", strings.Join(slices.Sorted(maps.Keys(c)), " "))
}

// GoString is String.
func (c Credentials) GoString() string { return c.String() }

// Credentials returns the cached storage credentials.
func (r *Registry) Credentials() (Credentials, error) {
	return r.readPairs(credentialsFile)
}

// SetCredentials replaces the cached storage credentials.
func (r *Registry) SetCredentials(c Credentials) error {
	return r.writePairs(credentialsFile, c)
}

// A Record is the Hub's backup record, as far as it is kept for the time the
// Hub can't be reached.
type Record struct {
	Address  string // where the backup is stored
	BackupID string
	Updated  time.Time // when the record was last asked for, local, in seconds; zero if not known
}

// updatedLayout is how Record.Updated is stored: local time, without a zone.
const updatedLayout = "2006-01-02 15:04:05"

// Record returns the cached backup record.
func (r *Registry) Record() (Record, error) {
	pairs, err := r.readPairs(recordFile)
	if err != nil {
		return Record{}, err
	}
	rec := Record{Address: pairs["address"], BackupID: pairs["backup_id"]}
	if s, ok := pairs["updated"]; ok {
		rec.Updated, err = time.ParseInLocation(updatedLayout, s, time.Local)
		if err != nil {
			return Record{}, fmt.Errorf("read registry: %q: bad time %q", r.join(recordFile), s)
		}
	}
	return rec, nil
}

// SetRecord replaces the cached backup record. The zero Record removes it.
func (r *Registry) SetRecord(rec Record) error {
	if rec == (Record{}) {
		return r.remove(recordFile)
	}
	pairs := map[string]string{"address": rec.Address, "backup_id": rec.BackupID}
	if !rec.Updated.IsZero() {
		pairs["updated"] = rec.Updated.Local().Format(updatedLayout)
	}
	return r.writePairs(recordFile, pairs)
}

// readPairs reads a file of name=value lines. Errors don't quote the lines:
// values are secret.
func (r *Registry) readPairs(name string) (map[string]string, error) {
	text, err := r.read(name)
	if err != nil {
		return nil, err
	}
	pairs := make(map[string]string)
	line := 0
	for s := range strings.Lines(text) {
		line++
		key, value, found := strings.Cut(strings.TrimRight(s, "\r\n"), "=")
		if !found || key == "" {
			return nil, fmt.Errorf("read registry: %q line %d is not name=value", r.join(name), line)
		}
		pairs[key] = value
	}
	return pairs, nil
}

// writePairs writes name=value lines in the order of the names, so that equal
// values make equal files.
func (r *Registry) writePairs(name string, pairs map[string]string) error {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		value := pairs[key]
		if key == "" || strings.ContainsAny(key, "=\r\n") {
			return fmt.Errorf("update registry: %q can't hold a value called %q", r.join(name), key)
		}
		if strings.ContainsAny(value, "\r\n") {
			return fmt.Errorf("update registry: %q can't hold %q: it has several lines", r.join(name), key)
		}
		fmt.Fprintf(&b, "%s=%s\n", key, value)
	}
	return r.write(name, b.String())
}

// A Profile is where the parts of the profile are. This package only knows
// the paths.
type Profile struct {
	Dir          string
	DirindexConf string // paths to look at, with signs
	Dirindex     string // the state of the installation: files
	Packages     string // the state of the installation: packages
	Hooks        string // a directory, if the profile has hooks
	ID           string // the profile's id; the file may be absent
	Stamp        string // its modification time is the profile's timestamp; no profile without it
}

// Profile returns the paths of the cached profile, whether there is one or not.
func (r *Registry) Profile() Profile {
	dir := r.join("profile")
	return Profile{
		Dir:          dir,
		DirindexConf: filepath.Join(dir, "dirindex.conf"),
		Dirindex:     filepath.Join(dir, "dirindex"),
		Packages:     filepath.Join(dir, "packages"),
		Hooks:        filepath.Join(dir, "hooks.d"),
		ID:           filepath.Join(dir, "profile_id"),
		Stamp:        filepath.Join(dir, "stamp"),
	}
}
