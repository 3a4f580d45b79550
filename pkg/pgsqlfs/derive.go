package pgsqlfs

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// prelude starts a session as the archive's own statements have it. Event
// triggers are there by then, and are not to see or to refuse what is part of
// loading.
func (c *contents) prelude() string {
	return strings.Join(c.encoding, "") +
		"SET session_replication_role = replica;\nSELECT pg_catalog.set_config('search_path', '', false) \\g /dev/null\n"
}

// derive makes what follows from the rows. None of it is worth to be without
// the rows, so what goes wrong is told and does not stop the load: materialized
// views that their owner may not fill, say, or functions that rely on a search
// path.
func (l *loader) derive(ctx context.Context, c *contents, i item, fresh string) {
	if err := l.fill(ctx, c, fresh); err != nil {
		l.fail(i.Name, fmt.Errorf("it is loaded, but not all of its materialized views are filled: %w", err))
	}
	if err := l.analyze(ctx, fresh); err != nil {
		l.Notes = append(l.Notes, fmt.Sprintf("database %s is loaded, but not all of it is analyzed: %v", i.Database, err))
	}
}

// fill fills the materialized views, each after those it reads.
func (l *loader) fill(ctx context.Context, c *contents, fresh string) error {
	if len(c.fills) == 0 {
		return nil
	}
	return l.psql(ctx, fresh, strings.NewReader(c.prelude()+strings.Join(c.fills, "")), nil, nil)
}

// analyze gathers the statistics that queries are planned by, which archives
// do not have and which partitioned tables would never get: a table at a time,
// so that one that it fails for stops no other.
func (l *loader) analyze(ctx context.Context, fresh string) error {
	const each = `
SELECT pg_catalog.format('ANALYZE %I.%I;', n.nspname, c.relname)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE (c.relkind = 'p' OR c.relkind IN ('r', 'm') AND pg_catalog.pg_relation_size(c.oid) > 0)
	AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY c.oid
\gexec
`
	return l.psql(ctx, fresh, strings.NewReader(each), nil, nil)
}

// addKeys adds foreign keys where some tables have no rows. One that the rows
// there are do not meet is not checked for those.
func (l *loader) addKeys(ctx context.Context, c *contents, fresh string) error {
	const violated = "23503"
	start := c.prelude()
	for _, k := range c.keys {
		err := l.sql(ctx, fresh, start+k.add+k.comment)
		if p, ok := errors.AsType[*programError](err); ok && p.code == violated {
			add := strings.TrimRight(k.add, ";\n ") + " NOT VALID;\n"
			err = l.sql(ctx, fresh, start+add)
		}
		if err != nil {
			return fmt.Errorf("add a foreign key: %w", err)
		}
	}
	return nil
}
