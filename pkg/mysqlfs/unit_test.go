package mysqlfs

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func TestEscape(t *testing.T) {
	for name, want := range map[string]string{
		"wp_posts": "wp_posts", "Foo Bar": "Foo Bar", "a/b": "a%2fb", ".": "%2e", "..": "%2e%2e", ".a": ".a", "...": "...",
		"100%": "100%", "%zz": "%zz", "%41": "%2541", "a\x00": "a%00", "жук": "жук",
	} {
		if got := Escape(name); got != want || Unescape(got) != name {
			t.Errorf("Escape(%q) = %q, want %q; back %q", name, got, want, Unescape(got))
		}
	}
	if got := escapeCase("Aé%"); got != "%41%c3%a9%25" || Unescape(got) != "Aé%" {
		t.Errorf("escapeCase: %q", got)
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"a", "%41", "%%41", "../x", "%2", "%", "%25", "%4%41"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		file := Escape(s)
		if Unescape(file) != s {
			t.Errorf("%q is %q is %q", s, file, Unescape(file))
		}
		if strings.ContainsAny(file, "/\x00") || file == "." || file == ".." {
			t.Errorf("%q is no file name", file)
		}
	})
}

func TestParse(t *testing.T) {
	for text, want := range map[string]statement{
		"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a``b` /*!40100 DEFAULT */":                                                           {kind: kindDatabase, name: "a`b"},
		"CREATE TABLE `t` (\n `DATABASE` int)":                                                                                          {kind: kindTable, name: "t"},
		"CREATE TABLE IF NOT EXISTS `general_log` (a int)":                                                                              {kind: kindTable, name: "general_log"},
		"/*!50001 CREATE TABLE `v` (\n `a` tinyint) ENGINE=MyISAM */":                                                                   {kind: kindTable, name: "v", placeholder: true},
		"/*!50001 CREATE VIEW `v` AS SELECT\n 1 AS `a`*/":                                                                               {kind: kindView, name: "v", placeholder: true},
		"/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`VIEW`@`x` SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select 1 */": {kind: kindView, name: "v"},
		"/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER `db`.`Tr` BEFORE INSERT ON t FOR EACH ROW x */":                  {kind: kindTrigger, name: "Tr"},
		"/*!50003 CREATE*/ /*!50003 trigger Tr before insert on t for each row x */":                                                    {kind: kindTrigger, name: "Tr"},
		"CREATE DEFINER=EVENT@VIEW PROCEDURE `p`()\nx":                                                                                  {kind: kindProcedure, name: "p"},
		"CREATE DEFINER=CURRENT_ROLE AGGREGATE FUNCTION IF NOT EXISTS f(a int) x":                                                       {kind: kindFunction, name: "f"},
		`CREATE DEFINER="root"@"localhost" PACKAGE BODY "pk" as x`:                                                                      {kind: kindBody, name: "pk"},
		`CREATE PACKAGE "pk" as x`:                                                                                                      {kind: kindPackage, name: "pk"},
		"/*!50106 CREATE*/ /*!50117 DEFINER=`a`@`b`*/ /*!50106 EVENT `e` ON SCHEDULE x */":                                              {kind: kindEvent, name: "e"},
		"CREATE SEQUENCE `s` start with 1":                                                                                              {kind: kindSequence, name: "s"},
		"DO SETVAL(`s`, 5, 0)":                                                                                                          {kind: kindSetval, name: "s"},
		"SELECT SETVAL(`s`, 5, 0)":                                                                                                      {kind: kindSetval, name: "s"},
		"USE `a`":                                                                                                                       {kind: kindUse, name: "a"},
		"/*!40101 SET NAMES utf8 */":                                                                                                    {kind: kindSet},
		"LOCK TABLES `t` WRITE":                                                                                                         {},
		"CREATE":                                                                                                                        {},
		"CREATE TABLE":                                                                                                                  {},
		"CREATE TABLE 'x'":                                                                                                              {},
	} {
		got := parse([]byte(text))
		got.text = nil
		if got.kind != want.kind || got.name != want.name || got.placeholder != want.placeholder {
			t.Errorf("%s:\n%+v, want %+v", text, got, want)
		}
	}
}

