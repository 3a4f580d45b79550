package profile

import (
	_ "embed"
	"strings"

	"tklbam/pkg/limits"
)

//go:embed generic/dirindex.conf
var genericConf string

//go:embed generic/identity
var identity string

// Identity returns the paths that make a machine the one it is: its name, its
// network, its disks, its keys. They are part of a backup, but a restore
// leaves the machine's own in place unless it is asked to do otherwise. A path
// is one of them if the list includes it.
func Identity() limits.List {
	list, err := limits.ReadPaths(strings.NewReader(identity))
	if err != nil {
		panic("embedded list of identity paths: " + err.Error()) // a test reads it
	}
	return list
}
