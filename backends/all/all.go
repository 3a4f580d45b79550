// Package all is the registry of drivers: the one place that imports every
// one of them.
package all

import (
	"tklbam/backends"
	"tklbam/backends/file"
	"tklbam/backends/ftp"
	"tklbam/backends/imap"
	"tklbam/backends/rclone"
	"tklbam/backends/rsync"
	"tklbam/backends/s3"
	"tklbam/backends/sftp"
	"tklbam/backends/swift"
	"tklbam/backends/webdav"
)

// An Environment is what drivers get to know besides addresses. They read
// neither variables nor configuration themselves.
type Environment struct {
	File   file.Options
	S3     s3.Options
	SFTP   sftp.Environment
	FTP    ftp.Environment
	WebDAV webdav.Environment
	Rsync  rsync.Environment
	Swift  swift.Environment
	IMAP   imap.Environment
	Rclone rclone.Environment
}

// Drivers returns the drivers the program is built with.
func Drivers(env Environment) []backends.Driver {
	return []backends.Driver{
		env.File.Driver(),
		s3.Driver(env.S3),
		sftp.Driver(env.SFTP),
		ftp.Driver(env.FTP),
		webdav.Driver(env.WebDAV),
		rsync.Driver(env.Rsync),
		swift.Driver(env.Swift),
		imap.Driver(env.IMAP),
		rclone.Driver(env.Rclone),
	}
}