// tree reads the files of a directory.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		m[strings.TrimPrefix(path, dir+"/")] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const quirks = `/*M!999999\- enable the sandbox mode */ 
-- MySQL dump; with a statement;
/*!50503 SET NAMES utf8mb4 */;
CREATE DATABASE /*!32312 IF NOT EXISTS*/ ` + "`d` /*!40100 DEFAULT CHARACTER SET utf8mb4 */ /*!80016 DEFAULT ENCRYPTION='N' */" + `;
USE ` + "`d`" + `;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE ` + "`t` (\n  `a;` int COMMENT 'x;\\';', -- ;\n  `b` varchar(9) GENERATED ALWAYS AS (concat(`a;`,_utf8mb4';')) STORED\n)" + `;
INSERT INTO ` + "`t` (`a;`, `VALUES`)" + ` VALUES (1,');\n'),(2,'x');
INSERT  IGNORE INTO ` + "`t` (`a;`, `VALUES`)" + ` VALUES
(3,'''),('),
(4,NULL);
/*!50003 SET sql_mode              = 'NO_BACKSLASH_ESCAPES' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=` + "`a`@`b`*/ /*!50003 TRIGGER `tr` BEFORE INSERT ON `t`" + ` FOR EACH ROW BEGIN
-- it's; a comment ;;
/* and ;;
   another */
SET @x = '\';
DELIMITER x
# ;; more
END */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
-- Dumping routines for database 'd'
LOCK TABLES x; UNLOCK TABLES;
-- Dump completed`

func TestFromSQLQuirks(t *testing.T) {
	for name, r := range map[string]io.Reader{
		"at once": strings.NewReader(quirks), "byte by byte": iotest.OneByteReader(strings.NewReader(quirks)),
	} {
		dir := t.TempDir()
		if _, err := FromSQL(dir, r, nil, nil); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := files(t, dir)
		for file, want := range map[string]string{
			"d/init":             "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `d` /*!40100 DEFAULT CHARACTER SET utf8mb4 */ /*!80016 DEFAULT ENCRYPTION='N' */;\n",
			"d/tables/t/rows":    "1,');\\n'),(2,'x'\n3,'''),('\n4,NULL\n",
			"d/tables/t/columns": "(`a;`, `VALUES`)\n",
			"d/routines":         "",
		} {
			if s, ok := got[file]; !ok || s != want {
				t.Errorf("%s: %s: %q, want %q", name, file, s, want)
			}
		}
		trigger := got["d/tables/t/triggers"]
		if !strings.HasPrefix(trigger, "/*!50003 SET character_set_client = utf8mb4 */ ;;\n/*!50003 SET sql_mode = 'NO_BACKSLASH_ESCAPES' */ ;;\n/*!50003 CREATE*/") ||
			!strings.HasSuffix(trigger, "DELIMITER x\n# ;; more\nEND */;;\n\n") {
			t.Errorf("%s: triggers: %q", name, trigger)
		}
		if len(got) != 6 {
			t.Errorf("%s: %d files", name, len(got))
		}
	}
}

