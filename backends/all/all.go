// Package all is the registry of drivers: the one place that imports every
// one of them.
package all

import (
	"tklbam/backends"
	"tklbam/backends/file"
)

// Drivers returns the drivers the program is built with.
func Drivers() []backends.Driver {
	return []backends.Driver{
		file.Driver(),
	}
}
