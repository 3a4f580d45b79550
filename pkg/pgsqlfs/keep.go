package pgsqlfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"tklbam/pkg/limits"
)

// madeName is the file in the part of a cluster that lists what a load makes:
// lines of a kind and a name in Go's quotes, since names may be any bytes. A
// tree without it is that of a backup, or one that the predecessor kept.
const madeName = ".made"

// Kinds of what a load makes.
const (
	madeDatabase = "database"
	madeRole     = "role"
	madeSpace    = "tablespace"
)

// incomplete is the ending of what Keep was killed in writing.
const incomplete = ".new"

// Keep writes to dir, which must not exist, what Load will change on the
// machine when it loads a tree with these limits, for PutBack: the databases
// that it replaces, the roles and tablespaces, and the names of what it makes.
// All is on disk when Keep returns; dir appears when it is complete.
func (m *Machine) Keep(ctx context.Context, tree, dir string, list limits.List) error {
	if err := m.keep(ctx, tree, dir, list); err != nil {
		return fmt.Errorf("keep PostgreSQL databases: %w", err)
	}
	return nil
}

func (m *Machine) keep(ctx context.Context, tree, dir string, list limits.List) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("write to %q: %w", dir, fs.ErrExist))
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		return err
	}
	defer root.Close()
	plan, err := m.plan(ctx, root, newScope(list))
	if err != nil {
		return err
	}
	for _, f := range plan.Failed {
		// A Load may have more luck with the cluster, unless it is not there.
		if f.Name == "" && !errors.Is(f, fs.ErrNotExist) && !errors.Is(f, errDown) {
			return f
		}
	}
	fresh := dir + incomplete
	if err := errors.Join(os.RemoveAll(fresh), os.MkdirAll(fresh, 0o700)); err != nil {
		return err
	}
	for _, p := range plan.parts {
		if err := p.keep(ctx, root, fresh); err != nil {
			return err
		}
	}
	if err := syncAll(fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, dir); err != nil {
		return err
	}
	return syncAll(filepath.Dir(dir))
}

// syncAll brings the file system that holds a directory to disk.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &fs.PathError{Op: "sync", Path: dir, Err: err}
	}
	return nil
}

// keep writes what a part of the plan changes below dir.
func (p *part) keep(ctx context.Context, root *os.Root, dir string) error {
	dir = filepath.Join(dir, p.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := p.saveGlobals(ctx, dir); err != nil {
		return fmt.Errorf("save the roles of cluster %s: %w", p.Cluster, err)
	}
	var made strings.Builder
	s := &saver{client: p.client, scope: newScope(nil), dir: dir, label: p.label}
	for _, i := range p.items {
		if !i.Exists {
			fmt.Fprintf(&made, "%s %q\n", madeDatabase, i.Name)
			continue
		}
		if _, err := s.dump(ctx, existing{name: i.Name, connects: true}); err != nil {
			return Failure{i.Database, err}
		}
	}
	if p.globals {
		if err := p.listMade(&made, root, dir); err != nil {
			return err
		}
	}
	return createFile(filepath.Join(dir, madeName), func(w io.Writer) error {
		_, err := io.WriteString(w, made.String())
		return err
	})
}

// listMade lists the roles and tablespaces of the tree that the cluster, whose
// own are kept in dir, has not.
func (p *part) listMade(w io.Writer, root *os.Root, dir string) error {
	theirs, err := readGlobals(root, path.Join(p.path, globalsName))
	if err != nil {
		return err
	}
	kept, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer kept.Close()
	own, err := readGlobals(kept, globalsName)
	if err != nil {
		return err
	}
	for _, kind := range []struct {
		name         string
		theirs, ours []string
	}{{madeRole, theirs.roles, own.roles}, {madeSpace, theirs.spaces, own.spaces}} {
		for _, name := range kind.theirs {
			if !slices.Contains(kind.ours, name) {
				fmt.Fprintf(w, "%s %q\n", kind.name, name)
			}
		}
	}
	return nil
}

// PutBack brings the clusters back to what they were when Keep wrote dir,
// whatever of the load was done since: it drops the databases, roles and
// tablespaces that the load made, puts back the databases that it replaced,
// and takes from the roles there were before all that they have since. It may
// be killed and done again. A tree without a list of what was made is loaded
// and nothing else.
//
// What cannot be put back is returned, and the rest is put back. The error is
// about dir itself, fs.ErrNotExist if nothing was kept, or the context's.
func (m *Machine) PutBack(ctx context.Context, dir string) ([]Failure, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	found, err := trees(root)
	if err != nil {
		return nil, err
	}
	b := &backer{machine: m, root: root}
	for _, t := range found {
		b.each(ctx, t, b.dropDatabases)
	}
	loaded, err := m.Load(ctx, dir, nil, LoadOptions{}, nil)
	b.failed = append(b.failed, loaded.Failed...)
	if err != nil {
		return b.failed, err
	}
	for _, t := range found {
		b.each(ctx, t, b.resetGlobals)
	}
	return b.failed, ctx.Err()
}

// A backer puts back what Keep kept.
type backer struct {
	machine *Machine
	root    *os.Root
	failed  []Failure
}

// each does something in the cluster of a part that has a list of what was
// made there.
func (b *backer) each(ctx context.Context, t tree, do func(context.Context, *client, tree, map[string][]string) error) {
	made, err := b.made(t)
	if errors.Is(err, fs.ErrNotExist) || ctx.Err() != nil {
		return
	}
	var c *client
	if err == nil {
		c, err = b.machine.cluster(t.label)
	}
	if err == nil && !c.Running {
		err = fmt.Errorf("put back PostgreSQL cluster %s: %w", c.Cluster, errDown)
	}
	if err == nil {
		err = do(ctx, c, t, made)
	}
	if err != nil {
		b.failed = append(b.failed, Failure{Database{Cluster: t.label}, err})
	}
}

// made reads the list of what was made, by kind.
func (b *backer) made(t tree) (map[string][]string, error) {
	name := path.Join(t.path, madeName)
	f, err := open(b.root, name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxGlobals))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	made := make(map[string][]string)
	for line := range strings.Lines(string(data)) {
		kind, quoted, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("read %q: parse %.100q: %w", name, line, err)
		}
		made[kind] = append(made[kind], value)
	}
	return made, nil
}

func (b *backer) dropDatabases(ctx context.Context, c *client, _ tree, made map[string][]string) error {
	err := c.clean(ctx)
	for _, name := range made[madeDatabase] {
		err = errors.Join(err, c.drop(ctx, name))
	}
	return err
}

func (b *backer) resetGlobals(ctx context.Context, c *client, t tree, made map[string][]string) error {
	g, err := readGlobals(b.root, path.Join(t.path, globalsName))
	if err != nil {
		return err
	}
	err = c.resetGlobals(ctx, g, made[madeRole])
	for _, name := range made[madeSpace] {
		err = errors.Join(err, c.dropAny(ctx, "TABLESPACE", name))
	}
	for _, name := range made[madeRole] {
		err = errors.Join(err, c.dropAny(ctx, "ROLE", name))
	}
	return err
}
