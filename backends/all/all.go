// Package all is the registry of drivers: the one place that imports every
// one of them.
package all

import (
	"tklbam/backends"
	"tklbam/backends/file"
	"tklbam/backends/ftp"
	"tklbam/backends/s3"
	"tklbam/backends/sftp"
	"tklbam/backends/webdav"
)

// An Environment is what drivers get to know besides addresses. They read
// neither variables nor configuration themselves.
type Environment struct {
	S3     s3.Options
	SFTP   sftp.Environment
	FTP    ftp.Environment
	WebDAV webdav.Environment
}

// Drivers returns the drivers the program is built with.
func Drivers(env Environment) []backends.Driver {
	return []backends.Driver{
		file.Driver(),
		s3.Driver(env.S3),
		sftp.Driver(env.SFTP),
		ftp.Driver(env.FTP),
		webdav.Driver(env.WebDAV),
	}
}
