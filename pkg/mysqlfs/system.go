package mysqlfs

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
)

// scratch is the database that the backup's own tables of the server go to,
// for the server to take over what it has a place for.
const scratch = "tklbam_system_tables"

// A use says what is done with a table of database mysql that a backup has.
type use uint8

const (
	extra   use = iota // not the server's: taken over, made if need be
	keep               // as this server has it
	account            // users: see mergeUsers
	grant              // replaced along with the users
	static             // replaced, if the backup has any rows; the same in all versions
	add                // rows that this server lacks
	stored             // routines and events of databases saved without them
)

// systemTables are the tables that servers have in database mysql, of all
// versions and kinds. What describes the server's own state, or its help, is
// of no use on another one.
var systemTables = map[string]use{
	"user": account, "global_priv": account,
	"db": grant, "tables_priv": grant, "columns_priv": grant, "procs_priv": grant, "proxies_priv": grant,
	"roles_mapping": grant, "role_edges": grant, "default_roles": grant, "global_grants": grant,
	"time_zone": static, "time_zone_name": static, "time_zone_transition": static,
	"time_zone_transition_type": static, "time_zone_leap_second": static,
	"servers": add, "func": add, "plugin": add,
	"proc": stored, "event": stored,

	"general_log": keep, "slow_log": keep, "host": keep, "ndb_binlog_index": keep,
	"help_category": keep, "help_keyword": keep, "help_relation": keep, "help_topic": keep,
	"innodb_index_stats": keep, "innodb_table_stats": keep, "transaction_registry": keep,
	"innodb_ddl_log": keep, "innodb_dynamic_metadata": keep, "innodb_redo_log_backup_info": keep,
	"innodb_changed_page_bitmaps": keep, "column_stats": keep, "index_stats": keep, "table_stats": keep,
	"gtid_executed": keep, "gtid_slave_pos": keep, "slave_master_info": keep,
	"slave_relay_log_info": keep, "slave_worker_info": keep, "component": keep, "engine_cost": keep,
	"server_cost": keep, "password_history": keep, "spider_tables": keep, "inventory": keep,
	"replication_asynchronous_connection_failover":         keep,
	"replication_asynchronous_connection_failover_managed": keep,
	"replication_group_configuration_version":              keep,
	"replication_group_member_actions":                     keep,
	"wsrep_cluster":                                        keep,
	"wsrep_cluster_members":                                keep,
	"wsrep_streaming_log":                                  keep,
	"wsrep_allowlist":                                      keep,
	"firewall_users":                                       keep, "firewall_whitelist": keep,
	"audit_log_filter": keep, "audit_log_user": keep,
}

// useOf returns what is done with a table. Versions of servers number their
// stray tables by suffixes: gtid_slave_pos_innodb, spider_xa.
func useOf(table string) use {
	u, known := systemTables[strings.ToLower(table)]
	if !known && (strings.HasPrefix(table, "spider_") || strings.HasPrefix(table, "gtid_slave_pos")) {
		return keep
	}
	return u
}

// ownAccounts are users that servers need for themselves. They are this
// server's affair.
const ownAccounts = `'mariadb.sys','mysql.sys','mysql.session','mysql.infoschema'`

// merge brings what the backup's database mysql has into this server's. The
// tables as they were are made and filled in a scratch database; from there,
// statements take the columns that both sides have. No table of the server is
// dropped or altered. The users come last: from FLUSH PRIVILEGES on, they
// count.
func (s *script) merge(db database) error {
	if db.name != system {
		return nil
	}
	s.text(`DROP DATABASE IF EXISTS ` + scratch + `;
CREATE DATABASE ` + scratch + ` /*!50503 DEFAULT CHARACTER SET utf8mb4 */;
USE ` + scratch + ";\nSET SESSION group_concat_max_len=1000000;\n")
	have := map[use][]string{}
	err := s.tree.tables(db, func(t table) error { return s.mergeTable(db, t, have) })
	if err != nil {
		return err
	}
	if err := s.mergeObjects(have[stored]); err != nil {
		return err
	}
	s.mergeUsers(have[account], have[grant])
	s.text("USE mysql;\nDROP DATABASE " + scratch + ";\n")
	if err := s.routines(db); err != nil {
		return err
	}
	s.text("FLUSH PRIVILEGES;\n")
	return nil
}

