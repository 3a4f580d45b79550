package mysqlfs

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Rows of tables with generated columns come with the names of the others.
// Trees of old have those rows without the names.

// stated returns the list of columns, in parentheses, for rows that have no
// value for generated columns, though the tree does not say so; "" if rows
// have a value for every column.
func (t *tree) stated(tab table) (string, error) {
	all, stored := definedColumns(tab.init)
	if len(all) == len(stored) {
		return "", nil
	}
	f, err := t.open(path.Join(tab.dir, rowsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close() // read only
	n, err := countValues(bufio.NewReaderSize(f, rowsBuffer))
	if err != nil || n != len(stored) {
		return "", err
	}
	for i, name := range stored {
		stored[i] = quote(name)
	}
	return "(" + strings.Join(stored, ", ") + ")", nil
}

// definedColumns returns the columns of a CREATE TABLE, and those of them that
// are not generated.
func definedColumns(create string) (all, stored []string) {
	s := &tokens{[]byte(create)}
	for t := s.next(); t.text != "" && !t.is("("); {
		t = s.next()
	}
	for more := true; more; {
		first := s.next()
		generated := false
		generated, more = definition(s)
		if first.quote != '`' {
			continue // a key or a constraint
		}
		all = append(all, first.text)
		if !generated {
			stored = append(stored, first.text)
		}
	}
	return all, stored
}

// definition reads to the end of a definition within CREATE TABLE. It reports
// whether that is of a generated column, and whether another one follows.
func definition(s *tokens) (generated, more bool) {
	for depth := 0; len(s.rest) > 0; {
		switch t := s.next(); {
		case t.is("("):
			depth++
		case t.is(")") && depth == 0:
			return generated, false
		case t.is(")"):
			depth--
		case t.is(",") && depth == 0:
			return generated, true
		case t.is("AS") && depth == 0:
			generated = true
		}
	}
	return generated, false
}

// countValues counts the values of the first row, without holding any. An
// empty file has none.
func countValues(r io.ByteReader) (int, error) {
	values, quoted := 1, false
	for read := 0; ; read++ {
		c, err := r.ReadByte()
		switch {
		case err == io.EOF && read == 0:
			return 0, nil
		case err == io.EOF || c == '\n' && !quoted:
			return values, nil
		case err != nil:
			return 0, err
		case c == '\\' && quoted:
			if _, err := r.ReadByte(); err != nil {
				return 0, ignoreEOF(err)
			}
		case c == '\'':
			quoted = !quoted
		case c == ',' && !quoted:
			values++
		}
	}
}
