package mysqlfs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tklbam/pkg/limits"
)

// Written is what a tree was made of.
type Written struct {
	Databases, Tables int // that are in, whether their rows are or not

	seen objects // everything that the tree has
}

// FromSQL writes the tree of a dump into the directory dir, which it makes if
// need be. The dump has a CREATE DATABASE for every database, and rows that
// stay apart if each has an INSERT of its own, as with the options
// --all-databases --skip-extended-insert. Databases that are out of the limits
// are left out, and the rows of tables that are. Files that are in the tree
// and in the dump are replaced, others stay.
//
// Memory is that of the longest statement which is no INSERT. After an error
// the tree is incomplete.
func FromSQL(dir string, r io.Reader, lim *limits.Databases, report Report) (Written, error) {
	return fromSQL(&writer{dir: dir, limits: everything(lim), report: report}, r)
}

func fromSQL(w *writer, r io.Reader) (Written, error) {
	w.seen, w.made, w.databases = objects{}, map[string]string{}, map[string]string{}
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return Written{}, err
	}
	err := scan(r, w)
	return w.Written, errors.Join(err, w.closeRows())
}

// A writer makes files of what a dump tells.
type writer struct {
	Written
	dir      string
	limits   *limits.Databases
	report   Report
	noEvents bool // the dump has none, whatever it says: see schedulerQuery

	made map[string]string // directory by what it is for, see place

	database  string // that is in use, "" for one that is out
	databases map[string]string
	table     string // that was created last, "" for none
	tableDir  string

	rows    *bufio.Writer // nil unless rows come
	file    *os.File
	dropped bool // the rows of the table are out
	columns bool // the table's columns are known
}

// rowsBuffer is what is written at a time, in bytes.
const rowsBuffer = 256 << 10

func (w *writer) statement(st statement, session settings) error {
	switch st.kind {
	case kindDatabase:
		return w.createDatabase(st)
	case kindUse:
		w.table = ""
		w.database = ""
		if _, in := w.databases[st.name]; in {
			w.database = st.name
		}
		return w.closeRows()
	}
	if w.database == "" {
		return nil
	}
	return w.create(st, session)
}

// create takes a statement within a database.
func (w *writer) create(st statement, session settings) error {
	switch st.kind {
	case kindTable:
		if st.placeholder {
			return w.view(preFile, st, session)
		}
		return w.createTable(st)
	case kindView:
		if st.placeholder {
			return w.view(preFile, st, session)
		}
		return w.view(postFile, st, session)
	case kindSequence, kindSetval:
		return w.sequence(st)
	case kindTrigger:
		return w.trigger(st, session)
	case kindProcedure, kindFunction, kindPackage, kindBody:
		return w.object(routinesFile, st, session)
	case kindEvent:
		return w.object(eventsFile, st, session)
	}
	return nil
}

func (w *writer) createDatabase(st statement) error {
	w.database, w.table = "", ""
	if err := w.closeRows(); err != nil || !w.limits.Match(st.name) {
		return err
	}
	dir, err := w.place(w.dir, st.name)
	if err != nil {
		return err
	}
	w.database = st.name
	if _, again := w.databases[st.name]; !again {
		w.Databases++
		w.report.begin(st.name, "")
	}
	w.databases[st.name] = dir
	for _, old := range []string{routinesFile, eventsFile} {
		if err := remove(filepath.Join(dir, old)); err != nil {
			return err
		}
	}
	return writeFile(filepath.Join(dir, initFile), string(st.text)+";\n")
}

func (w *writer) createTable(st statement) error {
	if err := w.closeRows(); err != nil {
		return err
	}
	dir, err := w.part(tablesDir, st.name)
	if err != nil {
		return err
	}
	w.table, w.tableDir = st.name, dir
	w.dropped = !w.limits.MatchTable(w.database, st.name)
	w.columns = false
	w.Tables++
	w.seen.add("table", w.database, st.name)
	for _, old := range []string{triggersFile, columnsFile, rowsFile} {
		if err := remove(filepath.Join(dir, old)); err != nil {
			return err
		}
	}
	if err := writeFile(filepath.Join(dir, initFile), string(st.text)+";\n"); err != nil || w.dropped {
		return err
	}
	w.report.begin(w.database, st.name)
	return writeFile(filepath.Join(dir, rowsFile), "")
}

