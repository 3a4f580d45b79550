package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A gardener makes and changes a tree, always the same way for one seed.
type gardener struct {
	t    testing.TB
	root string
	rnd  *rand.Rand
	now  time.Time // what changes are dated, for the second to differ between rounds

	// subtle lets changes through that leave size, type, mode, owner and the
	// second of the modification time alone: stock sessions don't see those.
	subtle bool
	age    int
}

func newGardener(t testing.TB, seed uint64) *gardener {
	g := &gardener{
		t: t, root: filepath.Join(tempDir(t), "tree"), rnd: rand.New(rand.NewPCG(seed, 1)),
		now: time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC),
	}
	ok(t, os.Mkdir(g.root, 0o755))
	return g
}

func (g *gardener) path(name string) string { return filepath.Join(g.root, name) }

// content is n bytes, half of the time text.
func (g *gardener) content(n int) []byte {
	if g.rnd.IntN(2) == 0 {
		return g.noise(n)
	}
	var b []byte
	for len(b) < n {
		b = fmt.Appendf(b, "line %d of many like it: %x\n", len(b), g.rnd.Uint32())
	}
	return b[:n]
}

func (g *gardener) noise(n int) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, g.rnd.Uint64())
	}
	return b[:n]
}

func (g *gardener) file(name string, content []byte) {
	g.t.Helper()
	ok(g.t, os.MkdirAll(filepath.Dir(g.path(name)), 0o755))
	ok(g.t, os.WriteFile(g.path(name), content, 0o644))
}

func (g *gardener) mkdir(names ...string) {
	g.t.Helper()
	for _, name := range names {
		ok(g.t, os.MkdirAll(g.path(name), 0o755))
	}
}

// grow makes one of everything.
func (g *gardener) grow() {
	g.sizes()
	g.names()
	g.order()
	g.special()
	g.modes()
	g.links()
	g.attributes()
	g.date()
	g.times()
}

// sizes has the lengths around which something in the format changes.
func (g *gardener) sizes() {
	for _, n := range []int{0, 1, 512, 2048, 65536, 262144, 1024000} {
		for d := max(-1, -n); d <= 1; d++ {
			g.file(fmt.Sprintf("size/%07d", n+d), g.content(n+d))
		}
	}
	g.file("big", g.noise(3<<20))
	g.file("size/zeros", make([]byte, 200000))
	f, err := os.Create(g.path("sparse"))
	ok(g.t, err)
	for _, at := range []int64{1 << 20, 5<<20 - 100} {
		_, err = f.WriteAt(g.noise(5000), at)
		ok(g.t, err)
	}
	ok(g.t, f.Truncate(8<<20))
	ok(g.t, f.Close())
}

// names are hard on whoever quotes, decodes or cuts them.
func (g *gardener) names() {
	for _, name := range []string{
		"new\nline", "white space", " leading", "trailing ", "tab\t", `quo"te'`, `back\slash`, `\x41`, "%41", "-dash", "--",
		"*glob?[x]{y}", "~", "#", "ünïcödé ☃", "latin\xff\xe4", "\x01\x7f", "x.zst.age", "x.gpg", "y.tar.gz", strings.Repeat("n", 255),
		strings.Repeat("\xc3\xa4", 127), "duplicity-full.20200101T000000Z.manifest", "snapshot", "deleted", "1",
	} {
		g.file("names/"+name, g.content(100+g.rnd.IntN(3000)))
	}
	g.file("names/multivol_snapshot/1", g.content(10))
	g.mkdir("names/dir\nwith\\odd \"name\xfe")
	g.file("names/dir\nwith\\odd \"name\xfe/f", g.content(10))
	deep := "deep"
	for i := range 40 {
		deep += fmt.Sprintf("/%02d-%s", i, strings.Repeat("d", 24))
	}
	g.file(deep+"/bottom", g.content(70000))
}

// order has what a comparison of whole strings gets wrong.
func (g *gardener) order() {
	for _, name := range []string{
		"order/a/b", "order/a/b.c", "order/a.d/z", "order/a-b", "order/a.txt", "order/a b/c", "order/a!", "order/aa",
		"order/dir/x", "order/dir.d/x", "order/dir-x", "order/dir0", "order/A", "order/\x01/x", "order/\xff/x", "order/.hidden",
	} {
		g.file(name, g.content(50))
	}
	g.mkdir("order/empty")
}

func (g *gardener) special() {
	g.mkdir("special")
	for name, target := range map[string]string{
		"dangling": "nowhere", "absolute": "/nowhere/at/all", "odd": "t\xff\n \"\\", "up": "../../..", "dir": "../order",
		"long": strings.Repeat("long/", 100), "loop": "loop",
	} {
		ok(g.t, os.Symlink(target, g.path("special/"+name)))
	}
	ok(g.t, unix.Mkfifo(g.path("special/fifo"), 0o640))
	ok(g.t, unix.Mknod(g.path("special/socket"), unix.S_IFSOCK|0o600, 0))
	g.device("special/char", unix.S_IFCHR|0o620, 1, 3)
	g.device("special/block", unix.S_IFBLK|0o660, 259, 1000)
}

