package pgsqlfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"time"

	"tklbam/pkg/command"
	"tklbam/pkg/limits"
)

// LoadOptions say how a tree is loaded.
type LoadOptions struct {
	Simulate bool // report the steps and change nothing
}

// Loaded is what became of the databases of a tree.
type Loaded struct {
	Found   int // databases in the tree that the limits include
	Loaded  int
	Tables  int        // loaded with their rows
	Created []Database // those of the loaded that were not there before
	Failed  []Failure
	Notes   []string // what is other than it was
}

// Load makes the databases of a tree that the limits include, after the roles
// they need. report is told of a database before its turn.
//
// A database is loaded under another name and then, in one transaction, takes
// the place of the one that has its name, whose sessions end. Until then that
// one stays as it is and in use, also when loading fails, or is killed: what
// is left under the other name the next Load removes. A table whose rows the
// limits exclude is loaded without them, and foreign keys that rows then fall
// short of hold for new rows only.
//
// What cannot be loaded is in Failed, and the rest is loaded. A database whose
// materialized views cannot all be filled is in Failed and loaded. The error is
// about the tree itself or the context's.
func (m *Machine) Load(ctx context.Context, dir string, list limits.List, opts LoadOptions, report func(Step)) (Loaded, error) {
	var loaded Loaded
	root, err := os.OpenRoot(dir)
	if err != nil {
		return loaded, err
	}
	defer root.Close()
	s := newScope(list)
	plan, err := m.plan(ctx, root, s)
	if err != nil {
		return loaded, err
	}
	loaded.Failed = plan.Failed
	for _, f := range plan.Failed {
		if f.Name != "" {
			loaded.Found++
		}
	}
	for _, part := range plan.parts {
		l := &loader{part: part, root: root, scope: s, report: report, simulate: opts.Simulate, Loaded: &loaded}
		l.cluster(ctx)
		if ctx.Err() != nil {
			return loaded, ctx.Err()
		}
	}
	return loaded, nil
}

// A loader loads the databases of a cluster.
type loader struct {
	part
	*Loaded
	root     *os.Root
	scope    scope
	report   func(Step)
	simulate bool
	spaces   map[string]bool     // tablespaces of the cluster
	settings map[string][]string // of roles in a database, by its name
}

func (l *loader) fail(database string, err error) {
	l.Failed = append(l.Failed, Failure{Database{l.label, database}, err})
}

func (l *loader) cluster(ctx context.Context) {
	if !l.simulate {
		if err := l.prepare(ctx); err != nil {
			l.fail("", err)
		}
	}
	for _, i := range l.items {
		if ctx.Err() != nil {
			return
		}
		tell(l.report, i.Step)
		l.Found++
		if warning := i.Warning(); warning != "" {
			l.Notes = append(l.Notes, warning)
		}
		if l.simulate {
			continue
		}
		if err := l.database(ctx, i); err != nil {
			l.fail(i.Name, err)
			continue
		}
		l.Loaded.Loaded++
		l.Tables += i.Tables
		if !i.Exists {
			l.Created = append(l.Created, i.Database)
		}
	}
}

// prepare removes what earlier loads left, and makes roles and tablespaces.
func (l *loader) prepare(ctx context.Context) error {
	err := l.clean(ctx)
	if l.globals {
		err = errors.Join(err, l.loadRoles(ctx))
	}
	rows, qerr := l.query(ctx, neutral, "SELECT spcname FROM pg_catalog.pg_tablespace;", 1)
	l.spaces = make(map[string]bool)
	for _, row := range rows {
		l.spaces[row[0]] = true
	}
	return errors.Join(err, qerr)
}

func (l *loader) loadRoles(ctx context.Context) error {
	g, err := readGlobals(l.root, path.Join(l.tree.path, globalsName))
	if err == nil {
		l.settings = g.settings
		err = l.loadGlobals(ctx, g)
	}
	if err != nil {
		return fmt.Errorf("load the roles of PostgreSQL cluster %s: %w", l.Cluster, err)
	}
	return nil
}

// cleanup is how long removing a database may take that could not be loaded,
// also after the context ended.
const cleanup = time.Minute

func (l *loader) database(ctx context.Context, i item) (err error) {
	c, err := readTree(l.root, i.dir)
	if err != nil {
		return err
	}
	fresh := spareName(loadPrefix, i.Name)
	defer func() {
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
			defer cancel()
			err = errors.Join(err, l.drop(ctx, fresh))
		}
	}()
	if err := l.create(ctx, c, fresh); err != nil {
		return err
	}
	if err := l.restore(ctx, c, i, fresh); err != nil {
		return err
	}
	c.finish = append(c.finish, l.settings[i.Name]...)
	l.derive(ctx, c, i, fresh)
	if err := l.finish(ctx, c, fresh); err != nil {
		return fmt.Errorf("give it its settings: %w", err)
	}
	if err := l.replace(ctx, i.Name, fresh, i.Exists); err != nil {
		return fmt.Errorf("put it in its place: %w", err)
	}
	if !i.Exists {
		return nil
	}
	if err := l.drop(ctx, spareName(oldPrefix, i.Name)); err != nil {
		l.Notes = append(l.Notes, fmt.Sprintf("database %s is loaded, but the one it replaced is still there: %v", i.Database, err))
	}
	return nil
}

