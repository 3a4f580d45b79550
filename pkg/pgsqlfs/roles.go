package pgsqlfs

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"path/filepath"
)

// saveGlobals writes the roles, with their passwords as the server keeps
// them, and the tablespaces.
func (c *client) saveGlobals(ctx context.Context, dir string) error {
	cmd := c.command("pg_dumpall", append(c.connect(neutral), "--globals-only", "--database="+neutral)...)
	return createFile(filepath.Join(dir, globalsName), func(w io.Writer) error {
		return c.stream(ctx, cmd, func(r io.Reader) error { return withoutKey(w, r) })
	})
}

// withoutKey copies a script without the two commands that programs since
// August 2025 put around it, \restrict and \unrestrict: their key is another
// one every time, and older programs do not know them.
func withoutKey(w io.Writer, r io.Reader) error {
	in := bufio.NewReader(r)
	const restrict, unrestrict = `\restrict `, `\unrestrict `
	var key []byte
	for start := true; ; {
		line, err := in.ReadSlice('\n')
		switch {
		case start && key == nil && bytes.HasPrefix(line, []byte(restrict)):
			key = bytes.Clone(line[len(restrict):])
			line = nil
		case start && key != nil && bytes.HasPrefix(line, []byte(unrestrict)) && bytes.Equal(line[len(unrestrict):], key):
			line = nil
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		} else if err != nil && err != bufio.ErrBufferFull {
			return err
		}
		start = err == nil
	}
}

// Roles returns the names of the roles of the i-th cluster. What a load makes
// of them beyond these can be undone by DropRoles.
func (m *Machine) Roles(ctx context.Context, i int) ([]string, error) {
	rows, err := m.client(i).query(ctx, neutral, "SELECT rolname FROM pg_catalog.pg_roles ORDER BY 1;", 1)
	var names []string
	for _, row := range rows {
		names = append(names, row[0])
	}
	return names, err
}

// DropRoles removes roles of the i-th cluster that nothing belongs to. One that
// is not there is no error. Failures are about single roles.
func (m *Machine) DropRoles(ctx context.Context, i int, names []string) []Failure {
	var failed []Failure
	for _, name := range names {
		if err := m.client(i).dropAny(ctx, "ROLE", name); err != nil {
			failed = append(failed, Failure{Database{Cluster: m.label(i)}, err})
		}
	}
	return failed
}

// dropAny removes a role or a tablespace, if it is there.
func (c *client) dropAny(ctx context.Context, kind, name string) error {
	return c.sql(ctx, neutral, "DROP "+kind+" IF EXISTS "+identifier(name)+";\n")
}
