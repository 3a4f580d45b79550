package overlay

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"tklbam/chain/archive"
	"tklbam/pkg/rollback"
	"tklbam/pkg/rollback/livefs"
	"tklbam/pkg/sysfs"
	"tklbam/pkg/tree"
)

// windowLen is how many steps share a sync of the journal.
const windowLen = 512

type applier struct {
	opts    Options
	report  Reporter
	calls   livefs.Calls
	live    *sysfs.Root
	extract *sysfs.Root // nil if there is none
	resolve *resolver
	copier  *livefs.Copier // from the extract to the root
	protect []string       // resolved, relative to the root
	mark    string         // in temporary names without a journal
	serial  int

	window []step
	single bool             // steps are done one by one
	linked map[inode]placed // where files of the extract with several names went
	mapped map[inode]bool   // files of the extract with several names whose owner was translated
	dirs   []archive.Entry  // that were made, with their times
	synced livefs.SyncSet
	result Result

	lostTimes int // of directories
}

type inode struct{ dev, ino uint64 }

// placed is a file that a copy went to.
type placed struct {
	path string
	id   inode
}

// A step is an action on the way: looked at, and recorded.
type step struct {
	Action
	real    string           // where the path lies
	change  *rollback.Change // nil without a journal, or if nothing is displaced
	implied bool             // a directory on the way to another action's path
}

func newApplier(opts Options) (*applier, error) {
	a := &applier{opts: opts, report: opts.Reporter, linked: make(map[inode]placed), mapped: make(map[inode]bool)}
	if a.report == nil {
		a.report = silent{}
	}
	a.calls.Before = opts.Fault
	var mark [4]byte
	if _, err := rand.Read(mark[:]); err != nil {
		return nil, err
	}
	a.mark = hex.EncodeToString(mark[:])
	if err := a.findProtected(); err != nil {
		return nil, err
	}
	return a, a.open()
}

func (a *applier) open() (err error) {
	from := a.opts.Root
	if a.opts.Extract != "" {
		from = a.opts.Extract
		if a.extract, err = sysfs.Open(from); err != nil {
			return err
		}
	}
	if a.live, err = sysfs.Open(a.opts.Root); err == nil {
		a.resolve = newResolver(a.live, a.report.Through)
		a.copier, err = livefs.NewCopier(a.calls, from, a.opts.Root, a.report.Lost)
	}
	if err != nil {
		a.close()
	}
	return err
}

func (a *applier) close() {
	if a.extract != nil {
		a.extract.Close()
	}
	if a.live != nil {
		a.live.Close()
	}
	if a.copier != nil {
		a.copier.Close()
	}
	a.synced.Close()
}

// findProtected finds the protected directories that lie below the root.
func (a *applier) findProtected() error {
	list := append([]string{a.opts.Extract}, a.opts.Protect...)
	if a.opts.Journal != nil {
		list = append(list, a.opts.Journal.Dir())
	}
	root, err := realPath(a.opts.Root)
	if err != nil {
		return err
	}
	for _, dir := range list {
		if dir == "" {
			continue
		}
		path, err := realPath(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if rest, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/")+"/"); ok {
			a.protect = append(a.protect, rest)
		}
	}
	return nil
}

func realPath(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

func (a *applier) run(ctx context.Context, plan []Action) error {
	for _, act := range plan {
		if err := a.next(ctx, act); err != nil {
			return err
		}
		if len(a.window) >= windowLen {
			if err := a.flush(ctx); err != nil {
				return err
			}
		}
	}
	return a.flush(ctx)
}

// next stages an action. It returns an error if that ends everything.
func (a *applier) next(ctx context.Context, act Action) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := a.stage(ctx, act)
	if err == nil {
		return nil
	}
	if err := a.flush(ctx); err != nil {
		return err
	}
	return a.give(act, err)
}

// flush carries out what is staged.
func (a *applier) flush(ctx context.Context) error {
	window := a.window
	a.window = a.window[:0]
	if len(window) == 0 {
		return nil
	}
	if err := a.keep(window); err != nil {
		return err
	}
	for i := range window {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := a.do(ctx, &window[i])
		if errors.Is(err, rollback.ErrRaced) && !a.single {
			return a.oneByOne(ctx, window[i:])
		}
		if err := a.settle(&window[i], err); err != nil {
			return err
		}
	}
	return nil
}

