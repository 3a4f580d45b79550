package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tklbam/pkg/extras"
	"tklbam/pkg/limits"
	"tklbam/pkg/mysqlfs"
	"tklbam/pkg/overlay"
	"tklbam/pkg/pgsqlfs"
	"tklbam/pkg/rollback"
)

// newMySQL is the kind of the notes that name databases which the restore
// makes, for the rollback to drop.
const newMySQL = "new mysql database"

// Databases restores the databases of the backup. It returns how many things
// could not be restored, each of which was warned of.
func (s *System) Databases(ctx context.Context) (failed int, err error) {
	p := &printer{w: s.Out}
	for _, kind := range []struct {
		part, title string
		load        func(context.Context, *printer, string) (int, error)
	}{
		{extras.MySQL, "MySQL", s.mysql},
		{extras.PostgreSQL, "PgSQL", s.pgsql},
	} {
		dir := s.Extras().Path(kind.part)
		info, err := os.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%q is no directory", dir)
		}
		if err != nil {
			return failed, err
		}
		p.title("DATABASE - unserializing %s databases from %s", kind.title, dir)
		n, err := kind.load(ctx, p, dir)
		failed += n
		if err != nil {
			return failed, errors.Join(err, p.err)
		}
		p.line("")
	}
	return failed, p.err
}

// lose tells of what could not be restored.
func (s *System) lose(list []string) int {
	for _, text := range list {
		s.Warn("", errors.New(text))
	}
	return len(list)
}

func (s *System) mysql(ctx context.Context, p *printer, dir string) (failed int, err error) {
	if !mysqlfs.Installed() {
		return s.lose([]string{"skipping the MySQL databases: there is no server"}), nil
	}
	var loaded mysqlfs.Loaded
	begun := false
	err = s.MySQL.Use(ctx, func(ctx context.Context, server *mysqlfs.Server) (err error) {
		begun = true
		loaded, err = s.loadMySQL(ctx, p, server, dir)
		return err
	})
	if err != nil && !begun && ctx.Err() == nil {
		return s.lose([]string{"skipping the MySQL databases: " + err.Error()}), nil
	}
	for _, note := range loaded.Notes {
		p.line("// %s", note)
	}
	return s.lose(loaded.Failed), err
}

func (s *System) loadMySQL(ctx context.Context, p *printer, server *mysqlfs.Server, dir string) (mysqlfs.Loaded, error) {
	lim := s.Limits.DB(limits.MySQL)
	if s.Journal != nil && !s.Simulate {
		if err := s.keepMySQL(ctx, server, dir, lim); err != nil {
			return mysqlfs.Loaded{}, err
		}
	}
	loaded, err := server.Load(ctx, dir, lim, mysqlfs.LoadOptions{Simulate: s.Simulate}, func(i mysqlfs.Item) { p.line("  %s", i) })
	if err != nil || s.Simulate {
		return loaded, err
	}
	return loaded, s.mysqlAccess(ctx)
}

// mysqlAccess puts the backup's credentials for maintaining the server in the
// place of this system's once the server, with the backup's users, accepts
// them.
func (s *System) mysqlAccess(ctx context.Context) error {
	data, err := s.Extras().Read(extras.MySQLAccess)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	server, err := mysqlfs.Open(s.Runner, mysqlfs.Access{DefaultsFile: s.Extras().Path(extras.MySQLAccess)})
	if err != nil {
		return err
	}
	defer server.Close() // opened with no file of its own
	if server.Check(ctx) != nil {
		return ctx.Err()
	}
	result, err := overlay.Apply(ctx, []overlay.Action{overlay.PutBytes(strings.TrimPrefix(mysqlfs.DebianConfig, "/"), data, 0o600, 0, 0)}, overlay.Options{
		Root: s.Root, Journal: s.Journal, Protect: s.Protect, Reporter: reporter{s}, Now: s.Now, Fault: s.Fault,
	})
	if err == nil && result.Failed > 0 {
		err = fmt.Errorf("replace %q: it could not be put in place", mysqlfs.DebianConfig)
	}
	return err
}