// mergeTable fills a table of the scratch database, and deals with it unless
// it goes with others, in have.
func (s *script) mergeTable(db database, t table, have map[use][]string) error {
	s.report.begin(db.name, t.name)
	s.tables++
	u := useOf(t.name)
	// Without the file, the rows were not wanted: absence of users is not
	// meant by that.
	if !s.tree.has(path.Join(t.dir, rowsFile)) || u == keep {
		s.line("-- %s stays as this server has it", t.name)
		return nil
	}
	if u == static {
		return s.mergeStatic(t)
	}
	// The tablespace of a server's own tables is not for others.
	s.text(strings.ReplaceAll(t.init, "/*!50100 TABLESPACE `mysql` */", ""))
	// Their names alone make servers refuse locks beside them.
	if err := s.rows(t, quote(t.name), false); err != nil {
		return err
	}
	switch u {
	case extra:
		s.prepared(fmt.Sprintf(`IF(%s, 'DO 0', 'CREATE TABLE mysql.%s LIKE %[2]s')`, inSystem(t.name), quote(t.name)))
		s.replace(t.name, "TRUE")
	case add:
		s.copy(t.name, "INSERT IGNORE", "TRUE")
	default:
		have[u] = append(have[u], t.name)
	}
	return nil
}

// mergeStatic replaces the rows of a table.
func (s *script) mergeStatic(t table) error {
	info, err := s.tree.root.Lstat(path.Join(t.dir, rowsFile))
	if err != nil || info.Size() == 0 {
		return err
	}
	into := system + "." + quote(t.name)
	s.text("DELETE FROM " + into + ";\n")
	return s.rows(t, into, false)
}

// prepared writes what executes the statement that an expression gives.
func (s *script) prepared(expression string) {
	s.text("SET @statement = " + expression + ";\n" +
		"PREPARE statement FROM @statement;\nEXECUTE statement;\nDEALLOCATE PREPARE statement;\n")
}

// inSystem is a condition: this server has that table, and it is no view.
func inSystem(name string) string {
	return `EXISTS(SELECT * FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'mysql' AND TABLE_TYPE = 'BASE TABLE' AND TABLE_NAME = ` + literal(name) + `)`
}

// copy writes what copies the rows of a table that meet a condition, in the
// columns that both sides have.
func (s *script) copy(name, verb, condition string) {
	s.columns(name)
	s.prepared(fmt.Sprintf("IF(@columns IS NULL, 'DO 0', CONCAT(%s, @columns, ') SELECT ', @columns, %s))",
		literal(verb+" INTO mysql."+quote(name)+" ("), literal(" FROM "+quote(name)+" WHERE "+condition)))
}

// columns writes what sets @columns to the columns that both sides have of a
// table, or to NULL.
func (s *script) columns(name string) {
	s.text("SET @columns = (SELECT GROUP_CONCAT(CONCAT('`', a.COLUMN_NAME, '`') ORDER BY a.ORDINAL_POSITION)" + sharedColumns(name))
}

// sharedColumns ends a query for what is said of these columns.
func sharedColumns(name string) string {
	return `
  FROM information_schema.COLUMNS a JOIN information_schema.COLUMNS b ON a.COLUMN_NAME = b.COLUMN_NAME
  WHERE a.TABLE_SCHEMA = '` + scratch + `' AND a.TABLE_NAME = ` + literal(name) + `
  AND b.TABLE_SCHEMA = 'mysql' AND b.TABLE_NAME = ` + literal(name) + ` AND ` + inSystem(name) + ");\n"
}

// replace writes what makes the rows of a table those of the backup, as far as
// they meet a condition.
func (s *script) replace(name, condition string) {
	s.prepared(fmt.Sprintf("IF(%s, %s, 'DO 0')", inSystem(name),
		literal("DELETE FROM mysql."+quote(name)+" WHERE "+condition)))
	s.copy(name, "REPLACE", condition)
}

// mergeObjects takes over the rows for the routines and events of databases
// that were saved without them.
func (s *script) mergeObjects(tables []string) error {
	dbs, err := s.tree.databases()
	if err != nil {
		return err
	}
	for _, name := range tables {
		part := map[string]string{"proc": routinesFile, "event": eventsFile}[strings.ToLower(name)]
		var without []string
		for _, db := range dbs {
			asked := s.opts.EventRows && part == eventsFile
			if db.name != system && (asked || !s.tree.has(path.Join(db.dir, part))) {
				without = append(without, literal(db.name))
			}
		}
		if len(without) > 0 {
			s.mergeRows(name, "db IN ("+strings.Join(without, ",")+")")
		}
	}
	return nil
}

