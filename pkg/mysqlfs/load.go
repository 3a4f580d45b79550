package mysqlfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"tklbam/pkg/command"
	"tklbam/pkg/limits"
)

// LoadOptions say how a tree is loaded.
type LoadOptions struct {
	Simulate bool // read the tree and report, without the server
	Drop     bool // databases first, but for the server's own
}

// Loaded says what Load found in the tree and did.
type Loaded struct {
	Databases, Tables int // that were begun

	Failed []string // what the server did not take: a sentence each
	Notes  []string // what it did not take, and could not be expected to
}

// Load restores what of a tree is in the limits: databases one by one, then
// all views, then all events, at last users and grants. What the server does
// not take is listed in the result, and does not keep the rest from being
// restored; an error means that it ended early.
//
// Rows may be larger than the server is set to take at a time. If there might
// be such, it is set to take any while Load runs.
func (s *Server) Load(ctx context.Context, dir string, lim *limits.Databases, o LoadOptions, report Report) (Loaded, error) {
	t, err := openTree(dir, lim)
	if err != nil {
		return Loaded{}, err
	}
	defer t.Close() // read only
	l := &loader{server: s, ctx: ctx, tree: t, opts: o, report: report}
	if err := l.collations(); err != nil {
		return l.Loaded, err
	}
	dbs, err := t.databases()
	if err != nil {
		return l.Loaded, err
	}
	if dbs, err = l.restorable(dbs); err != nil {
		return l.Loaded, err
	}
	l.Databases = len(dbs)
	if err := l.askScheduler(); err != nil {
		return l.Loaded, err
	}
	back, err := l.widen(dbs)
	if err != nil {
		return l.Loaded, err
	}
	err = l.load(dbs)
	if err == nil && !o.Simulate {
		l.Notes = append(l.Notes, t.names.notes()...)
		err = l.noteUsers(dbs)
	}
	undo := back()
	if errors.Is(undo, ErrDenied) { // by the users that came
		l.Notes = append(l.Notes, "the database server takes statements of any length until it is restarted")
		undo = nil
	}
	return l.Loaded, errors.Join(err, undo)
}

// A loader loads a tree.
type loader struct {
	Loaded
	server *Server
	ctx    context.Context
	tree   *tree
	opts   LoadOptions
	report Report
	rows   bool // events come as rows
}

func (l *loader) load(dbs []database) error {
	for _, phase := range []func(database) error{
		l.phase((*script).content), l.views, l.phase((*script).events), l.phase((*script).merge),
	} {
		for _, db := range dbs {
			if err := phase(db); err != nil {
				return fmt.Errorf("restore database %q: %w", db.name, err)
			}
		}
	}
	return nil
}

// phase returns a function that runs a client with what write writes of a
// database.
func (l *loader) phase(write func(*script, database) error) func(database) error {
	return func(db database) error {
		complaints, err := l.run(func(s *script) error { return write(s, db) })
		for _, c := range complaints {
			l.Failed = append(l.Failed, fmt.Sprintf("database %s: %s", quote(db.name), c))
		}
		return err
	}
}

// noteUsers tells of the users of the backup that can't log in, since how they
// prove who they are is unknown here.
func (l *loader) noteUsers(dbs []database) error {
	if !slices.ContainsFunc(dbs, func(db database) bool { return db.name == system }) {
		return nil
	}
	rows, err := l.server.query(l.ctx, "SELECT User, Host, plugin FROM mysql.user WHERE plugin <> '' AND plugin NOT IN"+
		" (SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_STATUS = 'ACTIVE') ORDER BY 1, 2")
	if errors.Is(err, ErrDenied) { // by the users that came
		return nil
	}
	for _, row := range rows {
		l.Notes = append(l.Notes, fmt.Sprintf("user %s@%s can't log in: the server lacks the authentication plugin %s", quote(row[0]), quote(row[1]), row[2]))
	}
	return err
}