// create makes the empty database.
func (l *loader) create(ctx context.Context, c *contents, fresh string) error {
	missing := l.missingSpaces(c)
	if len(missing) > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("database %q is loaded without the tablespaces there are not: %q", c.Database, missing))
	}
	statement, err := c.createAs(fresh, len(missing) == 0)
	if err != nil {
		return err
	}
	err = l.sql(ctx, neutral, statement)
	if p, ok := errors.AsType[*programError](err); ok && p.code == wrongObject {
		if plain, was := inPlainLocale(statement); was != "" && l.sql(ctx, neutral, plain) == nil {
			err = nil
			l.Notes = append(l.Notes, fmt.Sprintf("database %q gets the locale %q, since there is no %q here: its text sorts otherwise", c.Database, localeOf(plain), was))
		}
	}
	if err != nil {
		return fmt.Errorf("create it: %w", err)
	}
	return l.openPublic(ctx, c, fresh)
}

func (l *loader) missingSpaces(c *contents) []string {
	var missing []string
	for space := range c.spaces {
		if !l.spaces[space] {
			missing = append(missing, space)
		}
	}
	slices.Sort(missing)
	return missing
}

// publicClosed is the version of PostgreSQL from which on users may not create
// things in the schema "public" of a new database.
const publicClosed = 15

// openPublic gives the schema "public" the privileges it had when it was new,
// in the version that the archive is of: it tells of changes only.
func (l *loader) openPublic(ctx context.Context, c *contents, fresh string) error {
	if v := c.serverMajor(); v == 0 || v >= publicClosed {
		return nil
	}
	rows, err := l.query(ctx, neutral, "SHOW server_version;", 1)
	if err != nil || len(rows) != 1 || majorVersion(rows[0][0]) < publicClosed {
		return err
	}
	return l.sql(ctx, fresh, "ALTER SCHEMA public OWNER TO CURRENT_USER;\nGRANT ALL ON SCHEMA public TO PUBLIC;\n")
}

// restore loads everything but what is about the database as a whole.
func (l *loader) restore(ctx context.Context, c *contents, i item, fresh string) error {
	later := i.Without > 0 // foreign keys
	p := l.packing(c, i, later)
	args := append(l.connect(fresh), "--format=tar", "--exit-on-error")
	if len(l.missingSpaces(c)) > 0 {
		args = append(args, "--no-tablespaces")
	}
	cmd := l.command("pg_restore", args...)
	if err := l.feed(ctx, cmd, p.pack); err != nil {
		return fmt.Errorf("load it: %w", err)
	}
	if later {
		return l.addKeys(ctx, c, fresh)
	}
	return nil
}

// errStopped ends what is written for a program that has ended.
var errStopped = errors.New("the program has ended")

// feed runs a program with what write writes as its input. The program is
// ended when that fails: where an archive stops within a block, pg_restore
// goes on trying to read without end.
func (c *client) feed(ctx context.Context, cmd command.Command, write func(io.Writer) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	from, to := io.Pipe()
	cmd.Stdin = from
	written := make(chan error, 1)
	go func() {
		err := write(to)
		if err != nil {
			stop()
		}
		to.CloseWithError(err)
		written <- err
	}()
	err := c.do(ctx, cmd)
	from.CloseWithError(errStopped)
	if werr := <-written; werr != nil && !errors.Is(werr, errStopped) {
		return werr
	}
	return err
}

func (l *loader) packing(c *contents, i item, keysLater bool) *packing {
	selected := l.scope.tables(c.Database)
	selected.parents = c.parents
	p := &packing{root: l.root, dir: i.dir, omit: make(map[string]bool), need: map[string]bool{tocName: true}}
	for t, member := range c.rows {
		if selected.has(t) {
			p.need[member] = true
		} else {
			p.omit[member] = true
		}
	}
	p.keep = func(e *tocEntry) bool {
		switch {
		case e.isOfDatabase(), e.isBuiltIn(), e.Kind == "MATERIALIZED VIEW DATA":
			return false
		case e.Kind == "TABLE DATA":
			return selected.has(table{e.Schema, e.Tag})
		case keysLater && (c.keyIDs[e.ID] || e.Kind == "COMMENT" && e.dependsOn(c.keyIDs)):
			return false
		}
		return true
	}
	return p
}