// mergeRows takes over rows one by one, each in a statement that a statement
// makes: servers let no other table into one that writes to these. What a
// value is made into goes for text, numbers and times alike.
func (s *script) mergeRows(name, condition string) {
	s.text("SET @values = (SELECT GROUP_CONCAT(CONCAT(" +
		literal(`IFNULL(CONCAT('x\'', HEX(CAST(`+"`") + ", a.COLUMN_NAME, " + literal("`"+` AS BINARY)), '\''), 'NULL')`) +
		") ORDER BY a.ORDINAL_POSITION)" + sharedColumns(name))
	s.columns(name)
	s.prepared("IF(@columns IS NULL, 'DO 0', CONCAT(" +
		literal("CREATE TABLE statements AS SELECT CONCAT('REPLACE INTO mysql."+name+" (") + ", @columns, " +
		literal(") VALUES (', CONCAT_WS(',', ") + ", @values, " +
		literal("), ')') AS statement FROM "+quote(name)+" WHERE "+condition) + "))")
	s.text(`CREATE TABLE IF NOT EXISTS statements (statement LONGTEXT);
DELIMITER ;;
CREATE PROCEDURE perform() BEGIN
DECLARE done BOOL DEFAULT FALSE;
DECLARE one LONGTEXT;
DECLARE every CURSOR FOR SELECT statement FROM statements;
DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE;
OPEN every;
FETCH every INTO one;
WHILE NOT done DO
SET @statement = one; PREPARE statement FROM @statement; EXECUTE statement; DEALLOCATE PREPARE statement;
FETCH every INTO one;
END WHILE;
CLOSE every;
END;;
DELIMITER ;
CALL perform();
DROP PROCEDURE perform;
DROP TABLE statements;
`)
}

// mergeUsers takes over users and their grants. Users that the backup lacks
// are gone afterwards, but for those that this server or its maintenance needs
// to go on. Users of a server that keeps them in a way that this one knows
// nothing of, being older, stay out.
func (s *script) mergeUsers(accounts, grants []string) {
	switch {
	case slices.Contains(accounts, "global_priv"): // user is a view there
		accounts = []string{"global_priv"}
		s.text("SET @have = (SELECT COUNT(*) FROM global_priv);\n")
	case len(accounts) > 0:
		s.text("SET @have = (SELECT COUNT(*) FROM user);\n")
		s.convertUsers()
		accounts = []string{"user", "global_priv"}
	default:
		return
	}
	s.keepRoot()
	usable := []string{"FALSE"}
	for _, name := range accounts {
		usable = append(usable, inBoth(name))
	}
	s.text("SET @have = IF(" + strings.Join(usable, " OR ") + ", @have, 0);\n")
	for _, name := range accounts {
		s.prepared(fmt.Sprintf("IF(@have > 0 AND %s, %s, 'DO 0')", inBoth(name),
			literal("DELETE FROM mysql."+name+" WHERE NOT ("+keptAccounts(name)+")")))
		s.copy(name, "REPLACE", "@have > 0 AND User NOT IN ("+ownAccounts+")")
	}
	slices.Sort(grants)
	for _, name := range grants {
		s.replace(name, "@have > 0 AND "+grantee(name)+" NOT IN ("+ownAccounts+")")
	}
}

// keepRoot takes the administrator out of the backup's users if this server
// lacks the method to tell who that is, rather than to lock everyone out.
func (s *script) keepRoot() {
	s.prepared("IF(" + inBoth("global_priv") + ", " + literal("DELETE FROM global_priv WHERE User = 'root' AND Host = 'localhost' AND NOT EXISTS("+
		"SELECT * FROM information_schema.PLUGINS WHERE PLUGIN_STATUS = 'ACTIVE' AND PLUGIN_NAME = JSON_VALUE(Priv, '$.plugin'))") + ", 'DO 0')")
}

// inBoth is a condition: the backup and this server have that table.
func inBoth(name string) string {
	return "(" + inSystem(name) + " AND EXISTS(SELECT * FROM information_schema.TABLES WHERE TABLE_SCHEMA = '" + scratch +
		"' AND TABLE_NAME = " + literal(name) + "))"
}

// keptAccounts is a condition on the users of this server: those that stay.
func keptAccounts(name string) string {
	return "User IN (" + ownAccounts + ") OR (User, Host) IN (('root','localhost'),('mysql','localhost'),('debian-sys-maint','localhost'))" +
		" AND NOT EXISTS(SELECT * FROM " + name + " old WHERE old.User = mysql." + name + ".User AND old.Host = mysql." + name + ".Host)"
}

