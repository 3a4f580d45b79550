package pgsqlfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tklbam/pkg/command"
	"tklbam/pkg/limits"
)

// Saved is what became of the databases there are.
type Saved struct {
	Found  int // databases that the limits include
	Saved  int
	Tables int       // whose rows are saved
	Failed []Failure // what could not be saved, whole clusters among them
	Notes  []string  // what was passed over on purpose
}

// Save writes every database that the limits include to a tree at dir, which
// it makes anew, with the roles of every cluster. report is told of a database
// before its turn, or, of "postgres", after.
//
// Templates are left out, and "postgres" when it is empty and no limit
// includes it by name. A table that the limits exclude has its schema saved
// without its rows.
//
// What cannot be saved is in Failed, and the rest is saved; a database is in
// the tree as a whole or not at all. The error is about the tree itself or
// the context's; what it leaves is no tree.
func (m *Machine) Save(ctx context.Context, dir string, list limits.List, report func(Step)) (Saved, error) {
	var saved Saved
	if len(m.Clusters) == 0 {
		return saved, nil
	}
	if err := makeTree(dir); err != nil {
		return saved, err
	}
	for i, cluster := range m.Clusters {
		s := &saver{client: m.client(i), scope: newScope(list), dir: dir, label: m.label(i), report: report, Saved: &saved}
		if i > 0 {
			s.dir = filepath.Join(dir, clustersName, cluster.Version, cluster.Name)
		}
		switch err := s.cluster(ctx); {
		case ctx.Err() != nil:
			return saved, ctx.Err()
		case err != nil:
			s.fail("", err)
		}
	}
	return saved, nil
}

// makeTree makes an empty directory, in place of a tree perhaps but of nothing
// else.
func makeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	isTree := slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() == globalsName || e.Name() == clustersName
	})
	if len(entries) > 0 && !isTree {
		return fmt.Errorf("write databases to %q: it has other files: %w", dir, fs.ErrExist)
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o700)
}

// A saver saves the databases of a cluster.
type saver struct {
	*client
	*Saved
	scope  scope
	dir    string // of the cluster's part
	label  string
	report func(Step)
}

func (s *saver) fail(database string, err error) {
	s.Failed = append(s.Failed, Failure{Database{s.label, database}, err})
}

// cluster saves a cluster. The error is about all of it.
func (s *saver) cluster(ctx context.Context) error {
	if !s.Running && s.Manual {
		s.Notes = append(s.Notes, fmt.Sprintf("PostgreSQL cluster %s is not running and not started at boot", s.Cluster))
		return nil
	} else if !s.Running {
		return fmt.Errorf("save the databases of PostgreSQL cluster %s: %w", s.Cluster, errDown)
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if err := s.saveGlobals(ctx, s.dir); err != nil {
		s.fail("", fmt.Errorf("save the roles of PostgreSQL cluster %s: %w", s.Cluster, err))
	}
	all, err := s.databases(ctx)
	if err != nil {
		return fmt.Errorf("list the databases of PostgreSQL cluster %s: %w", s.Cluster, err)
	}
	for _, d := range all {
		if d.template || !s.scope.db.Match(d.name) {
			continue
		}
		s.database(ctx, d)
	}
	return nil
}

// database saves one database.
func (s *saver) database(ctx context.Context, d existing) {
	optional := d.name == administrative && !s.scope.named[d.name]
	step := Step{Database: Database{s.label, d.name}, Exists: true, Sessions: d.sessions}
	if !optional {
		tell(s.report, step)
	}
	c, err := s.dump(ctx, d)
	dir := filepath.Join(s.dir, dirName(d.name))
	switch {
	case errors.Is(err, errKept):
	case err != nil:
		err = errors.Join(err, os.RemoveAll(dir))
	case optional && !c.holds:
		if err = os.RemoveAll(dir); err == nil {
			return
		}
	}
	s.Found++
	if optional {
		tell(s.report, step)
	}
	if err != nil {
		s.fail(d.name, err)
		return
	}
	s.Saved.Saved++
	s.Tables += len(c.rows)
}

func tell(report func(Step), step Step) {
	if report != nil {
		report(step)
	}
}

func (s *saver) dump(ctx context.Context, d existing) (*contents, error) {
	if !d.connects {
		return nil, errors.New("it permits no connections")
	}
	dir := filepath.Join(s.dir, dirName(d.name))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	out, err := s.excluded(ctx, d.name)
	if err != nil {
		return nil, fmt.Errorf("list its tables: %w", err)
	}
	args := append(s.connect(d.name), "--format=tar")
	for _, t := range out {
		args = append(args, "--exclude-table-data="+t.pattern())
	}
	var c *contents
	err = s.stream(ctx, s.command("pg_dump", args...), func(r io.Reader) error {
		var err error
		c, err = unpack(r, dir)
		return err
	})
	return c, err
}

// userTables lists the tables of a database, and what they are partitions of.
const userTables = `
SELECT n.nspname, c.relname, coalesce(pn.nspname, ''), coalesce(p.relname, '')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid AND c.relispartition
LEFT JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2;
`

// excluded returns the tables whose rows the limits exclude.
func (s *saver) excluded(ctx context.Context, database string) ([]table, error) {
	selected := s.scope.tables(database)
	if len(selected.listed) == 0 {
		return nil, nil
	}
	rows, err := s.query(ctx, database, userTables, 4)
	if err != nil {
		return nil, err
	}
	var tables []table
	for _, row := range rows {
		t, parent := table{row[0], row[1]}, table{row[2], row[3]}
		tables = append(tables, t)
		if parent.name != "" {
			selected.parents[t] = parent
		}
	}
	return selected.without(tables), nil
}

// stream runs a program and reads what it writes, to its end. The error is the
// program's if that ended first.
func (c *client) stream(ctx context.Context, cmd command.Command, read func(io.Reader) error) error {
	from, to := io.Pipe()
	cmd.Stdout = to
	done := make(chan error, 1)
	go func() {
		err := c.do(ctx, cmd)
		to.CloseWithError(err)
		done <- err
	}()
	err := read(from)
	if err == nil || errors.Is(err, errKept) {
		_, rest := io.Copy(io.Discard, from)
		err = errors.Join(err, rest)
	}
	from.CloseWithError(err)
	<-done
	return err
}

// An existing database is one that a server has.
type existing struct {
	name     string
	template bool
	connects bool // permits connections
	sessions int
}

// databases lists the databases of a cluster by name, without those that a
// load left half way, and those that the server was ended in dropping.
func (c *client) databases(ctx context.Context) ([]existing, error) {
	const list = `
SELECT d.datname, d.datistemplate, d.datallowconn,
	(SELECT count(*) FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid AND a.pid <> pg_backend_pid())
FROM pg_catalog.pg_database d
WHERE d.datconnlimit <> -2;
`
	rows, err := c.query(ctx, neutral, list, 4)
	if err != nil {
		return nil, err
	}
	var all []existing
	for _, row := range rows {
		d := existing{name: row[0], template: row[1] == "t", connects: row[2] == "t"}
		if _, err := fmt.Sscan(row[3], &d.sessions); err != nil {
			return nil, fmt.Errorf("count the sessions of %q: %w", d.name, err)
		}
		if !isSpare(d.name) {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b existing) int { return strings.Compare(a.name, b.name) })
	return all, nil
}
