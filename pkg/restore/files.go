package restore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"tklbam/pkg/changes"
	"tklbam/pkg/dirindex"
	"tklbam/pkg/extras"
	"tklbam/pkg/overlay"
	"tklbam/pkg/profile"
	"tklbam/pkg/sysfs"
	"tklbam/pkg/tree"
	"tklbam/pkg/userdb"
)

// A FilePlan says what a restore does to users and files.
type FilePlan struct {
	Users   *userdb.Merged
	Overlay []string         // paths that come from the extract
	Fixes   []changes.Action // of owners and permissions, once those are in place
	Removed []changes.Action
	Kept    []string // paths of the backup that this machine keeps its own of

	actions []overlay.Action
}

// PlanFiles decides what to do with the files of the backup; nil if it has
// none. It changes nothing.
func (s *System) PlanFiles() (*FilePlan, error) {
	delta, err := s.Extras().Open(extras.Delta)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer delta.Close()
	old, err := s.Extras().Users()
	if err != nil {
		return nil, err
	}
	now, err := extras.SystemUsers(s.Root)
	if err != nil {
		return nil, err
	}
	merged, err := userdb.Merge(old, now)
	if err != nil {
		return nil, fmt.Errorf("merge users and groups: %w", err)
	}
	p, err := s.newPlanner(merged)
	if err != nil {
		return nil, err
	}
	defer p.close()
	if err := p.read(delta); err != nil {
		return nil, fmt.Errorf("read the changes that the backup holds: %w", err)
	}
	return p.finish(now)
}

// A planner makes a FilePlan.
type planner struct {
	s       *System
	plan    FilePlan
	live    *sysfs.Root
	extract *sysfs.Root
	changes changes.Planner
	keep    func(path string) bool

	made, put, fixed []overlay.Action
	emptied          []changes.Action // directories to remove
}

func (s *System) newPlanner(merged *userdb.Merged) (*planner, error) {
	live, err := sysfs.Open(s.Root)
	if err != nil {
		return nil, err
	}
	extract, err := sysfs.Open(s.Extract)
	if err != nil {
		live.Close()
		return nil, err
	}
	p := &planner{s: s, live: live, extract: extract, keep: s.keeps(), plan: FilePlan{Users: merged}}
	p.changes = changes.Planner{
		UIDs: merged.UIDs, GIDs: merged.GIDs, Replace: p.mayReplace,
		Lstat: func(path string) (dirindex.Record, error) { return dirindex.Stat(live, path) },
	}
	return p, nil
}

func (p *planner) close() {
	p.live.Close()
	p.extract.Close()
}

// keeps says which paths of the backup stay as they are on this machine: its
// identity, and where packages come from, which is a matter of the
// distribution's release.
func (s *System) keeps() func(path string) bool {
	identity := profile.Identity().Paths()
	return func(path string) bool {
		return path == "/etc/apt/sources.list" || strings.HasPrefix(path, "/etc/apt/sources.list.d/") ||
			!s.Identity && identity.Match(path)
	}
}

// dealtWith says which paths are none of the overlay's: the user database,
// which is merged, and what was brought with the packages.
func (s *System) dealtWith(path string) bool {
	return slices.Contains(extras.UserFiles(), strings.TrimSuffix(path, "-")) || slices.Contains(s.brought, path)
}

// mayReplace reports whether what is no directory makes way for one. A link
// to a directory is as good as that, if package overlay would follow it.
func (p *planner) mayReplace(disk dirindex.Record) bool {
	if !disk.IsSymlink() {
		return true
	}
	var to unix.Stat_t
	if err := unix.Stat(filepath.Join(p.s.Root, disk.Path), &to); err != nil || to.Mode&unix.S_IFMT != unix.S_IFDIR {
		return true
	}
	return disk.UID != 0 && disk.UID != os.Geteuid() && disk.UID != int(to.Uid)
}

// read goes through the delta. A line that makes no sense costs that line.
func (p *planner) read(delta io.Reader) error {
	filter := p.s.Limits.Paths()
	r := changes.NewReader(delta, filter)
	for {
		c, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if bad, ok := errors.AsType[*changes.LineError](err); ok {
			p.s.Warn(extras.Delta, bad)
			continue
		}
		if err == nil {
			err = p.take(c)
		}
		if err != nil {
			return err
		}
	}
}

func (p *planner) take(c changes.Change) error {
	if c.Path == "/" || p.s.dealtWith(c.Path) {
		return nil
	}
	if p.keep(c.Path) {
		if c.Op == changes.Overwrite {
			p.plan.Kept = append(p.plan.Kept, c.Path)
		}
		return nil
	}
	switch c.Op {
	case changes.Overwrite:
		return p.overwrite(c)
	case changes.Stat:
		return p.fix(c)
	}
	return p.remove(c)
}

// overwrite takes a file from the extract, which lacks those that vanished
// before they were read.
func (p *planner) overwrite(c changes.Change) error {
	_, err := dirindex.Stat(p.extract, c.Path)
	if errors.Is(err, fs.ErrNotExist) {
		p.s.Warn(c.Path, errors.New("is not in the backup, although it is listed"))
		return nil
	}
	if err != nil {
		p.s.Warn(c.Path, err)
		return nil
	}
	p.plan.Overlay = append(p.plan.Overlay, c.Path)
	uid, gid := p.plan.Users.UIDs.Map(c.UID), p.plan.Users.GIDs.Map(c.GID)
	p.put = append(p.put, overlay.PutOwned(strings.TrimPrefix(c.Path, "/"), uid, gid))
	if uid != c.UID || gid != c.GID { // it comes with its owner; this is for people
		p.plan.Fixes = append(p.plan.Fixes, changes.Action{Verb: changes.Chown, Path: c.Path, UID: uid, GID: gid})
	}
	return nil
}

