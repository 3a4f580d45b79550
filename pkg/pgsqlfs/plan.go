package pgsqlfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"tklbam/pkg/limits"
)

// A Plan is what a load will do.
type Plan struct {
	Steps  []Step    // databases to load, in order
	Failed []Failure // what cannot be
	parts  []part
}

// A part is what a plan does in a cluster.
type part struct {
	*client
	tree
	globals bool // to load
	items   []item
}

// An item is a database to load.
type item struct {
	Step
	dir string
}

// Plan reads a tree, of this package or its predecessor, and says what loading
// it with these limits does to the machine, which it asks but does not change.
// The error is about the tree as a whole; fs.ErrNotExist if there is none.
func (m *Machine) Plan(ctx context.Context, dir string, list limits.List) (Plan, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Plan{}, err
	}
	defer root.Close()
	return m.plan(ctx, root, newScope(list))
}

func (m *Machine) plan(ctx context.Context, root *os.Root, s scope) (Plan, error) {
	var p Plan
	found, err := trees(root)
	if err != nil {
		return p, err
	}
	for _, t := range found {
		dirs, err := t.databases(root)
		if err != nil {
			return p, err
		}
		items := p.read(root, t, dirs, s)
		_, gerr := root.Lstat(path.Join(t.path, globalsName))
		globals := gerr == nil && (len(items) > 0 || len(dirs) == 0)
		if len(items) == 0 && !globals {
			continue
		}
		if gerr != nil {
			p.fail(t.label, "", fmt.Errorf("load roles: %w", gerr))
		}
		c, err := m.cluster(t.label)
		if err == nil && !c.Running {
			err = fmt.Errorf("load into PostgreSQL cluster %s: %w", c.Cluster, errDown)
		}
		if err == nil {
			items, err = p.compare(ctx, c, t.label, items)
		}
		if err != nil {
			p.fail(t.label, "", err)
			continue
		}
		p.parts = append(p.parts, part{c, t, globals, items})
	}
	for _, part := range p.parts {
		for _, i := range part.items {
			p.Steps = append(p.Steps, i.Step)
		}
	}
	return p, ctx.Err()
}

func (p *Plan) fail(label, database string, err error) {
	p.Failed = append(p.Failed, Failure{Database{label, database}, err})
}

// read returns the databases of a cluster that the limits include.
func (p *Plan) read(root *os.Root, t tree, dirs []string, s scope) []item {
	var items []item
	for _, dir := range dirs {
		c, err := readTree(root, dir)
		if err != nil {
			if s.db.Match(path.Base(dir)) {
				p.fail(t.label, path.Base(dir), err)
			}
			continue
		}
		if !s.db.Match(c.Database) {
			continue
		}
		same := func(i item) bool { return i.Name == c.Database }
		if slices.ContainsFunc(items, same) {
			p.fail(t.label, c.Database, fmt.Errorf("%q has it too", dir))
			continue
		}
		step := Step{Database: Database{t.label, c.Database}}
		step.Tables, step.Without = c.count(s.tables(c.Database))
		items = append(items, item{step, dir})
	}
	return items
}

// readTree reads the toc.dat of a database that is complete.
func readTree(root *os.Root, dir string) (*contents, error) {
	if _, err := root.Lstat(path.Join(dir, manifestName)); err != nil {
		return nil, err
	}
	f, err := open(root, path.Join(dir, tocName))
	if err != nil {
		return nil, err
	}
	c, err := readContents(io.Discard, f, givenName)
	return c, errors.Join(err, f.Close())
}

// count returns how many tables are loaded with and without rows.
func (c *contents) count(selected *selection) (with, without int) {
	selected.parents = c.parents
	for t := range c.rows {
		if selected.has(t) {
			with++
		}
	}
	for _, t := range c.tables {
		if _, ok := c.rows[t]; !ok || !selected.has(t) {
			without++
		}
	}
	return with, without
}

// compare says which of the databases the cluster has, and returns those that
// it can take.
func (p *Plan) compare(ctx context.Context, c *client, label string, items []item) ([]item, error) {
	all, err := c.databases(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the databases of PostgreSQL cluster %s: %w", c.Cluster, err)
	}
	there := make(map[string]existing)
	for _, d := range all {
		there[d.name] = d
	}
	var taken []item
	for _, i := range items {
		d, exists := there[i.Name]
		if d.template {
			p.fail(label, i.Name, errors.New("a template is not replaced"))
			continue
		}
		i.Exists, i.Sessions = exists, d.sessions
		taken = append(taken, i)
	}
	return taken, nil
}
