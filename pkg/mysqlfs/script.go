package mysqlfs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"tklbam/pkg/limits"
)

// SQLOptions say how a tree becomes SQL.
type SQLOptions struct {
	SkipExtendedInsert bool // a statement for every row
	DropDatabases      bool // first, but for the server's own, so that nothing else stays in them

	// EventRows restores events from the table that servers keep them in, as
	// far as the tree has it: for a server without its scheduler.
	EventRows bool
}

// ToSQL writes a tree as the SQL that restores what of it is in the limits, in
// the statements that the server's client takes, DELIMITER among them. The
// server's own database is merged into the one that is there, by statements
// that find out themselves what that one is like.
func ToSQL(w io.Writer, dir string, lim *limits.Databases, o SQLOptions, report Report) error {
	t, err := openTree(dir, lim)
	if err != nil {
		return err
	}
	defer t.Close() // read only
	dbs, err := t.databases()
	if err != nil {
		return err
	}
	s := newScript(w, t, o, report)
	s.text(prologue)
	for _, phase := range phases {
		for _, db := range dbs {
			if err := phase(s, db); err != nil {
				return fmt.Errorf("restore database %q: %w", db.name, err)
			}
		}
	}
	s.text(epilogue)
	return s.w.Flush()
}

// phases are what is done with all databases before any sees the next: views
// and events may need other databases, and users may end what this one may do.
// Views that are broken come last: a client stops at the first error.
var phases = []func(*script, database) error{
	(*script).content, (*script).finalViews, (*script).events, (*script).merge, (*script).brokenViews,
}

// A script is SQL that is written. Errors of the writer stick to it.
type script struct {
	w      *bufio.Writer
	tree   *tree
	opts   SQLOptions
	report Report
	tables int
}

func newScript(w io.Writer, t *tree, o SQLOptions, report Report) *script {
	return &script{w: bufio.NewWriterSize(w, rowsBuffer), tree: t, opts: o, report: report}
}

func (s *script) text(text string) { s.w.WriteString(text) }

// line writes a line, with names for its verbs %s in backquotes.
func (s *script) line(format string, names ...string) {
	quoted := make([]any, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	fmt.Fprintf(s.w, format+"\n", quoted...)
}

const prologue = `/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;
/*!50600 SET SESSION innodb_strict_mode=0 */;
/*M!100201 SET check_constraint_checks=0 */;

`

const epilogue = `
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;
`

// content writes what a database has that needs no other database.
func (s *script) content(db database) error {
	s.report.begin(db.name, "")
	if db.name == system {
		return nil
	}
	if s.opts.DropDatabases {
		s.line("/*!40000 DROP DATABASE IF EXISTS %s*/;", db.name)
	}
	s.text(db.init)
	s.line("USE %s;", db.name)
	if err := s.sequences(db); err != nil {
		return err
	}
	if err := s.tree.tables(db, func(t table) error { return s.table(db, t) }); err != nil {
		return err
	}
	if err := s.placeholders(db); err != nil {
		return err
	}
	return s.routines(db)
}

func (s *script) sequences(db database) error {
	parent := path.Join(db.dir, sequencesDir)
	names, err := s.tree.list(parent)
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := s.tree.text(path.Join(parent, name, initFile))
		if err != nil {
			return err
		}
		s.line("DROP SEQUENCE IF EXISTS %s;", firstCreate(text).name)
		s.text(text)
	}
	return nil
}

// table writes a table with its rows and triggers.
func (s *script) table(db database, t table) error {
	s.report.begin(db.name, t.name)
	s.tables++
	s.line("DROP TABLE IF EXISTS %s;\n/*!50001 DROP VIEW IF EXISTS %[1]s*/;", t.name)
	s.text(t.init)
	s.text("\n")
	// A default that takes its value from a sequence would need that locked too.
	if err := s.rows(t, quote(t.name), !strings.Contains(strings.ToLower(t.init), "nextval(")); err != nil {
		return err
	}
	return s.triggers(t)
}

