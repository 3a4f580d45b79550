// Package conf reads the configuration directory: the options in its file conf
// and the limits in its file overrides.
//
// A line of conf is an option's name, white space and its value; empty lines
// and those that start with "#" mean nothing. An option given twice has its
// last value. What the command line says is put over it with Set, by the same
// rules.
package conf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tklbam/pkg/limits"
)

// DefaultPath is the system's configuration directory.
const DefaultPath = "/etc/tklbam"

// EnvVar names the environment variable that moves the configuration
// directory. Reading it is the caller's part.
const EnvVar = "TKLBAM_CONF"

// Conf is the configuration. Its fields are the options, in the order of the
// table of options but for the limits, which have a file of their own.
type Conf struct {
	Address           string // may hold a password
	FullBackup        string // "now", or the age that starts a new chain: a number and one of mhDWMY
	Volsize           int    // of a volume, in MB
	S3ParallelUploads int    // chunks of a volume in flight, at least 1
	S3StorageClass    string // "" for the bucket's own

	Mirror           string // an address where everything goes too; "" for none
	Parallel         int    // volumes in flight; 0 for what suits the target
	LimitUpload      string // in the form that package limit reads
	LimitDownload    string
	RequireMount     bool   // refuse a directory on the root file system
	CAFile           string // trusted instead of the system's
	IMAPMailbox      string
	RestoreCacheSize CacheSize
	RestoreCacheDir  string

	BackupSkipFiles    bool
	BackupSkipPackages bool
	BackupSkipDatabase bool

	ForceProfile string     // "" for the one that fits the system
	Encryption   Encryption // of new chains
	CacheDir     string     // holds copies of signatures and manifests

	PackageBlacklist string // globs apart by white space

	// In the forms that package notify reads.
	NotifyCommand string
	NotifyMail    string
	NotifyPing    string

	Overrides limits.List
}

// Encryption is a way to encrypt volumes.
type Encryption string

// The ways to encrypt.
const (
	Age  Encryption = "age"
	GPG  Encryption = "gpg" // as stock Duplicity reads it
	None Encryption = "none"
)

// Default returns the configuration of a system that has none.
func Default() *Conf {
	return &Conf{
		FullBackup:        "1M",
		Volsize:           25,
		S3ParallelUploads: 1,
		RestoreCacheSize:  CacheSize{Percent: 50},
		RestoreCacheDir:   "/var/cache/tklbam/restore",
		Encryption:        Age,
		CacheDir:          "/var/cache/tklbam/archive",
	}
}

// Load reads the configuration in a directory. A file that is absent says
// nothing, and neither does a directory that is.
func Load(dir string) (*Conf, error) {
	c := Default()
	err := readFile(filepath.Join(dir, "conf"), c.read)
	if err != nil {
		return nil, err
	}
	err = readFile(filepath.Join(dir, "overrides"), func(r io.Reader) (err error) {
		c.Overrides, err = limits.Read(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

func readFile(path string, read func(io.Reader) error) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close() // only read from
	if err := read(f); err != nil {
		return fmt.Errorf("read configuration %q: %w", path, err)
	}
	return nil
}

// maxLine bounds a line of conf, in bytes.
const maxLine = 64 << 10

func (c *Conf) read(r io.Reader) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	line := 1
	for ; scanner.Scan(); line++ {
		if err := c.readLine(strings.Trim(scanner.Text(), space)); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("line %d: %w", line, err)
	}
	return nil
}

const space = " \t\r\n\v\f"

func (c *Conf) readLine(line string) error {
	if line == "" || strings.HasPrefix(line, "#") {
		return nil
	}
	name, value := line, ""
	if n := strings.IndexAny(line, space); n >= 0 {
		name, value = line[:n], strings.TrimLeft(line[n:], space)
	}
	return c.Set(name, value)
}

// Set gives an option, by its name, a value as it stands in the file. After an
// error the option has its old value.
func (c *Conf) Set(name, value string) error {
	for _, o := range options {
		if o.Name != name {
			continue
		}
		if value == "" {
			return fmt.Errorf("option %s: it needs a value: %s", name, o.Format)
		}
		if err := o.set(c, value); err != nil {
			return fmt.Errorf("option %s: bad value %q: %w", name, value, err)
		}
		return nil
	}
	return fmt.Errorf("unknown option %q", name)
}
