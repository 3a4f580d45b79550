package pgsqlfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Names in a tree.
const (
	globalsName  = ".globals.sql"
	manifestName = "manifest.txt"
	clustersName = ".clusters"
	tocName      = "toc.dat"
	scriptName   = "restore.sql"
)

// dirName returns the name of a database's directory. Different databases
// have different ones, none starts with a dot, and the name of a database
// that is a file name is its own, unless it has a percent sign.
func dirName(database string) string {
	name := strings.NewReplacer("%", "%25", "/", "%2F").Replace(database)
	if strings.HasPrefix(name, ".") {
		name = "%2E" + name[1:]
	}
	return name
}

// A tree is the part of a cluster in a tree.
type tree struct {
	label string // of the cluster; "" for the first
	path  string // below the root
}

// trees returns the parts there are: the first cluster's, then those below
// .clusters. What is no directory is passed over.
func trees(root *os.Root) ([]tree, error) {
	found := []tree{{path: "."}}
	versions, err := subdirectories(root, clustersName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, version := range versions {
		names, err := subdirectories(root, path.Join(clustersName, version))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			label := version + "/" + name
			found = append(found, tree{label: label, path: path.Join(clustersName, label)})
		}
	}
	return found, nil
}

// subdirectories returns the names of the directories in one, in order.
func subdirectories(root *os.Root, dir string) ([]string, error) {
	entries, err := fs.ReadDir(root.FS(), dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// databases returns the directories of databases in the part of a cluster.
func (t tree) databases(root *os.Root) ([]string, error) {
	names, err := subdirectories(root, t.path)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, name := range names {
		if name != clustersName {
			dirs = append(dirs, path.Join(t.path, name))
		}
	}
	return dirs, nil
}

// open opens a regular file for reading: a tree that comes out of a backup
// may hold anything in its place.
func open(root *os.Root, name string) (*os.File, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open %q: it is no regular file", name)
	}
	return root.Open(name)
}