// rows writes the rows of a table into the one that is called into, in
// backquotes.
func (s *script) rows(t table, into string, lock bool) error {
	f, err := s.tree.open(path.Join(t.dir, rowsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() // read only
	if info, err := f.Stat(); err != nil || info.Size() == 0 {
		return err
	}
	limit, prefix := MaxInsert, "INSERT INTO "+into+" "
	if s.opts.SkipExtendedInsert {
		limit = 0
	}
	if t.columns != "" {
		prefix += t.columns + " "
	}
	history := strings.Contains(t.columns, "row_start")
	s.history(history, 1)
	if lock {
		s.text("LOCK TABLES " + into + " WRITE;\n")
	}
	s.text("/*!40000 ALTER TABLE " + into + " DISABLE KEYS */;\n")
	n, err := insertRows(s.w, f, prefix+"VALUES ", limit)
	s.text(fmt.Sprintf("\n-- CHUNKS: %d\n\n", n))
	s.text("/*!40000 ALTER TABLE " + into + " ENABLE KEYS */;\nUNLOCK TABLES;\n\n")
	s.history(history, 0)
	return err
}

// history lets rows of the past into a table with system versioning.
func (s *script) history(needed bool, value int) {
	if needed {
		fmt.Fprintf(s.w, "/*M!101100 SET @@session.system_versioning_insert_history=%d */;\n", value)
	}
}

const saveSession = `/*!50003 SET @saved_cs_client      = @@character_set_client */;
/*!50003 SET @saved_cs_results     = @@character_set_results */;
/*!50003 SET @saved_col_connection = @@collation_connection */;
/*!50003 SET @saved_sql_mode       = @@sql_mode */;
/*!50003 SET @saved_time_zone      = @@time_zone */;
`

const restoreSession = `/*!50003 SET time_zone             = @saved_time_zone */;
/*!50003 SET sql_mode              = @saved_sql_mode */;
/*!50003 SET character_set_client  = @saved_cs_client */;
/*!50003 SET character_set_results = @saved_cs_results */;
/*!50003 SET collation_connection  = @saved_col_connection */;

`

// triggers writes a table's triggers. In trees of old they have no settings;
// there the server's own mode is the best guess.
func (s *script) triggers(t table) error {
	return s.objects(path.Join(t.dir, triggersFile), "/*!50003 SET sql_mode = @@global.sql_mode */;\n")
}

func (s *script) routines(db database) error { return s.objects(path.Join(db.dir, routinesFile), "") }

func (s *script) events(db database) error {
	if db.name == system || s.opts.EventRows || !s.tree.has(path.Join(db.dir, eventsFile)) {
		return nil
	}
	s.line("USE %s;", db.name)
	return s.objects(path.Join(db.dir, eventsFile), "")
}

// objects writes a file of statements with ";;".
func (s *script) objects(name, before string) error {
	text, err := s.tree.optional(name)
	if err != nil || text == "" {
		return err
	}
	s.text(saveSession + before + "DELIMITER ;;\n")
	s.text(text)
	s.text("\nDELIMITER ;\n" + restoreSession)
	return nil
}

// placeholders writes tables, or views of nothing, in the place of views, for
// what comes before the views and needs them.
func (s *script) placeholders(db database) error {
	views, err := s.tree.views(db)
	for _, v := range views {
		if v.pre != "" {
			s.dropView(v.name)
			s.text(v.pre)
		}
	}
	return err
}

func (s *script) dropView(name string) {
	s.line("/*!50001 DROP TABLE IF EXISTS %s*/;\n/*!50001 DROP VIEW IF EXISTS %[1]s*/;", name)
}

const beforeView = `/*!50001 SET @saved_cs_client          = @@character_set_client */;
/*!50001 SET @saved_cs_results         = @@character_set_results */;
/*!50001 SET @saved_col_connection     = @@collation_connection */;
`

const afterView = `/*!50001 SET character_set_client      = @saved_cs_client */;
/*!50001 SET character_set_results     = @saved_cs_results */;
/*!50001 SET collation_connection      = @saved_col_connection */;

`

// finalViews writes the views of a database that are not known to be broken.
func (s *script) finalViews(db database) error {
	views, err := s.tree.views(db)
	if err == nil && db.name != system {
		working, _ := s.tree.sortOut(db, views)
		s.create(db, working)
	}
	return err
}

// brokenViews writes the views of a database that are.
func (s *script) brokenViews(db database) error {
	views, err := s.tree.views(db)
	if err == nil && db.name != system {
		_, broken := s.tree.sortOut(db, views)
		s.create(db, broken)
	}
	return err
}

// create writes views.
func (s *script) create(db database, views []view) {
	if len(views) == 0 {
		return
	}
	s.line("USE %s;", db.name)
	for _, v := range views {
		if v.post != "" {
			s.dropView(v.name)
			s.text(beforeView + v.post + afterView)
		}
	}
}
