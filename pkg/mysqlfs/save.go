package mysqlfs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"tklbam/pkg/command"
	"tklbam/pkg/limits"
)

// Saved says what Save found and what of it is in the tree.
type Saved struct {
	DatabasesFound, Databases int
	TablesFound, Tables       int

	Failed []string // what could not be saved: a sentence each
	Notes  []string // what is saved, but not as one would think
}

// Save dumps the databases that are in the limits, at one point in time, into
// a tree in the directory dir. What cannot be saved is listed in the result,
// and does not keep the rest from being saved; an error means that the tree is
// of no use.
func (s *Server) Save(ctx context.Context, dir string, lim *limits.Databases, report Report) (Saved, error) {
	lim = everything(lim)
	found, err := s.inventory(ctx, lim)
	if err != nil {
		return Saved{}, err
	}
	saved := Saved{DatabasesFound: len(found.databases), TablesFound: tables(slices.Collect(maps.Keys(found.objects))), Notes: found.notes()}
	if len(found.databases) == 0 {
		return saved, os.MkdirAll(dir, 0o700)
	}
	var complaints complaints
	w := &writer{dir: dir, limits: lim, report: report, noEvents: !found.scheduler}
	written, exact, failed, err := s.dumpTo(ctx, w, found, &complaints)
	missing := found.objects.missing(written.seen)
	saved.Databases, saved.Tables = written.Databases, saved.TablesFound-tables(missing)
	if err != nil || ctx.Err() != nil {
		return saved, fmt.Errorf("save the databases: %w", errors.Join(err, failed, complaints.err()))
	}
	saved.judge(failed, complaints.all(), written)
	saved.Failed = append(saved.Failed, exact.lost(written.seen)...)
	if !found.scheduler && !lim.MatchTable(system, "event") {
		saved.Failed = append(saved.Failed, "events, if there are any: without its scheduler, the server shows them in database mysql only, which is not saved")
	}
	return saved, s.miss(ctx, &saved, missing, lim)
}

// dumpTo has the dump client write to w. It returns what is written, what was
// done for that to be exact, the client's error and that of the rest.
func (s *Server) dumpTo(ctx context.Context, w *writer, found inventory, complaints *complaints) (written Written, e *exact, failed, err error) {
	known, err := s.knows(ctx)
	if err != nil {
		return written, nil, nil, err
	}
	from, e, err := s.exact(ctx, found, w.limits, known)
	if err != nil {
		return written, nil, nil, err
	}
	failed, err = s.pipe(ctx, command.Command{Args: from.dumpArgs(found, w.limits, known), Stderr: complaints}, false,
		func(dump *os.File) (err error) {
			written, err = fromSQL(w, dump)
			return err
		})
	return written, e, failed, errors.Join(err, e.Close())
}

// judge sorts what the dump client complains of.
func (r *Saved) judge(failed error, complaints []string, written Written) {
	for _, c := range complaints {
		if written.seen.hasBroken(c) {
			r.Notes = append(r.Notes, "saved, but broken: "+c)
			failed = nil
		}
	}
	for _, c := range complaints {
		if !written.seen.hasBroken(c) {
			r.Failed = append(r.Failed, c)
		}
	}
	if failed != nil && len(r.Failed) == 0 {
		r.Failed = append(r.Failed, failed.Error())
	}
}

// brokenView is the complaint about a view that needs what is not there.
var brokenView = regexp.MustCompile(`View '(.*)' references invalid`)

// hasBroken reports whether a complaint is about a view that does not work,
// and whose definition is saved all the same.
func (s objects) hasBroken(complaint string) bool {
	m := brokenView.FindStringSubmatch(complaint)
	if m == nil {
		return false
	}
	for o := range s {
		if o.kind == "view" && o.database+"."+o.name == m[1] {
			return true
		}
	}
	return false
}

// miss lists what was found and is not in the tree. What is gone by now,
// temporary tables of applications for instance, is not missed.
func (s *Server) miss(ctx context.Context, saved *Saved, missing []object, lim *limits.Databases) error {
	if len(missing) == 0 && saved.Databases == saved.DatabasesFound {
		return nil
	}
	now, err := s.inventory(ctx, lim)
	if err != nil {
		return err
	}
	for _, o := range missing {
		if now.objects[o] {
			saved.Failed = append(saved.Failed, o.String()+" is not in the dump")
		}
	}
	if saved.Databases < saved.DatabasesFound && len(saved.Failed) == 0 && len(now.databases) > saved.Databases {
		saved.Failed = append(saved.Failed, fmt.Sprintf("%d databases of %d are not in the dump",
			saved.DatabasesFound-saved.Databases, saved.DatabasesFound))
	}
	return nil
}