// view takes a view or its placeholder.
func (w *writer) view(part string, st statement, session settings) error {
	dir, err := w.part(viewsDir, st.name)
	if err != nil {
		return err
	}
	text := string(st.text) + ";\n"
	if part == postFile {
		w.seen.add("view", w.database, st.name)
		text = session.statements("50001", ";", sessionVariables[:3]) + text
	}
	return writeFile(filepath.Join(dir, part), text)
}

func (w *writer) sequence(st statement) error {
	dir, err := w.part(sequencesDir, st.name)
	if err != nil {
		return err
	}
	text := string(st.text) + ";\n"
	if st.kind == kindSetval {
		return appendFile(filepath.Join(dir, initFile), text)
	}
	w.seen.add("sequence", w.database, st.name)
	return writeFile(filepath.Join(dir, initFile), text)
}

// trigger takes a trigger of the table created last, where dumps have it.
func (w *writer) trigger(st statement, session settings) error {
	if w.table == "" {
		return fmt.Errorf("trigger %q comes without a table", st.name)
	}
	w.seen.add("trigger", w.database, st.name)
	text := session.statements("50003", " ;;", sessionVariables[:4]) + string(st.text) + ";;\n\n"
	return appendFile(filepath.Join(w.tableDir, triggersFile), text)
}

// object takes a routine or an event.
func (w *writer) object(part string, st statement, session settings) error {
	variables := sessionVariables[:4]
	if part == eventsFile {
		variables = sessionVariables[:]
	}
	w.seen.add(strings.ToLower(string(st.kind)), w.database, st.name)
	// Packages are dropped only in the mode that they were created in.
	text := fmt.Sprintf("%sDROP %s IF EXISTS %s;;\n%s\n;;\n\n",
		session.statements("50003", " ;;", variables), st.kind, quote(st.name), st.text)
	return appendFile(filepath.Join(w.databases[w.database], part), text)
}

// section makes the files that say that the dump was asked for routines and
// events, even if there are none.
func (w *writer) section(comment []byte) error {
	if w.database == "" {
		return nil
	}
	for part, announced := range map[string]string{
		routinesFile: "-- Dumping routines for database ",
		eventsFile:   "-- Dumping events for database ",
	} {
		if bytes.HasPrefix(comment, []byte(announced)) && (part != eventsFile || !w.noEvents) {
			return appendFile(filepath.Join(w.databases[w.database], part), "")
		}
	}
	return nil
}

func (w *writer) insert(table string, columns []byte) (io.Writer, error) {
	if w.database == "" || w.table == "" || w.dropped {
		return io.Discard, nil
	}
	if table != w.table && w.database == system && useOf(table) == keep {
		return io.Discard, nil // MySQL has statistics without their tables
	}
	if table != w.table {
		return nil, fmt.Errorf("rows of table %q come after the start of table %q", table, w.table)
	}
	if columns != nil && !w.columns {
		w.columns = true
		if err := writeFile(filepath.Join(w.tableDir, columnsFile), string(columns)+"\n"); err != nil {
			return nil, err
		}
	}
	if w.rows == nil {
		var err error
		w.file, err = os.OpenFile(filepath.Join(w.tableDir, rowsFile), os.O_WRONLY|os.O_TRUNC|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		w.rows = bufio.NewWriterSize(w.file, rowsBuffer)
	}
	return w.rows, nil
}

func (w *writer) closeRows() error {
	if w.rows == nil {
		return nil
	}
	err := errors.Join(w.rows.Flush(), w.file.Close())
	w.rows, w.file = nil, nil
	return err
}

// part returns the directory of something in the current database.
func (w *writer) part(kind, name string) (string, error) {
	dir := filepath.Join(w.databases[w.database], kind)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return w.place(dir, name)
}

// place returns the directory in dir for something of that name, made if need
// be. On a file system that does not tell the case of letters, the second of
// two names gets a directory in which case does not count.
func (w *writer) place(dir, name string) (string, error) {
	path := filepath.Join(dir, Escape(name))
	if w.made[path] == name {
		return path, nil
	}
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrExist) {
		var folded bool
		if folded, err = foldedOnto(dir, Escape(name)); folded {
			path = filepath.Join(dir, escapeCase(name))
			err = os.MkdirAll(path, 0o700)
		}
	}
	w.made[path] = name
	return path, err
}

// foldedOnto reports whether what exists in dir under a name is there under
// another one.
func foldedOnto(dir, name string) (bool, error) {
	d, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer d.Close() // read only
	for {
		names, err := d.Readdirnames(1000)
		for _, n := range names {
			if n == name {
				return false, nil
			}
		}
		if err != nil {
			return err == io.EOF, ignoreEOF(err)
		}
	}
}

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

func appendFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
