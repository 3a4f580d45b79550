package pgsqlfs

import (
	"context"
	"fmt"
	"strings"
)

// finish gives a database that is loaded what it has as a whole: owner,
// settings, privileges, comment. They stay with it when it is renamed. It is
// done from within the database, as pg_restore does it: the catalogues that
// all databases share keep the bytes of text in the encoding of the database
// it came from.
func (c *client) finish(ctx context.Context, toc *contents, fresh string) error {
	var b strings.Builder
	b.WriteString("BEGIN;\n")
	b.WriteString(strings.Join(toc.encoding, ""))
	if toc.owner != "" {
		fmt.Fprintf(&b, "ALTER DATABASE %s OWNER TO %s;\n", identifier(fresh), identifier(toc.owner))
	}
	for _, text := range toc.finish {
		renamed, err := ofDatabase(text, fresh)
		if err != nil {
			return err
		}
		b.WriteString(renamed)
	}
	b.WriteString("COMMIT;\n")
	return c.sql(ctx, fresh, b.String())
}

// ofDatabase returns statements about a database as ones about another. Each
// has the name once, after the word DATABASE.
func ofDatabase(text, name string) (string, error) {
	const start, before, at, after = 0, 1, 2, 3 // of a statement, of the name in it
	var b strings.Builder
	state := start
	for _, token := range sqlToken.FindAllString(text, -1) {
		switch {
		case token == ";" && (state == before || state == at):
			return "", fmt.Errorf("read what is about the database: %.100q", text)
		case token == ";":
			state = start
		case strings.TrimSpace(token) == "":
		case state == start:
			state = before
		case state == before && token == "DATABASE":
			state = at
		case state == at:
			token, state = identifier(name), after
		}
		b.WriteString(token)
	}
	if state != start {
		return "", fmt.Errorf("read what is about the database: %.100q", text)
	}
	return b.String(), nil
}