func (p *planner) fix(c changes.Change) error {
	list, err := p.changes.StatFixes(c)
	if err != nil {
		p.s.Warn(c.Path, err)
		return nil
	}
	p.plan.Fixes = append(p.plan.Fixes, list...)
	path := strings.TrimPrefix(c.Path, "/")
	uid, gid := p.plan.Users.UIDs.Map(c.UID), p.plan.Users.GIDs.Map(c.GID)
	for _, a := range list {
		switch a.Verb {
		case changes.Mkdir:
			p.made = append(p.made, overlay.MakeDir(path, c.Mode&07777, uid, gid))
			return nil // with its owner and mode
		case changes.Chown:
			p.fixed = append(p.fixed, overlay.Chown(path, a.UID, a.GID))
		case changes.Chmod:
			p.fixed = append(p.fixed, overlay.Chmod(path, a.Mode))
		}
	}
	return nil
}

// remove deletes what the backup's machine had deleted. A directory goes if
// nothing is left in it: it may hold what the backup knows nothing of.
func (p *planner) remove(c changes.Change) error {
	rec, err := dirindex.Stat(p.live, c.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		p.s.Warn(c.Path, err)
	case rec.IsDir():
		p.emptied = append(p.emptied, changes.Action{Verb: changes.Rmdir, Path: c.Path})
	default:
		p.plan.Removed = append(p.plan.Removed, changes.Action{Verb: changes.Remove, Path: c.Path})
	}
	return nil
}

// removals are the deletions in order: what lies in a directory before it.
func (p *planner) removals() []overlay.Action {
	slices.Reverse(p.emptied)
	p.plan.Removed = append(p.plan.Removed, p.emptied...)
	var list []overlay.Action
	for _, a := range p.plan.Removed {
		list = append(list, overlay.Remove(strings.TrimPrefix(a.Path, "/")))
	}
	return list
}

// finish puts the actions in order: directories before what goes into them,
// and the user database last, so that until then names mean what they meant.
func (p *planner) finish(now userdb.Files) (*FilePlan, error) {
	p.plan.actions = slices.Concat(p.made, p.put, p.fixed, p.removals())
	for _, f := range []struct {
		name     string
		old, new []byte
		mode     uint32
	}{
		{"passwd", now.Passwd, p.plan.Users.Passwd, 0o644}, {"group", now.Group, p.plan.Users.Group, 0o644},
		{"shadow", now.Shadow, p.plan.Users.Shadow, 0o640}, {"gshadow", now.GShadow, p.plan.Users.GShadow, 0o640},
		{"subuid", now.SubUID, p.plan.Users.SubUID, 0o644}, {"subgid", now.SubGID, p.plan.Users.SubGID, 0o644},
	} {
		if f.new == nil || string(f.old) == string(f.new) {
			continue
		}
		rec, err := dirindex.Stat(p.live, "/etc/"+f.name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			f.mode = rec.Perm()
		}
		p.plan.actions = append(p.plan.actions, overlay.PutBytes("etc/"+f.name, f.new, f.mode, rec.UID, rec.GID))
	}
	return &p.plan, nil
}

// Actions are the steps of the plan.
func (p *FilePlan) Actions() []overlay.Action { return p.actions }

// Print prints the plan, in the form it always had.
func (p *FilePlan) Print(w io.Writer) error {
	out := &printer{w: w}
	out.title("FILES - restoring files, ownership and permissions")
	p.printUsers(out)
	if len(p.Kept) > 0 {
		out.line("KEEPING THIS SYSTEM'S OWN:\n")
		for _, path := range p.Kept {
			out.line("  %s", dirindex.FormatPath(path))
		}
		out.line("")
	}
	if len(p.Overlay) > 0 {
		out.line("OVERLAY:\n")
		for _, path := range p.Overlay {
			out.line("  %s", dirindex.FormatPath(path))
		}
		out.line("")
	}
	if fixes := slices.Concat(p.Fixes, p.Removed); len(fixes) > 0 {
		names := p.names()
		out.line("POST-OVERLAY FIXES:\n")
		for _, a := range fixes {
			out.line("  %s", a.Format(names))
		}
		out.line("")
	}
	return out.err
}

func (p *FilePlan) printUsers(out *printer) {
	if text := p.Users.Plan.String(); text != "" {
		out.line("MERGING USERS AND GROUPS:\n")
		for _, m := range []struct {
			what string
			ids  userdb.IDMap
		}{{"UID", p.Users.UIDs}, {"GID", p.Users.GIDs}} {
			for _, id := range slices.Sorted(maps.Keys(m.ids)) {
				out.line("  %s %d => %d", m.what, id, m.ids[id])
			}
		}
		for line := range strings.Lines(text) {
			out.line("  %s", strings.TrimSuffix(line, "\n"))
		}
		out.line("")
	}
}

// names are those of the merged users and groups.
func (p *FilePlan) names() changes.Names {
	lookup := func(kind userdb.Kind, data []byte) func(int) string {
		names := userdb.Parse(kind, data).Names()
		return func(id int) string { return names[id] }
	}
	return changes.Names{User: lookup(userdb.Passwd, p.Users.Passwd), Group: lookup(userdb.Group, p.Users.Group)}
}

// reporter tells of what happens to single paths.
type reporter struct{ s *System }

func (reporter) Done(overlay.Action) {}

func (r reporter) Passed(a overlay.Action, err error) { r.s.Warn(a.Path, err) }

func (r reporter) Through(link, dir string) {
	r.s.Warn(link, fmt.Errorf("is a link: what the backup has below it goes to %q", dir))
}

func (r reporter) Lost(path string, what tree.Loss, err error) { r.s.Warn(path, lossError{what, err}) }
