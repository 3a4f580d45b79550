package conf

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// An Option describes one option for help texts.
type Option struct {
	Name    string
	Format  string // of the value
	Default string // "" for false or none
	Doc     string // one sentence without a full stop
}

// Options returns all options in the order they are documented in.
func Options() []Option {
	list := make([]Option, len(options))
	for i, o := range options {
		list[i] = o.Option
	}
	return list
}

// An option is an entry of the table of options. Its set leaves the Conf as it
// was when it returns an error; it never gets an empty value. Default gives
// the same defaults as values.
type option struct {
	Option
	set func(c *Conf, value string) error
}

var options = [...]option{
	{
		Option{"address", "<address>", "",
			"where system backups go, and are restored from"},
		func(c *Conf, s string) error { return setText(&c.Address, s) },
	}, {
		Option{"full-backup", "now | <int>[mhDWMY]", "1M",
			"how old the last full backup gets before the next backup is a full one"},
		func(c *Conf, s string) error { return setFullBackup(&c.FullBackup, s) },
	}, {
		Option{"volsize", "<int>", "25",
			"size of backup volumes in MB"},
		func(c *Conf, s string) error { return setInt(&c.Volsize, s, 1, 1<<20) },
	}, {
		Option{"s3-parallel-uploads", "<int>", "1",
			"number of chunks of a volume that are uploaded at the same time"},
		setParallelUploads,
	}, {
		Option{"s3-storage-class", "<class>", "",
			"storage class of new files, such as STANDARD_IA, if not the bucket's own"},
		func(c *Conf, s string) error { return setText(&c.S3StorageClass, s) },
	}, {
		Option{"mirror", "<address>", "",
			"second address that backups go to, and are restored from when the first fails"},
		func(c *Conf, s string) error { return setText(&c.Mirror, s) },
	}, {
		Option{"parallel", "<int>", "",
			"number of volumes that are transferred at the same time, if not what suits the storage"},
		func(c *Conf, s string) error { return setInt(&c.Parallel, s, 1, 64) },
	}, {
		Option{"limit-upload", "<rate> | <time>,<rate> ...", "",
			"bytes per second that are sent, with k, M or G behind, also by time of day"},
		func(c *Conf, s string) error { return setText(&c.LimitUpload, s) },
	}, {
		Option{"limit-download", "<rate> | <time>,<rate> ...", "",
			"bytes per second that are fetched, likewise"},
		func(c *Conf, s string) error { return setText(&c.LimitDownload, s) },
	}, {
		Option{"require-mount", "true | false", "",
			"refuse a file:// address on the root file system: its disk is not mounted"},
		func(c *Conf, s string) error { return setBool(&c.RequireMount, s) },
	}, {
		Option{"ca-file", "<path>", "",
			"certificates in PEM that are trusted instead of the system's"},
		func(c *Conf, s string) error { return setText(&c.CAFile, s) },
	}, {
		Option{"imap-mailbox", "<name>", "",
			"mailbox that takes the mails of all imap addresses, if not the one that each names"},
		func(c *Conf, s string) error { return setText(&c.IMAPMailbox, s) },
	}, {
		Option{"restore-cache-size", "<int>% | <int>MB | <int>GB", "50%",
			"size of the restore cache, or its share of the free space"},
		func(c *Conf, s string) error { return setCacheSize(&c.RestoreCacheSize, s) },
	}, {
		Option{"restore-cache-dir", "<path>", "/var/cache/tklbam/restore",
			"directory of the restore cache"},
		func(c *Conf, s string) error { return setText(&c.RestoreCacheDir, s) },
	}, {
		Option{"backup-skip-files", "true | false", "",
			"leave files out of backups"},
		func(c *Conf, s string) error { return setBool(&c.BackupSkipFiles, s) },
	}, {
		Option{"backup-skip-packages", "true | false", "",
			"leave the list of new packages out of backups"},
		func(c *Conf, s string) error { return setBool(&c.BackupSkipPackages, s) },
	}, {
		Option{"backup-skip-database", "true | false", "",
			"leave databases out of backups"},
		func(c *Conf, s string) error { return setBool(&c.BackupSkipDatabase, s) },
	}, {
		Option{"force-profile", "<profile id> | <codename> | empty | <path>", "",
			"profile to use instead of the one that fits the system"},
		func(c *Conf, s string) error { return setText(&c.ForceProfile, s) },
	}, {
		Option{"encryption", "age | gpg | none", "age",
			"how new backup chains are encrypted"},
		setEncryption,
	}, {
		Option{"cache-dir", "<path>", "/var/cache/tklbam/archive",
			"directory for local copies of signatures and manifests"},
		func(c *Conf, s string) error { return setText(&c.CacheDir, s) },
	}, {
		Option{"package-blacklist", "<glob> ...", "",
			"packages that a restore does not install, besides kernels"},
		func(c *Conf, s string) error { return setText(&c.PackageBlacklist, s) },
	}, {
		Option{"notify-command", "<program> [<argument> ...]", "",
			"program to run at the start and the end of backups and restores"},
		func(c *Conf, s string) error { return setText(&c.NotifyCommand, s) },
	}, {
		Option{"notify-mail", "<address>[,<address> ...] [always]", "",
			"who gets a mail when a backup or restore fails, or always"},
		func(c *Conf, s string) error { return setText(&c.NotifyMail, s) },
	}, {
		Option{"notify-ping", "<URL>", "",
			"URL to request on success, with /start or /fail behind it at the start or on failure"},
		func(c *Conf, s string) error { return setText(&c.NotifyPing, s) },
	},
}

// fullBackup bounds the number to nine digits, so that it fits in 32 bits.
var fullBackup = regexp.MustCompile(`^(now|[0-9]{1,9}[mhDWMY])$`)

func setFullBackup(dst *string, s string) error {
	if !fullBackup.MatchString(s) {
		return errors.New(`it is neither "now" nor a number with one of m, h, D, W, M, Y behind it`)
	}
	*dst = s
	return nil
}

// setParallelUploads takes 0 for 1, as it always worked.
func setParallelUploads(c *Conf, s string) error {
	if err := setInt(&c.S3ParallelUploads, s, 0, 1000); err != nil {
		return err
	}
	c.S3ParallelUploads = max(c.S3ParallelUploads, 1)
	return nil
}

func setInt(dst *int, s string, low, high int) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		return fmt.Errorf("it is not a whole number from %d to %d", low, high)
	}
	*dst = n
	return nil
}

func setBool(dst *bool, s string) error {
	switch strings.ToLower(s) {
	case "true", "1", "yes":
		*dst = true
	case "false", "0", "no":
		*dst = false
	default:
		return errors.New("it is neither true nor false")
	}
	return nil
}

func setText(dst *string, s string) error {
	if strings.ContainsRune(s, 0) {
		return errors.New("it contains a zero byte")
	}
	*dst = s
	return nil
}

func setCacheSize(dst *CacheSize, s string) error {
	size, err := ParseCacheSize(s)
	if err != nil {
		return err
	}
	*dst = size
	return nil
}

func setEncryption(c *Conf, s string) error {
	switch e := Encryption(s); e {
	case Age, GPG, None:
		c.Encryption = e
		return nil
	}
	return errors.New("it is not age, gpg or none")
}
