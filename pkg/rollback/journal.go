package rollback

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"tklbam/pkg/rollback/livefs"
	"tklbam/pkg/sysfs"
	"tklbam/pkg/tree"
)

// A Journal is the record of a restore that is going on. The restore tells it
// of every change beforehand, in the order of the package documentation.
// Paths are relative to the root, and lead through no symlinks. A path is
// recorded once: what the restore itself put there needs no place to go.
//
// Errors of writing the journal stick: nothing may be changed after one. A
// Journal is for one goroutine.
type Journal struct {
	dir   string
	root  string
	mark  string
	calls livefs.Calls
	whole bool        // files are kept as copies
	home  *sysfs.Root // the record's directory
	file  *os.File
	buf   []byte // lines that are not written yet
	seq   int
	seen  map[string]seen
	metas map[[2]uint64]livefs.Meta // of files with several names, before the first change
	links map[[2]uint64]uint64      // how many names they had when one was first displaced
	err   error

	copier *livefs.Copier // made when first needed
	dirty  bool           // copies are not synced
}

// seen is what of a path is recorded.
type seen uint8

const (
	seenWhole seen = 1 << iota // anything may be done to it
	seenMeta
	seenTimes
)

func newJournal(dir string, calls livefs.Calls, opts Options) (*Journal, error) {
	var mark [4]byte
	if _, err := rand.Read(mark[:]); err != nil {
		return nil, err
	}
	home, err := sysfs.Open(dir)
	if err != nil {
		return nil, err
	}
	j := &Journal{dir: dir, root: opts.Root, calls: calls, whole: opts.Copy, home: home, seen: make(map[string]seen), metas: make(map[[2]uint64]livefs.Meta), links: make(map[[2]uint64]uint64)}
	j.mark = hex.EncodeToString(mark[:])
	j.file, err = os.OpenFile(filepath.Join(dir, journalFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		home.Close()
		return nil, err
	}
	j.log(&entry{kind: kindBegin, path: j.mark, time: unix.NsecToTimespec(opts.Now.UnixNano())})
	if err := errors.Join(j.write(), syncDir(dir)); err != nil {
		j.abandon()
		return nil, err
	}
	return j, nil
}

// Dir returns the record's directory.
func (j *Journal) Dir() string { return j.dir }

// Part adds a part to the record, a directory that write makes: it is there as
// a whole, and durable, or not at all.
func (j *Journal) Part(name string, write func(dir string) error) error {
	partial := filepath.Join(j.dir, partialDir, name)
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := write(partial); err != nil {
		return err
	}
	d, err := os.Open(partial)
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Syncfs(int(d.Fd())), d.Close()); err != nil {
		return fmt.Errorf("sync %q: %w", partial, err)
	}
	if err := os.Rename(partial, filepath.Join(j.dir, name)); err != nil {
		return err
	}
	return syncDir(j.dir)
}

// A Change is the intent to put something else at a path, or nothing.
type Change struct {
	seq   int
	mark  string
	path  string
	place string       // where in the record what is there goes; "" if nothing is or it does not matter
	prior *unix.Stat_t // what is there; nil if nothing
	known bool         // the path was recorded before: what is there does not matter

	kept   bool // what was there is in its place
	copied bool // by a copy
	aside  bool // a directory was renamed beside its path
}

// Temp is the name, in the same directory, under which what replaces the path
// must be made: Undo removes such a file.
func (c *Change) Temp() string { return tempName(c.mark, c.seq) }

func tempName(mark string, seq int) string {
	return fmt.Sprintf("%s%s-%d", tree.TempPrefix, mark, seq)
}

// AsideEnding, after Change.Temp, is the name in the same directory where what
// was at the path may wait until the change is made. Undo removes it too.
const AsideEnding = ".old"

func asideName(mark string, seq int) string { return tempName(mark, seq) + AsideEnding }

// Known reports whether what is at the path was put there by this restore.
func (c *Change) Known() bool { return c.known }

// Holds reports whether now, a stat of the path or nil, shows what the change
// was recorded for. If not, somebody else was there in between, or an earlier
// change that this one relies on is void: the change must be recorded anew.
func (j *Journal) Holds(c *Change, now *unix.Stat_t) bool {
	if c.known {
		return j.seen[c.path]&seenWhole != 0
	}
	if !livefs.SameFile(c.prior, now) {
		return false
	}
	return !c.copied || now.Size == c.prior.Size && now.Mtim == c.prior.Mtim
}

// Covers reports whether owner and mode of what is at the path may be
// changed: they are recorded, or the restore put it there.
func (j *Journal) Covers(path string) bool { return j.seen[path]&(seenWhole|seenMeta) != 0 }