func TestFromSQLDamage(t *testing.T) {
	for text, want := range map[string]string{
		"CREATE DATABASE `d`":      "middle",
		"CREATE DATABASE `d` /* ;": "middle",
		"CREATE DATABASE `d`;\nUSE `d`;\nCREATE TABLE `t` (a int);\nINSERT INTO `t` VALUES (1":     "line",
		"INSERT INTO `t` VALUES (1) ON DUPLICATE KEY;\n":                                           "line",
		"INSERT INTO `t` SELECT 1;\n":                                                              "forms",
		"INSERT INTO `t` VALUES\n(1),\n":                                                           "middle",
		"CREATE DATABASE `d`;\nUSE `d`;\nCREATE TABLE `t` (a int);\nINSERT INTO `u` VALUES (1);\n": "rows of table",
	} {
		if _, err := FromSQL(t.TempDir(), strings.NewReader(text), nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	cause := errors.New("cause")
	if _, err := FromSQL(t.TempDir(), iotest.ErrReader(cause), nil, nil); !errors.Is(err, cause) {
		t.Errorf("the reader's error: %v", err)
	}
}

// TestLongRows has rows whose ends lie everywhere about the end of a buffer.
func TestLongRows(t *testing.T) {
	const head = "INSERT INTO `t` VALUES ("
	for n := lineBuffer - len(head) - 6; n < lineBuffer-len(head)+6; n++ {
		for _, length := range []int{n, n + lineBuffer} {
			value := strings.Repeat("x", length)
			dir := t.TempDir()
			dump := "CREATE DATABASE `d`;\nUSE `d`;\nCREATE TABLE `t` (a int);\n" + head + value + ");\n" + head + "2);\n"
			if _, err := FromSQL(dir, strings.NewReader(dump), nil, nil); err != nil {
				t.Fatalf("%d: %v", length, err)
			}
			if got := files(t, dir)["d/tables/t/rows"]; got != value+"\n2\n" {
				t.Fatalf("%d: %d bytes", length, len(got))
			}
		}
	}
}

func TestInsertRows(t *testing.T) {
	long := strings.Repeat("y", 3000)
	for _, test := range []struct {
		rows, want string
		limit      int
	}{
		{"", "", 100},
		{"1\n2\n3\n", "P\n(1),\n(2),\n(3);\n", 100},
		{"1\n2\n3", "P(1);\nP(2);\nP(3);\n", 0},
		{"1\n2\n3\n", "P\n(1),\n(2);\nP\n(3);\n", 12},
		{"1\n" + long + "\n2\n", "P\n(1);\nP\n(" + long + ");\nP\n(2);\n", 100},
		{long, "P\n(" + long + ");\n", 100},
		{"\n\n1\n", "P\n(1);\n", 100},
	} {
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		n, err := insertRows(w, strings.NewReader(test.rows), "P", test.limit)
		w.Flush()
		if err != nil || out.String() != test.want || n != strings.Count(test.want, "P") {
			t.Errorf("%.20q with %d: %.60q, %d statements, %v", test.rows, test.limit, out.String(), n, err)
		}
	}
}

// TestInsertLimit has no statement of several rows longer than it may be, and
// every row once.
func TestInsertLimit(t *testing.T) {
	var rows strings.Builder
	for i := range 3000 {
		rows.WriteString(strings.Repeat("z", i*7%4096) + "e\n")
	}
	rows.WriteString(strings.Repeat("z", 3<<20) + "e\n1e\n")
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if _, err := insertRows(w, strings.NewReader(rows.String()), "INSERT INTO `t` VALUES ", MaxInsert); err != nil {
		t.Fatal(err)
	}
	w.Flush()
	for s := range strings.SplitAfterSeq(out.String(), ";\n") {
		if len(s) > MaxInsert+1 && strings.Contains(s, ",\n") {
			t.Errorf("a statement has %d bytes", len(s))
		}
	}
	if n := strings.Count(out.String(), "e)"); n != 3002 {
		t.Errorf("%d rows", n)
	}
}

// TestViewsInOrder has views in the order of their needs, without placeholders.
func TestViewsInOrder(t *testing.T) {
	var names []string
	for _, v := range inOrder([]view{{"a", "", "select `b`, `z`"}, {"b", "", "select `c`.`a`"}, {"c", "", "`d`"}, {"d", "", "'`a`'"}, {"e", "", ""}}) {
		names = append(names, v.name)
	}
	if got := strings.Join(names, ""); got != "dcbae" {
		t.Errorf("order %s", got)
	}
}

// TestFoldingFileSystem has two names whose directories are one.
func TestFoldingFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "foo"), 0o700); err != nil {
		t.Fatal(err)
	}
	if folded, err := foldedOnto(dir, "FOO"); !folded || err != nil {
		t.Errorf("FOO on foo: %v %v", folded, err)
	}
	if folded, err := foldedOnto(dir, "foo"); folded || err != nil {
		t.Errorf("foo on foo: %v %v", folded, err)
	}
}

// TestHostileTree has files where they lead elsewhere or nowhere.
func TestHostileTree(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("CREATE DATABASE `secret`;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(dir string) error{
		"symlink":   func(dir string) error { return os.Symlink(secret, dir+"/d/init") },
		"directory": func(dir string) error { return os.Mkdir(dir+"/d/init", 0o700) },
		"no create": func(dir string) error { return os.WriteFile(dir+"/d/init", []byte("DROP DATABASE x;"), 0o600) },
	} {
		dir := t.TempDir()
		if err := errors.Join(os.Mkdir(dir+"/d", 0o700), make(dir)); err != nil {
			t.Fatal(err)
		}
		if err := ToSQL(io.Discard, dir, nil, SQLOptions{}, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzFromSQL has what is read become a tree that can be read.
func FuzzFromSQL(f *testing.F) {
	f.Add([]byte(quirks))
	f.Add([]byte("INSERT INTO `t` VALUES ("))
	f.Add([]byte("CREATE DATABASE `/`;USE `/`;\nCREATE TABLE `..` (a int);\nINSERT INTO `..` VALUES (1);\n"))
	f.Fuzz(func(t *testing.T, dump []byte) {
		dir := t.TempDir()
		if _, err := FromSQL(dir, bytes.NewReader(dump), nil, nil); err != nil {
			return
		}
		if err := ToSQL(io.Discard, dir, nil, SQLOptions{}, nil); err != nil {
			t.Errorf("read back: %v", err)
		}
	})
}