// views creates the views of a database. One that was saved without what
// stands in for it did not work then, and need not now.
func (l *loader) views(db database) error {
	views, err := l.tree.views(db)
	if err != nil || db.name == system {
		return err
	}
	working, broken := l.tree.sortOut(db, views)
	err = l.phase(func(s *script, db database) error { s.create(db, working); return nil })(db)
	for _, v := range broken {
		if err != nil {
			break
		}
		var complaints []string
		complaints, err = l.run(func(s *script) error { s.create(db, []view{v}); return nil })
		for _, c := range complaints {
			l.Notes = append(l.Notes, fmt.Sprintf("view %s.%s is broken, as it was when it was saved: %s", quote(db.name), quote(v.name), c))
		}
	}
	return err
}

// run runs a client with what write writes, if that is anything, and returns
// what the client complains of.
func (l *loader) run(write func(*script) error) ([]string, error) {
	if l.opts.Simulate {
		return nil, l.write(io.Discard, write)
	}
	complaints := complaints{prefix: "ERROR "}
	failed, err := l.server.pipe(l.ctx, command.Command{Args: l.server.loadArgs(), Stderr: &complaints}, true,
		func(f *os.File) error { return l.write(f, write) })
	lines := complaints.all()
	if l.ctx.Err() != nil || err != nil {
		return lines, errors.Join(err, failed)
	}
	if failed != nil && len(lines) == 0 {
		lines = []string{failed.Error()}
	}
	return lines, nil
}

func (l *loader) write(w io.Writer, write func(*script) error) error {
	s := newScript(w, l.tree, SQLOptions{DropDatabases: l.opts.Drop, EventRows: l.rows}, l.report)
	s.text(prologue)
	if err := write(s); err != nil {
		return err
	}
	l.Tables += s.tables
	return s.w.Flush()
}

// loadArgs returns the command line of the client. In binary mode it takes no
// commands but DELIMITER, and none from a backup that runs a shell; it keeps
// carriage returns, and comments in routines. It does not connect again by
// itself, which would lose the settings of the session.
func (s *Server) loadArgs() []string {
	return s.args(s.client, "--batch", "--force", "--binary-mode", "--comments", "--skip-reconnect",
		"--default-character-set=utf8mb4", maxPacket)
}

// askScheduler finds out how the server takes events. Without access control
// it has no scheduler, and takes them as rows only.
func (l *loader) askScheduler() error {
	if l.opts.Simulate || !l.tree.limits.MatchTable(system, "event") {
		return nil
	}
	rows, err := l.server.query(l.ctx, schedulerQuery)
	l.rows = err == nil && len(rows) == 1 && len(rows[0]) == 4 && rows[0][1] == "DISABLED" && l.tree.has(path.Join(system, tablesDir, "event", rowsFile))
	return err
}

// widestPacket is the most that max_allowed_packet can be, in bytes.
const widestPacket = 1 << 30

// widen sets the server to take statements of any length if there are files of
// rows that a statement too long could be of. It returns what undoes that.
func (l *loader) widen(dbs []database) (func() error, error) {
	nothing := func() error { return nil }
	if l.opts.Simulate {
		return nothing, nil
	}
	rows, err := l.server.query(l.ctx, "SELECT @@global.max_allowed_packet")
	if err != nil {
		return nothing, err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return nothing, errors.New("ask the database server: it does not say how long a statement may be")
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(rows[0][0]), 10, 64)
	if err != nil || limit >= widestPacket {
		return nothing, err
	}
	wide, err := l.wider(dbs, limit-MaxInsert)
	if err != nil || !wide {
		return nothing, err
	}
	set := func(ctx context.Context, n int64) error {
		_, err := l.server.query(ctx, "SET GLOBAL max_allowed_packet = "+strconv.FormatInt(n, 10))
		return err
	}
	back := func() error { return set(context.WithoutCancel(l.ctx), limit) }
	return back, set(l.ctx, widestPacket)
}

// wider reports whether any file of rows is larger than limit.
func (l *loader) wider(dbs []database, limit int64) (bool, error) {
	var found bool
	for _, db := range dbs {
		err := l.tree.tables(db, func(t table) error {
			info, err := l.tree.root.Lstat(path.Join(t.dir, rowsFile))
			found = found || err == nil && info.Size() > limit
			return nil
		})
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}
