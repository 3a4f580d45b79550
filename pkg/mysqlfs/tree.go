package mysqlfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"tklbam/pkg/limits"
)

// A tree is one that is read. It comes out of a backup: nothing in it leads
// elsewhere, and nothing but regular files is opened.
type tree struct {
	root   *os.Root
	limits *limits.Databases
	names  *renaming // of collations in texts; nil for none
}

// A database is one of a tree.
type database struct {
	dir, name string
	init      string
}

func openTree(dir string, lim *limits.Databases) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &tree{root: root, limits: everything(lim)}, nil
}

func (t *tree) Close() error { return t.root.Close() }

// databases returns those that are in, in the order of their directories'
// names, the server's own last: with it, other users may come.
func (t *tree) databases() ([]database, error) {
	names, err := t.list(".")
	if err != nil {
		return nil, err
	}
	var dbs, last []database
	for _, dir := range names {
		db, err := t.database(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist): // a directory of someone else's
		case err != nil:
			return nil, err
		case db.name == system && t.limits.Match(db.name):
			last = append(last, db)
		case t.limits.Match(db.name):
			dbs = append(dbs, db)
		}
	}
	return append(dbs, last...), nil
}

func (t *tree) database(dir string) (database, error) {
	text, err := t.text(path.Join(dir, initFile))
	if err != nil {
		return database{}, err
	}
	st, err := t.named(dir, text, kindDatabase)
	return database{dir, st.name, text}, err
}

// named parses a part that says what the directory dir is about.
func (t *tree) named(dir, text string, k kind) (statement, error) {
	st := parse([]byte(text))
	if st.kind != k {
		return st, fmt.Errorf("read %q: %q does not create a %s", dir, initFile, k)
	}
	return st, nil
}

// list returns the names of the directories in dir, sorted. There are none in
// one that is absent.
func (t *tree) list(dir string) ([]string, error) {
	entries, err := fs.ReadDir(t.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) && dir != "." {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// text returns a part that is read as a whole.
func (t *tree) text(name string) (string, error) {
	f, err := t.open(name)
	if err != nil {
		return "", err
	}
	defer f.Close() // read only
	b, err := io.ReadAll(io.LimitReader(f, maxStatement+1))
	if err == nil && len(b) > maxStatement {
		err = fmt.Errorf("read %q: %w", name, errLong)
	}
	return t.names.apply(string(b)), err
}

// has reports whether a part is there.
func (t *tree) has(name string) bool {
	info, err := t.root.Lstat(name)
	return err == nil && info.Mode().IsRegular()
}

func (t *tree) open(name string) (*os.File, error) {
	info, err := t.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open %q: %w: not a regular file", name, fs.ErrInvalid)
	}
	return t.root.Open(name)
}

// A table is one of a tree.
type table struct {
	dir, name, init string
	columns         string // with their parentheses, "" for all
}

// tables calls do for every table of a database whose rows are in.
func (t *tree) tables(db database, do func(table) error) error {
	parent := path.Join(db.dir, tablesDir)
	names, err := t.list(parent)
	if err != nil {
		return err
	}
	for _, name := range names {
		tab, err := t.table(path.Join(parent, name))
		if err == nil && t.limits.MatchTable(db.name, tab.name) {
			err = do(tab)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) table(dir string) (table, error) {
	text, err := t.text(path.Join(dir, initFile))
	if err != nil {
		return table{}, err
	}
	st, err := t.named(dir, text, kindTable)
	if err != nil {
		return table{}, err
	}
	tab := table{dir: dir, name: st.name, init: text}
	columns, err := t.text(path.Join(dir, columnsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return table{}, err
	}
	tab.columns = strings.TrimSpace(columns)
	if err != nil {
		tab.columns, err = t.stated(tab)
	}
	return tab, err
}

// A view is one of a tree.
type view struct{ name, pre, post string }

// views returns the views of a database, each after those of the same
// database that it names.
func (t *tree) views(db database) ([]view, error) {
	parent := path.Join(db.dir, viewsDir)
	names, err := t.list(parent)
	if err != nil {
		return nil, err
	}
	var views []view
	for _, name := range names {
		v := view{name: Unescape(name)}
		if v.pre, err = t.optional(path.Join(parent, name, preFile)); err != nil {
			return nil, err
		}
		if v.post, err = t.optional(path.Join(parent, name, postFile)); err != nil {
			return nil, err
		}
		if st := firstCreate(v.post, v.pre); st.name != "" {
			v.name = st.name
		}
		views = append(views, v)
	}
	return inOrder(views), nil
}

// sortOut returns the views that were saved without what stands in for them
// by themselves: they did not work then. Trees of old do not tell.
func (t *tree) sortOut(db database, views []view) (working, broken []view) {
	knowing := t.has(path.Join(db.dir, routinesFile))
	for _, v := range views {
		if v.pre == "" && knowing {
			broken = append(broken, v)
		} else {
			working = append(working, v)
		}
	}
	return working, broken
}

// optional is text of a part that may be absent.
func (t *tree) optional(name string) (string, error) {
	text, err := t.text(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return text, err
}

// firstCreate returns the first statement of the first text that has one that
// creates something.
func firstCreate(texts ...string) statement {
	for _, text := range texts {
		s := splitter{delimiter: []byte(";")}
		for rest := []byte(text); len(rest) > 0; {
			n := s.end(rest)
			if n < 0 {
				break
			}
			if st := parse(rest[:n]); st.name != "" {
				return st
			}
			rest = rest[n+1:]
		}
	}
	return statement{}
}

// inOrder sorts views so that each comes after those it names. Placeholders
// do without, but trees of old have none from newer servers.
func inOrder(views []view) []view {
	at := make(map[string]int, len(views))
	for i, v := range views {
		at[v.name] = i
	}
	sorted := make([]view, 0, len(views))
	begun := make([]bool, len(views))
	var visit func(i int)
	visit = func(i int) {
		if begun[i] {
			return
		}
		begun[i] = true
		for s := (&tokens{[]byte(views[i].post)}); len(s.rest) > 0; {
			if t := s.next(); t.quote == '`' {
				if j, ok := at[t.text]; ok {
					visit(j)
				}
			}
		}
		sorted = append(sorted, views[i])
	}
	for i := range views {
		visit(i)
	}
	return sorted
}
