package mysqlfs

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// successors are the collations that stand for those of MySQL on MariaDB from
// 10.10 on. Newer versions of MariaDB take the names themselves, for just
// these.
var successors = map[string]string{
	"utf8mb4_0900_ai_ci": "utf8mb4_uca1400_nopad_ai_ci",
	"utf8mb4_0900_as_ci": "utf8mb4_uca1400_nopad_as_ci",
	"utf8mb4_0900_as_cs": "utf8mb4_uca1400_nopad_as_cs",
	"utf8mb4_0900_bin":   "utf8mb4_nopad_bin",
}

// A renaming has the texts of a tree name collations that the server has.
type renaming struct {
	known   map[string]bool // to the server; nil for any
	renamed map[string]bool
}

// apply returns the text with the server's names.
func (r *renaming) apply(text string) string {
	if r == nil || !strings.Contains(text, "_0900_") {
		return text
	}
	for from, to := range successors {
		if !r.known[from] && r.known[to] && strings.Contains(text, from) {
			text = strings.ReplaceAll(text, from, to)
			r.renamed[from] = true
		}
	}
	return text
}

// unknown returns the first collation in a statement that the server lacks,
// or "".
func (r *renaming) unknown(statement string) string {
	if r == nil || !strings.Contains(strings.ToUpper(statement), "COLLATE") {
		return ""
	}
	for s := (&tokens{[]byte(statement)}); len(s.rest) > 0; {
		if !s.next().is("COLLATE") {
			continue
		}
		s.accept("=")
		if name := strings.ToLower(s.next().text); !r.knows(name) {
			return name
		}
	}
	return ""
}

// knows reports whether the server has a collation, be it under the older or
// the newer name of the character set.
func (r *renaming) knows(name string) bool {
	if of, ok := strings.CutPrefix(name, "utf8_"); ok && r.known["utf8mb3_"+of] {
		return true
	}
	of, ok := strings.CutPrefix(name, "utf8mb3_")
	return r.known[name] || ok && r.known["utf8_"+of]
}

// notes says what was renamed.
func (r *renaming) notes() []string {
	var notes []string
	for from := range r.renamed {
		notes = append(notes, fmt.Sprintf("collation %s, which this server lacks, is restored as %s, its successor", from, successors[from]))
	}
	slices.Sort(notes)
	return notes
}

// collations asks the server for those that it has.
func (l *loader) collations() error {
	if l.opts.Simulate {
		return nil
	}
	// MariaDB lists those that go with several character sets without one.
	rows, err := l.server.query(l.ctx, "SELECT COLLATION_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"+
		" UNION SELECT CONCAT(CHARACTER_SET_NAME, '_', COLLATION_NAME) FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY")
	if err != nil {
		return err
	}
	r := &renaming{known: map[string]bool{}, renamed: map[string]bool{}}
	for _, row := range rows {
		r.known[row[0]] = true
	}
	l.tree.names = r
	return nil
}

// restorable returns the databases without those that need a collation that
// the server lacks, which is told once for each rather than for every
// statement that follows.
func (l *loader) restorable(dbs []database) ([]database, error) {
	var kept []database
	for _, db := range dbs {
		name, err := l.tree.lacks(db)
		if err != nil {
			return nil, err
		}
		if name == "" {
			kept = append(kept, db)
			continue
		}
		l.Failed = append(l.Failed, fmt.Sprintf("database %s is not restored: the server lacks the collation %s", quote(db.name), name))
	}
	return kept, nil
}

// lacks returns a collation that a database needs and the server lacks, or "".
func (t *tree) lacks(db database) (string, error) {
	if db.name == system { // only what there is a place for is restored
		return "", nil
	}
	if name := t.names.unknown(db.init); name != "" {
		return name, nil
	}
	parent := path.Join(db.dir, tablesDir)
	dirs, err := t.list(parent)
	for _, dir := range dirs {
		text, err := t.text(path.Join(parent, dir, initFile))
		if err != nil {
			return "", err
		}
		if name := t.names.unknown(text); name != "" {
			return name, nil
		}
	}
	return "", err
}
