package chain

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"tklbam/chain/archive"
	"tklbam/chain/state"
)

// A restorePlan says, set by set, which regular files a restore takes from
// where; what is not a regular file the signature files have told already.
// It lies in scratch files: its size is that of the tree.
//
// wants[i] lists what set i is read for, in path order: files that set i was
// the last to change (Item.Set is i), and files that a newer set changed
// (Item.Set is that one's), of which set i may hold the content that deltas
// in newer sets build on.
type restorePlan struct {
	dir   string
	wants []*want
	dirs  *want
	links *want

	files, bytes int64
	unsized      bool // some files' sizes are unknown, as stock leaves them
}

// A want is a state written to a scratch file, made when first added to. Its
// buffer is small: there is one per set.
type want struct {
	path string
	file *os.File
	buf  *bufio.Writer
	w    *state.Writer
}

func (w *want) add(item *state.Item) error {
	if w.file == nil {
		f, err := os.OpenFile(w.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		w.file, w.buf = f, bufio.NewWriterSize(f, 4<<10)
		w.w = state.NewWriter(w.buf)
	}
	return w.w.Add(item)
}

// open ends the writing and returns what was added.
func (w *want) open() (state.Stream, error) {
	if w.file == nil {
		return state.Empty, nil
	}
	if w.w != nil {
		if err := errors.Join(w.w.Close(), w.buf.Flush()); err != nil {
			return nil, err
		}
		w.w, w.buf = nil, nil
	}
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return state.NewReader(w.file)
}

func (w *want) close() {
	if w.file != nil {
		w.file.Close()
		os.Remove(w.path)
	}
}

func newPlan(dir string, sets int) *restorePlan {
	p := &restorePlan{dir: dir}
	for i := range sets {
		p.wants = append(p.wants, p.want(strconv.Itoa(i)))
	}
	p.dirs, p.links = p.want("dirs"), p.want("links")
	return p
}

func (p *restorePlan) close() {
	for _, w := range append(p.wants, p.dirs, p.links) {
		w.close()
	}
}

func (p *restorePlan) want(name string) *want {
	return &want{path: filepath.Join(p.dir, "want-"+name)}
}

// A planner makes the plan from the layers of the chain's sets, and makes on
// the way all that is not a regular file.
type planner struct {
	plan     *restorePlan
	selected func(path string) bool
	target   Target
	report   Reporter

	parents []archive.Entry    // directories above the current path that are not selected, and not made
	leaders map[string]*leader // inodes that have several names, by the first of them
	spent   []string           // those whose names should all have been seen, the oldest first
	base    struct {           // what history has seen of the current path
		path   string
		broken bool
	}
}

// A leader is an inode that has several names, kept until all its names were seen,
// and then for a while: the chain counts the names as they were when the first
// was last stored, and there may be more since.
type leader struct {
	path          string // the first of the names that is restored
	device, inode uint64
	size          int64
	digest        archive.Digest
	left          int64
}

// maxSpent bounds the leaders kept for names that the chain did not count.
const maxSpent = 1 << 14

func (p *planner) spend(path string) {
	p.spent = append(p.spent, path)
	if len(p.spent) > maxSpent {
		delete(p.leaders, p.spent[0])
		p.spent = p.spent[1:]
	}
}

func (p *planner) run(layers []state.Stream) error {
	p.leaders = map[string]*leader{}
	merged := state.Merge(layers, p.history)
	for {
		item, err := merged.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if item.Deleted {
			continue
		}
		if err := p.item(item); err != nil {
			return err
		}
	}
}

// history notes the older sets that may hold what a file's deltas build on:
// those since it last was something else.
func (p *planner) history(winner, older *state.Item) error {
	if winner.Deleted || winner.Type != archive.Regular || !p.selected(winner.Path) {
		return nil
	}
	if p.base.path != winner.Path {
		p.base.path, p.base.broken = winner.Path, false
	}
	if older.Deleted || older.Type != archive.Regular {
		p.base.broken = true
	}
	if p.base.broken {
		return nil
	}
	return p.plan.wants[older.Set].add(&state.Item{
		Entry: archive.Entry{Path: winner.Path, Type: archive.Regular, Size: -1}, Set: winner.Set})
}

func (p *planner) item(item *state.Item) error {
	for len(p.parents) > 0 && !archive.Within(item.Path, p.parents[len(p.parents)-1].Path) {
		p.parents = p.parents[:len(p.parents)-1]
	}
	if !p.selected(item.Path) {
		if item.Type == archive.Directory {
			p.parents = append(p.parents, item.Entry)
		}
		return nil
	}
	for i := range p.parents {
		if err := p.directory(&p.parents[i]); err != nil {
			return err
		}
	}
	p.parents = p.parents[:0]
	return p.wanted(item)
}

func (p *planner) wanted(item *state.Item) error {
	switch {
	case item.Type == archive.Directory:
		return p.directory(&item.Entry)
	case item.Type != archive.Regular:
		p.plan.files++
		if err := p.target.Make(&item.Entry); err != nil {
			return lost(p.report, item.Path, err)
		}
		return nil
	}
	p.plan.files++
	if p.linked(item) {
		return p.plan.links.add(item)
	}
	if item.Size < 0 {
		p.plan.unsized = true
	} else {
		p.plan.bytes += item.Size
	}
	return p.plan.wants[item.Set].add(item)
}

func (p *planner) directory(e *archive.Entry) error {
	if err := p.target.Mkdir(e); err != nil {
		return lost(p.report, e.Path, err)
	}
	return p.plan.dirs.add(&state.Item{Entry: *e})
}

// linked reports whether the file is to be made as a hard link, and points it
// to what it is linked to: the first of its names that is restored, if that
// still is the same inode with the same content.
func (p *planner) linked(item *state.Item) bool {
	if item.Links < 2 || !item.Digest.Known() {
		return false
	}
	key := item.HardLink
	if key == "" {
		key = item.Path
	}
	first, ok := p.leaders[key]
	if !ok {
		p.leaders[key] = &leader{item.Path, item.Device, item.Inode, item.Size, item.Digest, int64(item.Links) - 1}
		return false
	}
	if first.left--; first.left == 0 {
		p.spend(key)
	}
	item.HardLink = first.path
	return first.device == item.Device && first.inode == item.Inode && first.size == item.Size && first.digest == item.Digest
}

// lost reports a file that could not be restored, unless the failure is one
// that all others would share: then it ends the restore.
func lost(rep Reporter, path string, err error) error {
	if fatal(err) {
		return err
	}
	rep.Problem(Problem{Path: path, Err: err, Lost: true})
	return nil
}
