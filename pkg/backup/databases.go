package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"tklbam/chain"
	"tklbam/pkg/command"
	"tklbam/pkg/extras"
	"tklbam/pkg/limits"
	"tklbam/pkg/mysqlfs"
	"tklbam/pkg/pgsqlfs"
)

// A Dump is what became of the databases of one kind of server.
type Dump struct {
	Server       string // "MySQL"
	Found, Saved int    // databases
	Failed       []error
	Notes        []string
}

// IsDump reports whether a path of a system backup is that of a dump: one row
// that changes is one line that does.
func IsDump(path string) bool {
	return strings.HasPrefix(path, extras.Name+"/"+extras.MySQL+"/") || strings.HasPrefix(path, extras.Name+"/"+extras.PostgreSQL+"/")
}

// A Dumper dumps the databases of one kind of server into the extras. It
// returns nil if there is no such server on the system.
type Dumper func(ctx context.Context, dir extras.Dir, list limits.List) (*Dump, error)

// databases dumps what there is. What can't be dumped is a problem for the
// report; the rest is dumped.
func (s *System) databases(ctx context.Context, f *Findings) error {
	if s.SkipDatabase {
		return nil
	}
	for _, dump := range s.Dumpers {
		d, err := dump(ctx, s.Extras, s.Overrides)
		if cerr := ctx.Err(); cerr != nil {
			return cerr
		}
		if err != nil {
			s.Report.Problem(chain.Problem{Path: extras.Name, Err: err, Lost: true})
		}
		if d == nil {
			continue
		}
		for _, err := range d.Failed {
			s.Report.Problem(chain.Problem{Path: extras.Name, Err: err, Lost: true})
		}
		for _, note := range d.Notes {
			s.Report.Note(note)
		}
		f.Dumps = append(f.Dumps, *d)
	}
	return nil
}

// MySQL dumps the databases of this system's MySQL or MariaDB server. One that
// is installed but does not run is an error.
func MySQL(system mysqlfs.System) Dumper {
	return func(ctx context.Context, dir extras.Dir, list limits.List) (*Dump, error) {
		if !mysqlfs.Installed() {
			return nil, nil
		}
		tree := dir.Path(extras.MySQL)
		var saved mysqlfs.Saved
		err := system.Use(ctx, func(ctx context.Context, server *mysqlfs.Server) (err error) {
			saved, err = server.Save(ctx, tree, list.DB(limits.MySQL), nil)
			return err
		})
		if err == nil {
			err = dir.Keep(extras.MySQLAccess, mysqlfs.DebianConfig)
		} else {
			// A part of a database must not be restored for the whole.
			err = errors.Join(err, os.RemoveAll(tree))
			saved.Databases = 0
		}
		d := &Dump{Server: "MySQL", Found: saved.DatabasesFound, Saved: saved.Databases, Notes: saved.Notes}
		for _, text := range saved.Failed {
			d.Failed = append(d.Failed, errors.New(text))
		}
		if err != nil {
			err = fmt.Errorf("back up MySQL databases: %w", err)
		}
		return d, err
	}
}

// PostgreSQL dumps the databases of all clusters of this system.
func PostgreSQL(run command.Runner, root string) Dumper {
	return func(ctx context.Context, dir extras.Dir, list limits.List) (*Dump, error) {
		clusters, err := pgsqlfs.Find(root)
		if err != nil || len(clusters) == 0 {
			return nil, err
		}
		m := pgsqlfs.Machine{Clusters: clusters, Runner: run}
		tree := dir.Path(extras.PostgreSQL)
		saved, err := m.Save(ctx, tree, list, func(pgsqlfs.Step) {})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("back up PostgreSQL databases: %w", err), os.RemoveAll(tree))
		}
		d := &Dump{Server: "PostgreSQL", Found: saved.Found, Saved: saved.Saved, Notes: saved.Notes}
		for _, failure := range saved.Failed {
			d.Failed = append(d.Failed, failure)
		}
		return d, nil
	}
}
