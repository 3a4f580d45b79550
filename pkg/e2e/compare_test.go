package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A tree is what lies below a directory, by path; "." is the directory.
type tree map[string]node

// A node is one file. Sums of contents stand for the contents.
type node struct {
	kind     uint32 // unix.S_IFMT
	mode     uint32
	uid, gid uint32
	mtime    unix.Timespec
	size     int64
	sum      string
	target   string
	rdev     uint64
	inode    uint64
	holes    bool
	attrs    map[string]string
}

// A level says how much of a tree has to be the same.
type level int

const (
	exact    level = iota // all that ours keeps
	stock                 // what stock keeps: whole seconds, no hard links, attributes or holes
	contents              // types, contents and link targets
)

// look reads a tree.
func look(t testing.TB, root string) tree {
	t.Helper()
	got := tree{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		got[rel], err = lookAt(path)
		return err
	})
	ok(t, err)
	return got
}

func lookAt(path string) (n node, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return n, err
	}
	n = node{
		kind: st.Mode & unix.S_IFMT, mode: st.Mode & 0o7777, uid: st.Uid, gid: st.Gid, mtime: st.Mtim,
		rdev: st.Rdev, inode: st.Ino,
	}
	switch n.kind {
	case unix.S_IFREG:
		n.size, n.holes = st.Size, st.Size-st.Blocks*512 >= 64<<10
		n.sum, err = sumOf(path)
	case unix.S_IFLNK:
		n.target, err = os.Readlink(path)
	}
	if err == nil {
		n.attrs, err = attributesOf(path)
	}
	return n, err
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)[:12]), err
}

func attributesOf(path string) (map[string]string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if err == unix.ENOTSUP || n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	attrs := map[string]string{}
	for _, name := range strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		value := make([]byte, 64<<10)
		m, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return nil, err
		}
		attrs[name] = string(value[:m])
	}
	return attrs, nil
}

// same fails the test where two trees differ.
func same(t testing.TB, what string, got, want tree, l level) {
	t.Helper()
	diffs := want.differences(got, l)
	if n := len(diffs); n > 15 {
		diffs = append(diffs[:15], fmt.Sprintf("and %d more", n-15))
	}
	if len(diffs) > 0 {
		t.Errorf("%s:\n  %s", what, strings.Join(diffs, "\n  "))
	}
}

// differences tells in what got is not what it should be. Sockets are in no
// backup.
func (want tree) differences(got tree, l level) (diffs []string) {
	names := slices.Sorted(maps.Keys(want))
	for _, name := range names {
		w := want[name]
		g, there := got[name]
		switch {
		case w.kind == unix.S_IFSOCK:
			if there {
				diffs = append(diffs, fmt.Sprintf("%q: a socket", name))
			}
		case !there:
			diffs = append(diffs, fmt.Sprintf("%q: missing", name))
		default:
			for _, d := range w.differences(g, l) {
				diffs = append(diffs, fmt.Sprintf("%q: %s", name, d))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, there := want[name]; !there {
			diffs = append(diffs, fmt.Sprintf("%q: should not be", name))
		}
	}
	if l == exact {
		diffs = append(diffs, want.linkDifferences(got, names)...)
	}
	return diffs
}

// linkDifferences compares which regular files are one inode.
func (want tree) linkDifferences(got tree, names []string) (diffs []string) {
	firstWant, firstGot := map[uint64]string{}, map[uint64]string{}
	for _, name := range names {
		w, g := want[name], got[name]
		if w.kind != unix.S_IFREG || g.kind != unix.S_IFREG {
			continue
		}
		if firstWant[w.inode] == "" {
			firstWant[w.inode] = name
		}
		if firstGot[g.inode] == "" {
			firstGot[g.inode] = name
		}
		if w, g := firstWant[w.inode], firstGot[g.inode]; w != g {
			diffs = append(diffs, fmt.Sprintf("%q: the same file as %q, should be as %q", name, g, w))
		}
	}
	return diffs
}

func (w node) differences(g node, l level) (diffs []string) {
	check := func(what string, got, want any) {
		if got != want {
			diffs = append(diffs, fmt.Sprintf("%s %v, want %v", what, got, want))
		}
	}
	check("type", g.kind, w.kind)
	if w.kind != g.kind {
		return diffs
	}
	check("size", g.size, w.size)
	check("content", g.sum, w.sum)
	check("target", g.target, w.target)
	if l == contents {
		return diffs
	}
	link := w.kind == unix.S_IFLNK
	check("device", g.rdev, w.rdev)
	check("uid", g.uid, w.uid)
	check("gid", g.gid, w.gid)
	if !link {
		check("mode", fmt.Sprintf("%04o", g.mode), fmt.Sprintf("%04o", w.mode))
	}
	switch {
	case l == exact:
		check("mtime", fmt.Sprint(g.mtime), fmt.Sprint(w.mtime))
		check("holes", g.holes, w.holes)
		if !maps.Equal(g.attrs, w.attrs) {
			diffs = append(diffs, fmt.Sprintf("attributes %q, want %q", g.attrs, w.attrs))
		}
	case !link && g.mtime.Sec != asFloat(w.mtime):
		check("mtime", g.mtime.Sec, w.mtime.Sec)
	}
	return diffs
}

// asFloat is the second that Python's floating point makes of a time, which is
// the next one for the last tenth of a microsecond.
func asFloat(t unix.Timespec) int64 { return int64(float64(t.Sec) + float64(t.Nsec)/1e9) }

// without returns the tree less a path and all below it.
func (want tree) without(paths ...string) tree {
	out := maps.Clone(want)
	for name := range want {
		for _, p := range paths {
			if name == p || strings.HasPrefix(name, p+"/") {
				delete(out, name)
			}
		}
	}
	return out
}

// sameBytes compares two files.
func sameBytes(t testing.TB, got, want string) {
	t.Helper()
	a, err := os.ReadFile(got)
	ok(t, err)
	b, err := os.ReadFile(want)
	ok(t, err)
	if !bytes.Equal(a, b) {
		t.Errorf("%s and %s differ", got, want)
	}
}