// Replace records that the path, at which now is or nil, will be something
// else. The directory it lies in need not exist yet if that is recorded.
func (j *Journal) Replace(root *sysfs.Root, path string, now *unix.Stat_t) (*Change, error) {
	known := j.seen[path]&seenWhole != 0
	if !known {
		if err := j.touch(root, path); err != nil {
			return nil, err
		}
	}
	if now != nil && !known {
		// A copy of the file may be made after a change through another name.
		if meta, ok := j.metas[[2]uint64{now.Dev, now.Ino}]; ok {
			j.logMeta(path, meta)
		}
	}
	c := &Change{seq: j.seq, mark: j.mark, path: path, prior: now, known: known}
	e := &entry{kind: kindNew, path: path}
	switch {
	case known:
		e.kind = kindTemp
	case livefs.IsDir(now):
		c.place = fmt.Sprintf("%s/%d", treesDir, j.seq)
	case now != nil:
		c.place = originalsDir + "/" + path
	}
	if c.place != "" {
		e.kind, e.place, e.was = kindSaved, c.place, j.inodeOf(now)
	}
	j.seen[path] |= seenWhole
	j.log(e)
	return c, nil
}

// inodeOf identifies a file. Its names become fewer as they are displaced; the
// last must still tell that it was not the only one.
func (j *Journal) inodeOf(st *unix.Stat_t) inode {
	was := inode{st.Dev, st.Ino, uint64(st.Nlink), st.Ctim}
	id := [2]uint64{was.dev, was.ino}
	if livefs.IsDir(st) {
		return was
	}
	if was.links > 1 {
		j.links[id] = max(j.links[id], was.links)
	}
	was.links = max(was.links, j.links[id])
	return was
}

// touch records the time of the directory that path lies in, which a change
// of the path will change.
func (j *Journal) touch(root *sysfs.Root, path string) error {
	dir, _ := sysfs.Split(path)
	if j.seen[dir]&(seenWhole|seenTimes) != 0 {
		return nil
	}
	fd, err := root.Dir(dir)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("stat %q: %w", dir, err)
	}
	j.seen[dir] |= seenTimes
	j.log(&entry{kind: kindTimes, path: dir, time: st.Mtim})
	return nil
}

// Adjust records that owner or mode of what is at the path, which now shows,
// will be changed.
func (j *Journal) Adjust(root *sysfs.Root, path string, now *unix.Stat_t) error {
	if j.Covers(path) {
		return nil
	}
	p, err := livefs.At(root, path)
	if err != nil {
		return err
	}
	meta, err := p.Meta(now)
	if err != nil {
		return fmt.Errorf("read metadata of %q: %w", path, err)
	}
	if id := [2]uint64{now.Dev, now.Ino}; now.Nlink > 1 && !livefs.IsDir(now) {
		if first, ok := j.metas[id]; ok {
			meta = first
		}
		j.metas[id] = meta
	}
	j.logMeta(path, meta)
	return nil
}

func (j *Journal) logMeta(path string, meta livefs.Meta) {
	if j.seen[path]&seenMeta == 0 {
		j.seen[path] |= seenMeta
		j.log(&entry{kind: kindMeta, path: path, meta: meta})
	}
}

// Void takes a change back that was not carried out: the path is as it was.
func (j *Journal) Void(c *Change) error {
	j.log(&entry{kind: kindVoid, void: c.seq})
	if c.known {
		return nil
	}
	j.seen[c.path] &^= seenWhole
	if !c.kept || livefs.IsDir(c.prior) {
		return nil
	}
	p, err := livefs.At(j.home, c.place)
	if err == nil {
		err = j.calls.Unlink(p)
	}
	if err != nil {
		return fmt.Errorf("remove the copy of %q: %w", c.path, err)
	}
	return nil
}

// Note records something by name that others undo: a package installed, a
// database replaced. It is durable when the call returns.
func (j *Journal) Note(kind, name string) error {
	j.log(&entry{kind: kindNote, label: kind, path: name})
	return j.Sync()
}

// Complete records that the restore has come to its end.
func (j *Journal) Complete() error {
	j.log(&entry{kind: kindComplete})
	return j.Sync()
}

func (j *Journal) log(e *entry) {
	e.seq = j.seq
	j.seq++
	j.buf = e.append(j.buf)
}

// Sync makes all that was recorded durable. It costs one write and one sync,
// so it is called for many changes at once, before the first of them.
func (j *Journal) Sync() error {
	if len(j.buf) == 0 || j.err != nil {
		return j.err
	}
	lines := j.buf
	j.buf = nil
	window := entry{seq: j.seq, kind: kindWindow}
	j.seq++
	j.buf = append(window.append(nil), lines...)
	return j.write()
}

func (j *Journal) write() error {
	err := j.calls.Step("write journal")
	if err == nil {
		_, err = j.file.Write(j.buf)
	}
	if err == nil {
		err = j.calls.Step("sync journal")
	}
	if err == nil {
		err = j.file.Sync()
	}
	j.buf = j.buf[:0]
	if err != nil {
		j.err = fmt.Errorf("write rollback journal: %w", err)
	}
	return j.err
}

// Close writes what is left and ends the journal's use. The record stays.
func (j *Journal) Close() error {
	err := j.Sync()
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return errors.Join(err, j.abandon())
}

// abandon closes all files as they are.
func (j *Journal) abandon() error {
	if j.copier != nil {
		j.copier.Close()
		j.copier = nil
	}
	j.home.Close()
	j.err = fs.ErrClosed
	return j.file.Close()
}

// Err returns the error that ended the journal, if any.
func (j *Journal) Err() error { return j.err }