// oneByOne goes on with a window when the path of its first step is not what
// was recorded: somebody else changed it, or an earlier step that it relies
// on came to nothing. All that is staged may be wrong, and what is recorded
// later must come later in the journal, so every action begins anew.
func (a *applier) oneByOne(ctx context.Context, window []step) error {
	for i := range window {
		if c := window[i].change; c != nil {
			if err := a.opts.Journal.Void(c); err != nil {
				return err
			}
		}
	}
	a.single = true
	defer func() { a.single = false }()
	for _, s := range slices.Clone(window) {
		if s.implied {
			continue // whatever needs it asks for it again
		}
		if err := a.next(ctx, s.Action); err != nil {
			return err
		}
		if err := a.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// keep makes the intents durable, and gives what will be displaced its second
// name. What cannot be kept shows again when its turn comes.
func (a *applier) keep(window []step) error {
	if a.opts.Journal == nil {
		return nil
	}
	if err := a.opts.Journal.Sync(); err != nil {
		return err
	}
	for i := range window {
		if c := window[i].change; c != nil {
			if err := a.opts.Journal.Keep(a.live, c); livefs.NoSpace(err) {
				return err
			}
		}
	}
	return a.opts.Journal.Flush()
}

// settle tells what came of a step. It returns an error if that ends
// everything.
func (a *applier) settle(s *step, err error) error {
	if err != nil {
		err = errors.Join(err, a.void(s))
		return a.give(s.Action, fmt.Errorf("%s %q: %w", s.Op, "/"+s.Path, a.explain(s, err)))
	}
	if !s.implied {
		a.done(s.Action)
	}
	return nil
}

func (a *applier) done(act Action) {
	a.result.Done++
	a.report.Done(act)
}

// void takes a step's intent back if the path is as it was.
func (a *applier) void(s *step) error {
	if s.change == nil {
		return nil
	}
	if now, err := a.look(s.real); err != nil || !a.opts.Journal.Holds(s.change, now) {
		return err
	}
	return a.opts.Journal.Void(s.change)
}

// do keeps what is to be displaced, if that was not possible before, and
// changes the path.
func (a *applier) do(ctx context.Context, s *step) error {
	if s.change != nil {
		if err := a.opts.Journal.Keep(a.live, s.change); err != nil {
			return err
		}
		if err := a.opts.Journal.Flush(); err != nil {
			return err
		}
	}
	return a.perform(ctx, s)
}

// give gives an action up. It returns the error if nothing else can be done
// either.
func (a *applier) give(act Action, err error) error {
	if errors.Is(err, ErrNotEmpty) && act.Op == OpRemove {
		a.result.NotEmpty++
		a.report.Passed(act, err)
		return nil
	}
	a.result.Failed++
	if len(a.result.Paths) < MaxPaths {
		a.result.Paths = append(a.result.Paths, act.Path)
	}
	a.report.Passed(act, err)
	if livefs.NoSpace(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if a.opts.Journal != nil {
		return a.opts.Journal.Err()
	}
	return nil
}

// explain adds what a bare EPERM hides.
func (a *applier) explain(s *step, err error) error {
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	p, atErr := livefs.At(a.live, s.real)
	if atErr != nil {
		return err
	}
	for _, name := range []string{p.Name, "."} {
		var st unix.Statx_t
		const flags = unix.STATX_ATTR_IMMUTABLE | unix.STATX_ATTR_APPEND
		if unix.Statx(p.Dir, name, unix.AT_SYMLINK_NOFOLLOW, 0, &st) == nil && st.Attributes&flags != 0 {
			return fmt.Errorf("immutable or append-only: %w", err)
		}
	}
	return err
}

// finish sets the times of the directories that were made, which their
// content has changed, and makes everything durable.
func (a *applier) finish() error {
	for i := range a.dirs {
		e := &a.dirs[len(a.dirs)-1-i]
		if err := a.setDirTime(e); err != nil && !sysfs.Gone(err) {
			a.lostTimes++
			a.report.Lost(e.Path, tree.LostTimes, err)
		}
	}
	return a.synced.Sync(a.calls)
}

// losses counts what could not be given to files and directories.
func (a *applier) losses() map[tree.Loss]int {
	all := a.copier.Lost()
	if a.lostTimes > 0 {
		all[tree.LostTimes] += a.lostTimes
	}
	return all
}

func (a *applier) setDirTime(e *archive.Entry) error {
	dir, err := a.live.Dir(e.Path)
	if err != nil {
		return err
	}
	mtime, err := unix.TimeToTimespec(e.ModTime)
	if err != nil {
		return err
	}
	return a.calls.SetModTime(livefs.Place{Dir: dir, Name: "."}, mtime)
}

// String names the operation as messages do.
func (o Op) String() string {
	switch o {
	case OpPut, OpPutBytes:
		return "put"
	case OpMakeDir:
		return "make directory"
	case OpChown:
		return "change owner of"
	case OpChmod:
		return "change mode of"
	case OpRemove:
		return "remove"
	}
	return "unknown operation on"
}