// keepMySQL saves the databases that will be replaced, and notes those that
// will be new.
func (s *System) keepMySQL(ctx context.Context, server *mysqlfs.Server, dir string, lim *limits.Databases) error {
	wanted, err := mysqlTree(dir, lim)
	if err != nil {
		return err
	}
	have, err := server.Databases(ctx, limits.List{}.DB(limits.MySQL))
	if err != nil {
		return err
	}
	var touched limits.List
	for _, name := range wanted {
		if slices.Contains(have, name) {
			touched = append(touched, limits.Limit{Kind: limits.MySQL, Database: name})
		} else if err := s.note(newMySQL, []string{name}); err != nil {
			return err
		}
	}
	if len(touched) == 0 {
		return nil
	}
	return s.Journal.Part(rollback.MyFS, func(dir string) error {
		saved, err := server.Save(ctx, dir, touched.DB(limits.MySQL), nil)
		if err == nil && len(saved.Failed) > 0 {
			err = fmt.Errorf("keep MySQL databases for rollback: %q", saved.Failed)
		}
		return err
	})
}

// mysqlTree returns the databases in a tree that are in the limits.
func mysqlTree(dir string, lim *limits.Databases) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name := mysqlfs.Unescape(e.Name()); e.IsDir() && lim.Match(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (s *System) machine() (*pgsqlfs.Machine, error) {
	clusters, err := pgsqlfs.Find(s.Root)
	return &pgsqlfs.Machine{Clusters: clusters, Runner: s.Runner}, err
}

func (s *System) pgsql(ctx context.Context, p *printer, dir string) (failed int, err error) {
	m, err := s.machine()
	if err != nil {
		return 0, err
	}
	if len(m.Clusters) == 0 {
		return s.lose([]string{"skipping the PostgreSQL databases: there is no server"}), nil
	}
	if s.Journal != nil && !s.Simulate {
		if err := m.Keep(ctx, dir, filepath.Join(s.Journal.Dir(), rollback.PgFS), s.Limits); err != nil {
			return 0, err
		}
	}
	loaded, err := m.Load(ctx, dir, s.Limits, pgsqlfs.LoadOptions{Simulate: s.Simulate}, func(step pgsqlfs.Step) { p.line("  %s", step) })
	for _, note := range loaded.Notes {
		p.line("// %s", note)
	}
	var list []string
	for _, f := range loaded.Failed {
		list = append(list, f.Error())
	}
	return s.lose(list), err
}

// databases drops those that the restore made, and puts back those that it
// replaced.
func (u *Undo) databases(ctx context.Context) error {
	var errs []error
	if err := u.mysql(ctx); err != nil {
		errs = append(errs, fmt.Errorf("roll MySQL databases back: %w", err))
	}
	if err := u.pgsql(ctx); err != nil {
		errs = append(errs, fmt.Errorf("roll PostgreSQL databases back: %w", err))
	}
	return errors.Join(errs...)
}

// kept returns the tree of databases in the record, "" if there is none.
func (u *Undo) kept(part string) string {
	dir := filepath.Join(u.Record.Dir(), part)
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return ""
	}
	return dir
}

func (u *Undo) mysql(ctx context.Context) error {
	made, kept := u.Record.Notes(newMySQL), u.kept(rollback.MyFS)
	if len(made) == 0 && kept == "" {
		return nil
	}
	return u.MySQL.Use(ctx, func(ctx context.Context, server *mysqlfs.Server) error {
		if err := server.Drop(ctx, made...); err != nil || kept == "" {
			return err
		}
		loaded, err := server.Load(ctx, kept, limits.List{}.DB(limits.MySQL), mysqlfs.LoadOptions{Drop: true}, nil)
		if err == nil && len(loaded.Failed) > 0 {
			err = fmt.Errorf("%q", loaded.Failed)
		}
		return err
	})
}

func (u *Undo) pgsql(ctx context.Context) error {
	kept := u.kept(rollback.PgFS)
	if kept == "" {
		return nil
	}
	clusters, err := pgsqlfs.Find(u.Root)
	if err != nil {
		return err
	}
	m := pgsqlfs.Machine{Clusters: clusters, Runner: u.Runner}
	failed, err := m.PutBack(ctx, kept)
	errs := []error{err}
	for _, f := range failed {
		errs = append(errs, f)
	}
	return errors.Join(errs...)
}
