package cli

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers is the table of imports: a package may import those of the module
// that its line names, and what lies below a name that ends in "/". Imports
// go one way: main, cli, workflows, the rest; chain and backends know neither
// each other nor pkg. Sources are parsed, not listed by the go command, so
// that the result is never a cached one.
var layers = map[string][]string{
	"":        {"pkg/cli"},
	"pkg/cli": {"pkg/", "chain", "chain/", "backends", "backends/"},

	"pkg/backup":  {"chain", "chain/", "pkg/changes", "pkg/dirindex", "pkg/extras", "pkg/command", "pkg/hooks", "pkg/limits", "pkg/mysqlfs", "pkg/packages", "pkg/pgsqlfs", "pkg/profile", "pkg/registry", "pkg/tree"},
	"pkg/restore": {"chain", "chain/", "pkg/changes", "pkg/command", "pkg/dirindex", "pkg/extras", "pkg/hooks", "pkg/limits", "pkg/mysqlfs", "pkg/overlay", "pkg/packages", "pkg/pgsqlfs", "pkg/profile", "pkg/rollback", "pkg/sysfs", "pkg/tree", "pkg/userdb"},
	"pkg/setup":   {"pkg/keypacket", "pkg/registry"},

	"pkg/tree":            {"chain/archive", "pkg/sysfs"},
	"pkg/registry":        {"pkg/atomicfile"},
	"pkg/conf":            {"pkg/limits"},
	"pkg/atomicfile":      {},
	"pkg/changes":         {"pkg/dirindex", "pkg/limits"},
	"pkg/command":         {},
	"pkg/dirindex":        {"pkg/limits", "pkg/sysfs", "pkg/tree"},
	"pkg/extras":          {"pkg/atomicfile", "pkg/userdb"},
	"pkg/hooks":           {"pkg/command"},
	"pkg/keypacket":       {},
	"pkg/limits":          {"pkg/words"},
	"pkg/mysqlfs":         {"pkg/atomicfile", "pkg/command", "pkg/limits"},
	"pkg/notify":          {"pkg/command", "pkg/words"},
	"pkg/overlay":         {"chain/archive", "pkg/rollback", "pkg/rollback/livefs", "pkg/sysfs", "pkg/tree"},
	"pkg/packages":        {"pkg/command", "chain/archive"},
	"pkg/pidlock":         {},
	"pkg/pgsqlfs":         {"pkg/command", "pkg/limits"},
	"pkg/profile":         {"pkg/limits", "pkg/registry"},
	"pkg/progress":        {},
	"pkg/rollback":        {"chain/archive", "pkg/rollback/livefs", "pkg/sysfs", "pkg/tree"},
	"pkg/rollback/livefs": {"chain/archive", "pkg/sysfs", "pkg/tree"},
	"pkg/sysfs":           {},
	"pkg/term":            {},
	"pkg/userdb":          {},
	"pkg/words":           {},

	"chain":            {"chain/"},
	"chain/archive":    {},
	"chain/collection": {"chain/filename", "chain/timeexpr"},
	"chain/filename":   {},
	"chain/manifest":   {"chain/archive"},
	"chain/rdiff":      {},
	"chain/seal":       {},
	"chain/state":      {"chain/archive"},
	"chain/timeexpr":   {},

	"backends":                        {},
	"backends/all":                    {"backends", "backends/"},
	"backends/backendtest":            {"backends"},
	"backends/backendtest/faultproxy": {"backends"},
	"backends/backendtest/servers":    {},
	"backends/backendtest/throughput": {"backends", "backends/backendtest/"},
	"backends/cache":                  {"backends"},
	"backends/file":                   {"backends"},
	"backends/imap":                   {"backends", "backends/spool"},
	"backends/limit":                  {"backends"},
	"backends/mirror":                 {"backends"},
	"backends/rclone":                 {"backends", "backends/spool"},
	"backends/retry":                  {"backends"},
	"backends/rsync":                  {"backends", "backends/spool"},
	"backends/spool":                  {},
	"backends/swift":                  {"backends", "backends/spool"},
	"backends/ftp":                    {"backends"},
	"backends/s3":                     {"backends"},
	"backends/sftp":                   {"backends"},
	"backends/webdav":                 {"backends"},

	"contrib/bench": {},
}

// impure are packages of the library that format code does without: it turns
// bytes into values and back.
var impure = []string{"os", "os/exec", "net", "net/http", "syscall", "golang.org/x/sys/unix"}

func TestImports(t *testing.T) {
	const root = "../.."
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		if dir == "." {
			dir = ""
		}
		seen[dir] = true
		checkImports(t, path, dir)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for dir := range layers {
		if !seen[dir] && dir != "contrib/bench" {
			t.Errorf("the table has a line for %q, which is not there", dir)
		}
	}
}

func checkImports(t *testing.T, path, dir string) {
	allowed, ok := layers[dir]
	if !ok && !strings.HasPrefix(dir, "pkg/e2e") {
		t.Errorf("%s: the table has no line for %q", path, dir)
		return
	}
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Error(err)
			continue
		}
		own, inside := strings.CutPrefix(name, "tklbam/")
		if inside && !permits(allowed, own) {
			t.Errorf("%s imports %s: %q may not", path, name, dir)
		}
		if strings.HasPrefix(dir, "chain/") && slices.Contains(impure, name) {
			t.Errorf("%s imports %s: format code is pure", path, name)
		}
	}
}

func permits(allowed []string, own string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		return a == own || strings.HasSuffix(a, "/") && strings.HasPrefix(own, a)
	})
}
