package pgsqlfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Globals are what a script of pg_dumpall says of the roles and tablespaces of
// a cluster.
type globals struct {
	script string   // all but what is in settings
	roles  []string // that it makes
	spaces []string // tablespaces that it makes

	// settings are statements about what a role has set in a database, by the
	// database. Scripts of servers before PostgreSQL 11 have them; they can
	// be run when the database is there.
	settings map[string][]string
}

// maxGlobals bounds a script in bytes.
const maxGlobals = 64 << 20

// readGlobals reads a script.
func readGlobals(root *os.Root, name string) (*globals, error) {
	f, err := open(root, name)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	err = withoutKey(&text, io.LimitReader(f, maxGlobals+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if text.Len() > maxGlobals {
		return nil, fmt.Errorf("read %q: it has more than %d bytes", name, maxGlobals)
	}
	return parseGlobals(text.String()), nil
}

// sqlToken is a piece of a script as pg_dump writes it: a comment, a string, a
// quoted name, a word, or else one character.
var sqlToken = regexp.MustCompile(`(?s)--[^\n]*|E'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|[^\s;'"]+|.`)

func parseGlobals(text string) *globals {
	g := &globals{settings: make(map[string][]string)}
	var script strings.Builder
	var words []string // of the statement
	start, end := 0, 0 // of the statement
	for _, token := range sqlToken.FindAllString(text, -1) {
		end += len(token)
		switch {
		case strings.TrimSpace(token) == "", strings.HasPrefix(token, "--"):
			continue
		case token != ";":
			words = append(words, token)
			continue
		}
		if statement := text[start:end]; !g.takes(statement, words) {
			script.WriteString(statement)
		}
		start, words = end, words[:0]
	}
	script.WriteString(text[start:])
	g.script = script.String()
	return g
}

// takes takes note of a statement, and says whether it is out of the script.
func (g *globals) takes(statement string, words []string) bool {
	if len(words) < 3 {
		return false
	}
	name := unquoted(words[2])
	switch head := words[0] + " " + words[1]; {
	case head == "CREATE ROLE":
		g.roles = append(g.roles, name)
	case head == "CREATE TABLESPACE":
		g.spaces = append(g.spaces, name)
	case head == "ALTER ROLE" && len(words) > 5 && words[3] == "IN" && words[4] == "DATABASE":
		database := unquoted(words[5])
		g.settings[database] = append(g.settings[database], statement)
		return true
	}
	return false
}

// unquoted returns the name that is written in a statement.
func unquoted(token string) string {
	name, isQuoted := strings.CutPrefix(token, `"`)
	if !isQuoted {
		return name
	}
	return strings.ReplaceAll(strings.TrimSuffix(name, `"`), `""`, `"`)
}

// loadGlobals makes the roles and tablespaces of a script. Those that exist
// get the settings and passwords of the script; their existing is no error.
// It goes on after an error, and returns them together.
func (c *client) loadGlobals(ctx context.Context, g *globals) error {
	return c.psql(ctx, neutral, strings.NewReader(g.script), nil, nil, duplicateObject)
}

// resetGlobals makes the roles and tablespaces of a script what it says, and
// takes from them what it does not; and from other roles what they may do to
// parameters, which else keeps them from being dropped. It is one transaction,
// in which a statement that fails stops no other: those fail that make what
// exists.
func (c *client) resetGlobals(ctx context.Context, g *globals, others []string) error {
	const inTransaction = "25001" // no tablespace can be made there
	var b strings.Builder
	b.WriteString("BEGIN;\n")
	b.WriteString(strings.ReplaceAll(plainRoles, "NAMES", literals(g.roles)))
	b.WriteString(strings.ReplaceAll(plainSpaces, "NAMES", literals(g.spaces)))
	if majorVersion(c.Version) >= 15 { // privileges on parameters came with it
		b.WriteString(strings.ReplaceAll(plainParameters, "NAMES", literals(slices.Concat(g.roles, others))))
	}
	b.WriteString(g.script)
	b.WriteString("\nCOMMIT;\n")
	args := []string{"--set=ON_ERROR_ROLLBACK=on"}
	return c.psql(ctx, neutral, strings.NewReader(b.String()), nil, args, duplicateObject, inTransaction)
}

// literals returns a list for IN, which is never empty.
func literals(names []string) string {
	quoted := []string{"NULL"}
	for _, name := range names {
		quoted = append(quoted, literal(name))
	}
	return "(" + strings.Join(quoted, ", ") + ")"
}

// plainRoles takes from roles what a script has for those only that have it;
// their other attributes it sets in any case. A role that is valid until some
// date can't be made to have none: it gets one that does not come.
const plainRoles = `
SELECT pg_catalog.format('ALTER ROLE %I PASSWORD NULL', rolname) FROM pg_catalog.pg_authid
WHERE rolname IN NAMES AND rolpassword IS NOT NULL
UNION ALL SELECT pg_catalog.format('ALTER ROLE %I CONNECTION LIMIT -1', rolname) FROM pg_catalog.pg_authid
WHERE rolname IN NAMES AND rolconnlimit <> -1
UNION ALL SELECT pg_catalog.format('ALTER ROLE %I VALID UNTIL ''infinity''', rolname) FROM pg_catalog.pg_authid
WHERE rolname IN NAMES AND rolvaliduntil IS NOT NULL
UNION ALL SELECT pg_catalog.format('ALTER ROLE %I RESET ALL', rolname) FROM pg_catalog.pg_authid
WHERE rolname IN NAMES AND oid IN (SELECT setrole FROM pg_catalog.pg_db_role_setting WHERE setdatabase = 0)
UNION ALL SELECT pg_catalog.format('COMMENT ON ROLE %I IS NULL', rolname) FROM pg_catalog.pg_authid
WHERE rolname IN NAMES AND pg_catalog.shobj_description(oid, 'pg_authid') IS NOT NULL
UNION ALL SELECT pg_catalog.format('REVOKE %I FROM %I', r.rolname, m.rolname) || coalesce(pg_catalog.format(' GRANTED BY %I', g.rolname), '') || ' CASCADE'
FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_authid r ON r.oid = a.roleid
JOIN pg_catalog.pg_authid m ON m.oid = a.member LEFT JOIN pg_catalog.pg_authid g ON g.oid = a.grantor
WHERE m.rolname IN NAMES AND (r.rolname IN NAMES OR r.rolname ~ '^pg_')
\gexec
`

// plainSpaces takes options, comments and privileges from tablespaces.
const plainSpaces = `
SELECT pg_catalog.format('ALTER TABLESPACE %I RESET (%I)', spcname, pg_catalog.split_part(pg_catalog.unnest(spcoptions), '=', 1)) FROM pg_catalog.pg_tablespace
WHERE spcname IN NAMES
UNION ALL SELECT pg_catalog.format('COMMENT ON TABLESPACE %I IS NULL', spcname) FROM pg_catalog.pg_tablespace
WHERE spcname IN NAMES
UNION ALL SELECT pg_catalog.format('REVOKE ALL ON TABLESPACE %I FROM ', s.spcname) || coalesce(pg_catalog.quote_ident(r.rolname), 'PUBLIC') || ' CASCADE'
FROM pg_catalog.pg_tablespace s CROSS JOIN LATERAL pg_catalog.aclexplode(s.spcacl) a LEFT JOIN pg_catalog.pg_authid r ON r.oid = a.grantee
WHERE s.spcname IN NAMES AND a.grantee <> s.spcowner
\gexec
SELECT pg_catalog.format('GRANT ALL ON TABLESPACE %I TO %I', s.spcname, r.rolname)
FROM pg_catalog.pg_tablespace s JOIN pg_catalog.pg_authid r ON r.oid = s.spcowner
WHERE s.spcname IN NAMES AND s.spcacl IS NOT NULL
\gexec
`

// plainParameters takes privileges on parameters from roles, but not from the
// one that every parameter belongs to, which is the cluster's first.
const plainParameters = `
SELECT pg_catalog.format('REVOKE ALL ON PARAMETER %s FROM %I CASCADE', p.parname, r.rolname)
FROM pg_catalog.pg_parameter_acl p CROSS JOIN LATERAL pg_catalog.aclexplode(p.paracl) a JOIN pg_catalog.pg_authid r ON r.oid = a.grantee
WHERE r.rolname IN NAMES AND r.oid <> 10
\gexec
`
