package pgsqlfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Databases have a spare name while they are loaded, and after they were
// replaced: one of these and a hash of their own, which may be as long as a
// name can be.
const (
	loadPrefix = "tklbam-load-"
	oldPrefix  = "tklbam-old-"
	hashLen    = 16 // hex digits
)

func spareName(prefix, name string) string {
	sum := sha256.Sum256([]byte(name))
	return prefix + hex.EncodeToString(sum[:])[:hashLen]
}

func isSpare(name string) bool {
	for _, prefix := range []string{loadPrefix, oldPrefix} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && len(rest) == hashLen && strings.Trim(rest, "0123456789abcdef") == "" {
			return true
		}
	}
	return false
}

// replace gives the database fresh the name that it is to have, and the one of
// that name, if there is one, a spare name. It is one transaction: whatever
// happens there is one or the other.
func (c *client) replace(ctx context.Context, name, fresh string, exists bool) error {
	var b strings.Builder
	b.WriteString("BEGIN;\n")
	if exists {
		fmt.Fprintf(&b, "ALTER DATABASE %s RENAME TO %s;\n", identifier(name), identifier(spareName(oldPrefix, name)))
	}
	fmt.Fprintf(&b, "ALTER DATABASE %s RENAME TO %s;\nCOMMIT;\n", identifier(fresh), identifier(name))
	return c.alone(ctx, []string{name, fresh}, b.String())
}

// drop removes a database, if it is there, ending its sessions.
func (c *client) drop(ctx context.Context, name string) error {
	err := c.unsubscribe(ctx, name)
	if err == nil {
		err = c.alone(ctx, []string{name}, "DROP DATABASE IF EXISTS "+identifier(name)+";\n")
	}
	if err != nil {
		return fmt.Errorf("drop database %q: %w", name, err)
	}
	return nil
}

// subscribed is the version from which on there are subscriptions.
const subscribed = 10

// unsubscribe removes the subscriptions of a database, which can't be dropped
// with any. The servers that they are to are not told: what they keep for one
// may be for another of its name, in the database that took this one's place.
func (c *client) unsubscribe(ctx context.Context, database string) error {
	if majorVersion(c.Version) < subscribed {
		return nil
	}
	rows, err := c.query(ctx, neutral, "SELECT s.subname FROM pg_catalog.pg_subscription s\n"+
		"JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = "+literal(database)+";\n", 1)
	for _, row := range rows {
		name := identifier(row[0])
		err = errors.Join(err, c.sql(ctx, database, "ALTER SUBSCRIPTION "+name+" DISABLE;\n"+
			"ALTER SUBSCRIPTION "+name+" SET (slot_name = NONE);\nDROP SUBSCRIPTION "+name+";\n"))
	}
	return err
}

// attempts is how often sessions are ended. The server waits up to 5 seconds
// each time for them to be gone, and lets no new one in meanwhile: they are as
// often as an application manages to connect just before.
const attempts = 6

// alone runs statements that no other session may be in these databases for.
func (c *client) alone(ctx context.Context, databases []string, statements string) error {
	var names []string
	for _, name := range databases {
		names = append(names, literal(name))
	}
	end := "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity\n" +
		"WHERE datname IN (" + strings.Join(names, ", ") + ") AND pid <> pg_catalog.pg_backend_pid();\n"
	var err error
	for range attempts {
		err = c.sql(ctx, neutral, end+statements)
		if p, ok := errors.AsType[*programError](err); !ok || p.code != objectInUse {
			return err
		}
	}
	return err
}

// clean removes what loads left that were killed.
func (c *client) clean(ctx context.Context) error {
	rows, err := c.query(ctx, neutral, "SELECT datname FROM pg_catalog.pg_database WHERE datname LIKE 'tklbam-%';", 1)
	for _, row := range rows {
		if isSpare(row[0]) {
			err = errors.Join(err, c.drop(ctx, row[0]))
		}
	}
	return err
}

// Drop removes databases, those that a load created, say, and ends their
// sessions. One that is not there is no error.
func (m *Machine) Drop(ctx context.Context, databases []Database) []Failure {
	var failed []Failure
	for _, d := range databases {
		c, err := m.cluster(d.Cluster)
		if err == nil {
			err = errors.Join(c.clean(ctx), c.drop(ctx, d.Name))
		}
		if err != nil {
			failed = append(failed, Failure{d, err})
		}
	}
	return failed
}