func (g *gardener) device(name string, mode uint32, major, minor uint32) {
	err := unix.Mknod(g.path(name), mode, int(unix.Mkdev(major, minor)))
	if errors.Is(err, unix.EPERM) {
		g.t.Logf("no devices: %v", err)
		return
	}
	ok(g.t, err)
}

func (g *gardener) modes() {
	for i, mode := range []uint32{0o4755, 0o2755, 0o6711, 0o1644, 0o000, 0o444, 0o777, 0o200} {
		name := fmt.Sprintf("mode/%04o", mode)
		g.file(name, g.content(300))
		uid := []int{1, 0, 33, 12345, 54321, 65534}[i%6]
		g.chown(name, uid, uid/2)
		ok(g.t, unix.Chmod(g.path(name), mode))
	}
	for _, mode := range []uint32{0o1777, 0o2775, 0o700, 0o555} {
		name := fmt.Sprintf("mode/dir%04o", mode)
		g.file(name+"/f", g.content(30))
		ok(g.t, unix.Chmod(g.path(name), mode))
	}
	if os.Getuid() == 0 { // others could not look into it
		g.file("mode/dir0000/f", g.content(30))
		ok(g.t, unix.Chmod(g.path("mode/dir0000"), 0))
	}
}

func (g *gardener) chown(name string, uid, gid int) {
	g.t.Helper()
	if os.Getuid() == 0 {
		ok(g.t, os.Lchown(g.path(name), uid, gid))
	}
}

func (g *gardener) links() {
	g.file("link/z-first", g.content(5000))
	g.file("link/small", g.content(5))
	g.mkdir("link/sub", "link.d")
	for old, names := range map[string][]string{
		"link/z-first": {"link/a", "link.d/b", "link/sub/c"}, "link/small": {"link/small2"}, "special/fifo": {"special/fifo2"},
		"special/dangling": {"special/dangling2"},
	} {
		for _, name := range names {
			ok(g.t, os.Link(g.path(old), g.path(name)))
		}
	}
}

// acl is a POSIX access control list as the kernel takes it: one more user
// who may read, and the mask.
func acl() string {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range [][3]uint32{{1, 6, ^uint32(0)}, {2, 4, 33}, {4, 4, ^uint32(0)}, {16, 4, ^uint32(0)}, {32, 0, ^uint32(0)}} {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, e[2])
	}
	return string(b)
}

// capability is cap_net_raw=ep as the kernel takes it.
func capability() string {
	b := binary.LittleEndian.AppendUint32(nil, 0x02000001)
	b = binary.LittleEndian.AppendUint64(b, 1<<13)
	return string(binary.LittleEndian.AppendUint64(b, 0))
}

func (g *gardener) attributes() {
	g.file("attr/file", g.content(1000))
	g.file("attr/acl", g.content(1000))
	g.file("attr/cap", g.content(1000))
	g.mkdir("attr/dir")
	g.attribute("attr/file", "user.odd \"\xff", "value\x00with\nbytes")
	g.attribute("attr/file", "user.empty", "")
	g.attribute("attr/file", "user.long", strings.Repeat("v", 2000))
	g.attribute("attr/dir", "user.dir", "d")
	g.attribute("attr/acl", "system.posix_acl_access", acl())
	g.attribute("attr/dir", "system.posix_acl_default", acl())
	g.attribute("attr/cap", "security.capability", capability())
	g.attribute("special/dangling", "trusted.link", "l")
}

// attribute sets an extended attribute where that is possible.
func (g *gardener) attribute(name, attr, value string) {
	g.t.Helper()
	err := unix.Lsetxattr(g.path(name), attr, []byte(value), 0)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) {
		g.t.Logf("no %s: %v", attr, err)
		return
	}
	ok(g.t, err)
}

// date gives everything a modification time of its own, in nanoseconds.
func (g *gardener) date() {
	for _, name := range g.all() {
		g.touch(name, time.Unix(1e9+g.rnd.Int64N(5e8), g.rnd.Int64N(1e9)))
	}
}

func (g *gardener) touch(name string, at time.Time) {
	g.t.Helper()
	ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(at.UnixNano())}
	ok(g.t, unix.UtimesNanoAt(unix.AT_FDCWD, g.path(name), ts, unix.AT_SYMLINK_NOFOLLOW))
}

func (g *gardener) times() {
	for _, f := range []struct {
		name string
		at   time.Time
	}{
		{"time/epoch", time.Unix(0, 0)},
		{"time/old", time.Unix(1, 500)},
		{"time/far", time.Date(2037, 12, 31, 23, 59, 59, 1, time.UTC)},
		{"time/late", time.Unix(1234567890, 999999999)},
		{"time/fraction", time.Unix(1234567890, 123456789)},
		{"time/dir/x", time.Unix(0, 1)},
	} {
		g.file(f.name, g.content(20))
		g.touch(f.name, f.at)
	}
	g.touch("time/dir", time.Unix(2, 3))
	g.touch("time", time.Unix(1300000000, 7))
	g.touch("", time.Unix(1300000000, 8))
}

// all lists the tree, without its root, directories after what they hold.
func (g *gardener) all() (names []string) {
	g.t.Helper()
	err := filepath.WalkDir(g.root, func(path string, _ fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(g.root, path); rel != "." {
			names = append([]string{rel}, names...)
		}
		return err
	})
	ok(g.t, err)
	return names
}