// grantee returns the column of a table of grants that says whose they are.
func grantee(table string) string {
	if strings.ToLower(table) == "role_edges" {
		return "TO_USER"
	}
	return "User"
}

// privileges are the columns of table user that are one bit each of what
// MariaDB keeps since 10.4, from the lowest on.
var privileges = [...]string{
	"Select", "Insert", "Update", "Delete", "Create", "Drop", "Reload", "Shutdown", "Process", "File",
	"Grant", "References", "Index", "Alter", "Show_db", "Super", "Create_tmp_table", "Lock_tables",
	"Execute", "Repl_slave", "Repl_client", "Create_view", "Show_view", "Create_routine", "Alter_routine",
	"Create_user", "Event", "Trigger", "Create_tablespace", "Delete_history",
}

// convertUsers makes, on a server that keeps users in global_priv, that table
// of the backup's table user. Columns that the backup's is too old for have
// their value from before they were there: what is a privilege now was not
// kept from anyone with SUPER. Without a version in it, the server takes the
// entry for one of the time.
func (s *script) convertUsers() {
	var columns, bits []string
	for i, p := range privileges {
		columns = append(columns, p+"_priv ENUM('N','Y') DEFAULT NULL")
		old := "Super_priv"
		if p == "Super" {
			old = "'N'"
		}
		bits = append(bits, fmt.Sprintf("(IFNULL(%s_priv, %s) = 'Y') * %d", p, old, 1<<i))
	}
	columns = append(columns, "Password TEXT", "authentication_string TEXT", "plugin TEXT", "ssl_type TEXT",
		"ssl_cipher BLOB", "x509_issuer BLOB", "x509_subject BLOB", "max_questions INT", "max_updates INT",
		"max_connections INT", "max_user_connections INT", "max_statement_time DECIMAL(12,6)",
		"is_role TEXT", "default_role TEXT", "password_expired TEXT", "account_locked TEXT")
	global := inSystem("global_priv")
	for _, c := range columns {
		s.prepared("IF(" + global + ", " + literal("ALTER TABLE user ADD COLUMN IF NOT EXISTS "+c) + ", 'DO 0')")
	}
	s.prepared("IF(" + global + ", 'CREATE TABLE global_priv LIKE mysql.global_priv', 'DO 0')")
	s.prepared("IF(" + global + ", " + literal("INSERT INTO global_priv (Host, User, Priv) SELECT Host, User, JSON_COMPACT(JSON_OBJECT("+
		"'access', "+strings.Join(bits, " + ")+", "+userFields+")) FROM user") + ", 'DO 0')")
}

// userFields are the other entries in global_priv. Names of methods differ
// between MySQL and MariaDB; without a name, it is that of the password's
// length. An empty password and no string is what both call no password.
const userFields = `'plugin', CASE WHEN IFNULL(plugin, '') = 'auth_socket' THEN 'unix_socket' ` +
	`WHEN IFNULL(plugin, '') > '' THEN plugin ` +
	`WHEN LENGTH(Password) = 16 THEN 'mysql_old_password' ELSE 'mysql_native_password' END, ` +
	`'authentication_string', IF(IFNULL(plugin, '') > '' AND IFNULL(authentication_string, '') > '', authentication_string, IFNULL(Password, '')), ` +
	`'ssl_type', FIELD(IFNULL(ssl_type, ''), 'ANY', 'X509', 'SPECIFIED'), ` +
	`'ssl_cipher', IFNULL(ssl_cipher, ''), 'x509_issuer', IFNULL(x509_issuer, ''), 'x509_subject', IFNULL(x509_subject, ''), ` +
	`'max_questions', IFNULL(max_questions, 0), 'max_updates', IFNULL(max_updates, 0), ` +
	`'max_connections', IFNULL(max_connections, 0), 'max_user_connections', IFNULL(max_user_connections, 0), ` +
	`'max_statement_time', IFNULL(max_statement_time, 0), ` +
	`'password_last_changed', IF(IFNULL(password_expired, 'N') = 'Y', 0, UNIX_TIMESTAMP()), ` +
	`'account_locked', IFNULL(account_locked, 'N') = 'Y', ` +
	`'is_role', IFNULL(is_role, 'N') = 'Y', 'default_role', IFNULL(default_role, '')`

// literal returns text as a string of SQL.
func literal(text string) string {
	var b bytes.Buffer
	b.WriteByte('\'')
	for i := range len(text) {
		switch c := text[i]; c {
		case '\'', '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case 0:
			b.WriteString(`\0`)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}