// An inventory is what a server has that is in the limits.
type inventory struct {
	databases []string
	objects   objects
	unsafe    []string // tables whose engine has no transactions, with the engine
	scheduler bool     // the server has its event scheduler, and shows events
}

// tables counts the tables among objects.
func tables(objects []object) int {
	n := 0
	for _, o := range objects {
		if o.kind == "table" {
			n++
		}
	}
	return n
}

func (v inventory) notes() []string {
	if len(v.unsafe) == 0 {
		return nil
	}
	return []string{"saved as found while they may be written to, since their engine has no transactions: " + strings.Join(v.unsafe, ", ")}
}

// virtual are the databases that servers make up or make themselves.
var virtual = []string{"information_schema", "performance_schema", "sys", "ndbinfo"}

// schedulerQuery tells whether the server shows events and takes them. Without
// access control it has no scheduler; nobody in particular is connected then.
const schedulerQuery = `SELECT 'SCHEDULER', IF(CURRENT_USER() = '@' OR CURRENT_USER() LIKE 'skip-grants%', 'DISABLED', @@event_scheduler), '', ''`

const inventoryQuery = schedulerQuery + `
UNION ALL SELECT 'ENGINE', ENGINE, IFNULL(TRANSACTIONS, 'NO'), '' FROM information_schema.ENGINES
UNION ALL SELECT 'DATABASE', SCHEMA_NAME, '', '' FROM information_schema.SCHEMATA
UNION ALL SELECT TABLE_TYPE, TABLE_SCHEMA, TABLE_NAME, IFNULL(ENGINE, '') FROM information_schema.TABLES
UNION ALL SELECT 'TRIGGER', TRIGGER_SCHEMA, TRIGGER_NAME, '' FROM information_schema.TRIGGERS
UNION ALL SELECT ROUTINE_TYPE, ROUTINE_SCHEMA, ROUTINE_NAME, '' FROM information_schema.ROUTINES
UNION ALL SELECT 'EVENT', EVENT_SCHEMA, EVENT_NAME, '' FROM information_schema.EVENTS`

func (s *Server) inventory(ctx context.Context, lim *limits.Databases) (inventory, error) {
	rows, err := s.query(ctx, inventoryQuery)
	if err != nil {
		return inventory{}, err
	}
	v := inventory{objects: objects{}}
	transactions := map[string]bool{"": true}
	for _, row := range rows {
		if len(row) == 4 {
			v.add(row, lim, transactions)
		}
	}
	slices.Sort(v.databases)
	slices.Sort(v.unsafe)
	return v, nil
}

// add takes a row of the query.
func (v *inventory) add(row []string, lim *limits.Databases, transactions map[string]bool) {
	kind, db, name, engine := row[0], row[1], row[2], row[3]
	switch {
	case kind == "SCHEDULER":
		v.scheduler = db != "DISABLED"
		return
	case kind == "ENGINE":
		transactions[db] = name == "YES"
		return
	case slices.Contains(virtual, strings.ToLower(db)) || !lim.Match(db):
		return
	case kind == "DATABASE":
		v.databases = append(v.databases, db)
		return
	case kind == "BASE TABLE" || kind == "SYSTEM VERSIONED":
		kind = "table"
	}
	if db == system && (kind != "table" || useOf(name) == keep) {
		return
	}
	v.objects.add(strings.ToLower(kind), db, name)
	if !transactions[engine] && db != system && lim.MatchTable(db, name) {
		v.unsafe = append(v.unsafe, quote(db)+"."+quote(name)+" ("+engine+")")
	}
}

// Databases returns the names of the databases that are in the limits.
func (s *Server) Databases(ctx context.Context, lim *limits.Databases) ([]string, error) {
	v, err := s.inventory(ctx, everything(lim))
	return v.databases, err
}

// Drop removes databases, which need not exist. The server's own is an error.
func (s *Server) Drop(ctx context.Context, names ...string) error {
	for _, name := range names {
		if name == system || slices.Contains(virtual, name) {
			return fmt.Errorf("drop database %q: it is the server's own", name)
		}
		if _, err := s.query(ctx, "DROP DATABASE IF EXISTS "+quote(name)); err != nil {
			return fmt.Errorf("drop database %q: %w", name, err)
		}
	}
	return nil
}
