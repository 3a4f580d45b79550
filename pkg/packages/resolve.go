package packages

import (
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxLinks bounds the symlinks followed on the way to one directory.
const maxLinks = 40

// A resolver says where the paths that packages ship really lie. Since usr
// was merged, a package may ship "/bin/x" that the disk has at "/usr/bin/x",
// and an administrator may have moved /var/lib/x to a bigger disk.
type resolver struct {
	root string
	dirs map[string]string // directory as shipped -> on disk
}

func newResolver(root string) *resolver {
	return &resolver{root: root, dirs: map[string]string{}}
}

// path resolves the directories on the way to p, but not p itself. Paths are
// relative to the root here, without a slash at either end.
func (r *resolver) path(p string) string {
	i := strings.LastIndexByte(p, '/')
	if i < 0 {
		return p
	}
	dir := r.dir(p[:i], maxLinks)
	switch {
	case dir == "":
		return p[i+1:]
	case dir == p[:i]:
		return p
	}
	return dir + p[i:]
}

// dir resolves a directory that need not exist. In a loop it gives up where
// it is.
func (r *resolver) dir(p string, links int) string {
	if p == "" {
		return ""
	}
	if known, ok := r.dirs[p]; ok {
		return known
	}
	parent, name := path.Split(p)
	place := path.Join(r.dir(strings.TrimSuffix(parent, "/"), links), name)
	if target, ok := r.link(place); ok && links > 0 {
		place = r.dir(within(path.Dir(place), target), links-1)
	}
	r.dirs[strings.Clone(p)] = place
	return place
}

// link returns the text of the symlink at p, if there is one.
func (r *resolver) link(p string) (string, bool) {
	target, err := os.Readlink(filepath.Join(r.root, p))
	return target, err == nil
}

// target returns the path that a symlink at p with the given text means, with
// the directories on its way resolved.
func (r *resolver) target(p, text string) string {
	return r.path(within(path.Dir(p), text))
}

// within makes text, the target of a symlink in the directory dir, a path
// relative to the root. It cannot leave the root.
func within(dir, text string) string {
	if !strings.HasPrefix(text, "/") {
		text = "/" + dir + "/" + text
	}
	return path.Clean(text)[1:]
}
