package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// change does n random things to the tree, and one of every kind at least.
// Whatever it touches is dated to a second of this round alone, but for the
// subtle changes.
func (g *gardener) change(n int) {
	g.t.Helper()
	g.age++
	g.now = g.now.Add(time.Hour)
	kinds := []func(){
		g.overwrite, g.append, g.truncate, g.insert, g.cut, g.rewrite, g.replace,
		g.rename, g.remove, g.chmod, g.own, g.retouch, g.retype, g.retype, g.create, g.retarget,
	}
	if g.subtle {
		kinds = append(kinds, g.editWithinSecond, g.editUnseen, g.relink, g.unlink, g.setAttribute, g.dropAttribute)
	}
	for i := range max(n, len(kinds)) {
		if i >= len(kinds) {
			kinds[g.rnd.IntN(len(kinds))]()
		} else {
			kinds[i]()
		}
	}
}

// pick chooses a path of one of the kinds, "" if there is none.
func (g *gardener) pick(kinds ...uint32) string {
	g.t.Helper()
	var list []string
	for _, name := range g.all() {
		if slices.Contains(kinds, g.stat(name).Mode&unix.S_IFMT) {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		return ""
	}
	return list[g.rnd.IntN(len(list))]
}

// pickBelow chooses what is neither in the root, for most of the tree would go
// with it, nor on the way down the deep path.
func (g *gardener) pickBelow(kinds ...uint32) string {
	g.t.Helper()
	for {
		if name := g.pick(kinds...); strings.Contains(name, "/") && !strings.HasPrefix(name, "deep/") {
			return name
		}
	}
}

// pickFile chooses a regular file of some length.
func (g *gardener) pickFile() (name string, size int64) {
	g.t.Helper()
	for {
		name = g.pick(unix.S_IFREG)
		if size = g.stat(name).Size; size > 0 && size < 8<<20 {
			return name, size
		}
	}
}

func (g *gardener) stat(name string) (st unix.Stat_t) {
	g.t.Helper()
	ok(g.t, unix.Lstat(g.path(name), &st))
	return st
}

// stamp dates a file and its directory to this round.
func (g *gardener) stamp(name string) {
	g.t.Helper()
	at := g.now.Add(time.Duration(g.rnd.Int64N(3600e9)))
	var st unix.Stat_t
	err := unix.Lstat(g.path(name), &st)
	if err == nil {
		g.touch(name, at)
	} else if !errors.Is(err, unix.ENOENT) {
		g.t.Fatal(err)
	}
	g.touch(path.Dir(name), at)
}

// edit changes a file's content in place.
func (g *gardener) edit(name string, change func([]byte) []byte) {
	g.t.Helper()
	b, err := os.ReadFile(g.path(name))
	ok(g.t, err)
	f, err := os.OpenFile(g.path(name), os.O_WRONLY|os.O_TRUNC, 0)
	ok(g.t, err)
	_, err = f.Write(change(b))
	ok(g.t, errors.Join(err, f.Close()))
}

func (g *gardener) flip(b []byte) []byte {
	for range 1 + len(b)/20000 {
		at := g.rnd.IntN(len(b))
		n := min(len(b)-at, 1+g.rnd.IntN(200))
		for i, c := range g.noise(n) {
			b[at+i] ^= c | 1
		}
	}
	return b
}

func (g *gardener) overwrite() {
	name, _ := g.pickFile()
	g.edit(name, g.flip)
	g.stamp(name)
}

func (g *gardener) append() {
	name, _ := g.pickFile()
	g.edit(name, func(b []byte) []byte { return append(b, g.content(1+g.rnd.IntN(70000))...) })
	g.stamp(name)
}

func (g *gardener) truncate() {
	name, size := g.pickFile()
	ok(g.t, os.Truncate(g.path(name), g.rnd.Int64N(size)))
	g.stamp(name)
}

func (g *gardener) insert() {
	name, size := g.pickFile()
	at := g.rnd.Int64N(size)
	g.edit(name, func(b []byte) []byte { return slices.Insert(b, int(at), g.content(1+g.rnd.IntN(5000))...) })
	g.stamp(name)
}

func (g *gardener) cut() {
	name, size := g.pickFile()
	at := g.rnd.Int64N(size)
	end := at + 1 + g.rnd.Int64N(size-at)
	g.edit(name, func(b []byte) []byte { return slices.Delete(b, int(at), int(end)) })
	g.stamp(name)
}

func (g *gardener) rewrite() {
	name, _ := g.pickFile()
	g.edit(name, func(b []byte) []byte { return g.content(g.rnd.IntN(300000)) })
	g.stamp(name)
}

// replace puts a new file of the same content in a file's place, which breaks
// hard links and loses attributes, and leaves the rest as it was.
func (g *gardener) replace() {
	name, _ := g.pickFile()
	st := g.stat(name)
	b, err := os.ReadFile(g.path(name))
	ok(g.t, err)
	temp := path.Join(path.Dir(name), g.fresh())
	ok(g.t, os.WriteFile(g.path(temp), b, 0o600))
	ok(g.t, os.Rename(g.path(temp), g.path(name)))
	g.chown(name, int(st.Uid), int(st.Gid))
	ok(g.t, unix.Chmod(g.path(name), st.Mode&0o7777))
	g.touch(name, time.Unix(st.Mtim.Sec, st.Mtim.Nsec))
}

func (g *gardener) fresh() string { return fmt.Sprintf("new-%d-%d", g.age, g.rnd.IntN(1e9)) }

func (g *gardener) rename() {
	name := g.pickBelow(unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK, unix.S_IFIFO)
	to := path.Join(path.Dir(name), g.fresh())
	ok(g.t, os.Rename(g.path(name), g.path(to)))
	g.stamp(name)
	g.stamp(to)
}

func (g *gardener) remove() {
	name := g.pick(unix.S_IFREG, unix.S_IFLNK, unix.S_IFIFO, unix.S_IFCHR)
	ok(g.t, os.Remove(g.path(name)))
	g.stamp(name)
}

func (g *gardener) chmod() {
	name := g.pick(unix.S_IFREG, unix.S_IFDIR, unix.S_IFIFO)
	mode := g.stat(name).Mode&0o7777 ^ 0o050
	ok(g.t, unix.Chmod(g.path(name), mode|0o400))
}

func (g *gardener) own() {
	name := g.pick(unix.S_IFREG, unix.S_IFDIR)
	mode := g.stat(name).Mode & 0o7777
	g.chown(name, g.rnd.IntN(60000), 1+g.rnd.IntN(10))
	ok(g.t, unix.Chmod(g.path(name), mode)) // without what the change took away
}

func (g *gardener) retouch() {
	name := g.pick(unix.S_IFREG, unix.S_IFDIR)
	g.touch(name, g.now.Add(time.Duration(g.rnd.Int64N(3600e9))))
}

// retype replaces something by something of another type.
func (g *gardener) retype() {
	kinds := []uint32{unix.S_IFREG, unix.S_IFLNK, unix.S_IFIFO, unix.S_IFDIR}
	name := g.pickBelow(kinds...)
	was := g.stat(name).Mode & unix.S_IFMT
	ok(g.t, os.RemoveAll(g.path(name)))
	switch kinds = slices.DeleteFunc(kinds, func(k uint32) bool { return k == was }); kinds[g.rnd.IntN(len(kinds))] {
	case unix.S_IFREG:
		g.file(name, g.content(1000))
	case unix.S_IFLNK:
		ok(g.t, os.Symlink("../"+g.fresh(), g.path(name)))
	case unix.S_IFIFO:
		ok(g.t, unix.Mkfifo(g.path(name), 0o600))
	case unix.S_IFDIR:
		g.file(name+"/inside", g.content(100))
		g.stamp(name + "/inside")
	}
	g.stamp(name)
}

func (g *gardener) create() {
	dir := g.pick(unix.S_IFDIR)
	name := path.Join(dir, g.fresh())
	g.file(name, g.content(g.rnd.IntN(100000)))
	g.stamp(name)
	g.file(name+".d/one", g.content(10))
	g.stamp(name + ".d/one")
	g.stamp(name + ".d")
}

func (g *gardener) retarget() {
	name := g.pick(unix.S_IFLNK)
	if name == "" {
		return
	}
	ok(g.t, os.Remove(g.path(name)))
	ok(g.t, os.Symlink(g.fresh(), g.path(name)))
	g.stamp(name)
}

// editWithinSecond leaves the size and the second of the modification time.
func (g *gardener) editWithinSecond() {
	name, _ := g.pickFile()
	m := g.stat(name).Mtim
	g.edit(name, g.flip)
	g.touch(name, time.Unix(m.Sec, (m.Nsec+1+g.rnd.Int64N(999999998))%1e9))
}

// editUnseen leaves everything but the time of change, which can't be set.
func (g *gardener) editUnseen() {
	name, _ := g.pickFile()
	m := g.stat(name).Mtim
	g.edit(name, g.flip)
	g.touch(name, time.Unix(m.Sec, m.Nsec))
}

func (g *gardener) relink() {
	name, _ := g.pickFile()
	to := g.fresh()
	ok(g.t, os.Link(g.path(name), g.path(to)))
}

// unlink removes one of several names of a file.
func (g *gardener) unlink() {
	linked := slices.DeleteFunc(g.all(), func(name string) bool {
		st := g.stat(name)
		return st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink < 2
	})
	if len(linked) > 0 {
		ok(g.t, os.Remove(g.path(linked[g.rnd.IntN(len(linked))])))
	}
}

func (g *gardener) setAttribute() {
	g.attribute(g.pick(unix.S_IFREG, unix.S_IFDIR), "user.set", g.fresh())
}

func (g *gardener) dropAttribute() {
	var list [][2]string
	for _, name := range g.all() {
		attrs, err := attributesOf(g.path(name))
		ok(g.t, err)
		for _, attr := range slices.Sorted(maps.Keys(attrs)) {
			list = append(list, [2]string{name, attr})
		}
	}
	if len(list) > 0 {
		one := list[g.rnd.IntN(len(list))]
		ok(g.t, unix.Lremovexattr(g.path(one[0]), one[1]))
	}
}
