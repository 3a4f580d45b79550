// Package limits says what a backup or a restore covers: limits on paths and
// on databases, each with a sign.
//
// A limit is one of
//
//	[-]/path
//	[-]mysql:database[/table]
//	[-]pgsql:database[/table]
//
// where a minus sign excludes and its absence includes. The overrides file,
// the arguments of a backup, the --limits of a restore and a profile's
// dirindex.conf are all lists of them.
package limits

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"tklbam/pkg/words"
)

// A Kind says what a limit is about.
type Kind uint8

// The kinds of limits.
const (
	Path Kind = iota + 1
	MySQL
	PgSQL
)

// String returns the prefix of database limits, and "path".
func (k Kind) String() string {
	switch k {
	case Path:
		return "path"
	case MySQL:
		return "mysql"
	case PgSQL:
		return "pgsql"
	}
	return "unknown kind"
}

// A Limit includes or excludes one path, with what is below it, or one
// database or table. Path is set for path limits, Database and perhaps Table
// for the others. Strings hold bytes in no particular encoding.
type Limit struct {
	Kind     Kind
	Exclude  bool
	Path     string // absolute and clean; its components may be glob patterns
	Database string
	Table    string
}

// maxLength bounds a limit, and a line of a file of them, in bytes: many times
// the longest path that the system takes.
const maxLength = 64 << 10

// Parse reads one limit. Nothing in it is a comment, a quote or white space to
// strip. The path is cleaned: "/a//b/../c/" is "/a/c".
func Parse(s string) (Limit, error) {
	if len(s) > maxLength {
		return Limit{}, fmt.Errorf("limit %q…: it is longer than %d bytes", s[:100], maxLength)
	}
	l, err := parse(s)
	if err != nil {
		return Limit{}, fmt.Errorf("limit %q: %w", s, err)
	}
	return l, nil
}

func parse(s string) (Limit, error) {
	if strings.ContainsRune(s, 0) {
		return Limit{}, errors.New("it contains a zero byte")
	}
	s, exclude := strings.CutPrefix(s, "-")
	if strings.HasPrefix(s, "/") {
		return Limit{Kind: Path, Exclude: exclude, Path: path.Clean(s)}, nil
	}
	for _, kind := range []Kind{MySQL, PgSQL} {
		if name, ok := strings.CutPrefix(s, kind.String()+":"); ok {
			l, err := parseDatabase(name)
			l.Kind, l.Exclude = kind, exclude
			return l, err
		}
	}
	return Limit{}, errors.New("it is not an absolute path, mysql:database[/table] or pgsql:database[/table], with or without a minus sign")
}

// parseDatabase cuts at the first slash: what follows is a table's name, even
// if it has slashes.
func parseDatabase(name string) (Limit, error) {
	database, table, slash := strings.Cut(name, "/")
	switch {
	case database == "":
		return Limit{}, errors.New("the database has no name")
	case slash && table == "":
		return Limit{}, errors.New("the table has no name")
	}
	return Limit{Database: database, Table: table}, nil
}

// String returns the limit in the form that Parse reads.
func (l Limit) String() string {
	var b strings.Builder
	if l.Exclude {
		b.WriteByte('-')
	}
	if l.Kind == Path {
		b.WriteString(l.Path)
		return b.String()
	}
	b.WriteString(l.Kind.String() + ":" + l.Database)
	if l.Table != "" {
		b.WriteString("/" + l.Table)
	}
	return b.String()
}

// A List is limits in the order they were given: where two are about the same
// thing, the later one counts. Lists are joined by append.
type List []Limit

// Strings returns the limits in the form that Parse reads.
func (l List) Strings() []string {
	s := make([]string, len(l))
	for i := range l {
		s[i] = l[i].String()
	}
	return s
}

// ParseAll reads limits that are apart already, such as arguments.
func ParseAll(args []string) (List, error) {
	list := make(List, 0, len(args))
	for _, arg := range args {
		l, err := Parse(arg)
		if err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, nil
}

// ParseWords reads limits from one argument, apart by white space and quoted
// as for a shell: quotes and backslashes keep white space within a limit.
// Nothing is expanded and "#" starts no comment.
func ParseWords(s string) (List, error) {
	list, err := words.Split(s)
	if err != nil {
		return nil, fmt.Errorf("limits %q: %w", s, err)
	}
	return ParseAll(list)
}

// Read reads a file of limits, one a line. "#" starts a comment anywhere in a
// line; white space around a limit is stripped, within it is kept. Errors name
// the line by its number.
func Read(r io.Reader) (List, error) {
	return read(r, Parse)
}

// ReadPaths is Read for a file that may hold path limits only, as a profile's
// dirindex.conf.
func ReadPaths(r io.Reader) (List, error) {
	return read(r, func(s string) (Limit, error) {
		l, err := Parse(s)
		if err == nil && l.Kind != Path {
			return Limit{}, fmt.Errorf("limit %q: only paths have a place here", s)
		}
		return l, err
	})
}

func read(r io.Reader, parse func(string) (Limit, error)) (List, error) {
	var list List
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLength)
	line := 1
	for ; scanner.Scan(); line++ {
		text, _, _ := strings.Cut(scanner.Text(), "#")
		text = strings.Trim(text, " \t\r\n\v\f")
		if text == "" {
			continue
		}
		l, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		list = append(list, l)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", line, err)
	}
	return list, nil
}
