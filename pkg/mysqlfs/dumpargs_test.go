package mysqlfs

import (
	"context"
	"slices"
	"strings"
	"testing"

	"tklbam/pkg/command"
)

// TestOptions gives dump clients the options that their help names, and no
// others, of those that clients end over.
func TestOptions(t *testing.T) {
	for help, want := range map[string]string{
		"  -y, --no-tablespaces \n  --dump-history  Dump tables\n  --ignore-table-data=name \n  --ssl   Enable\n":                           "--no-tablespaces --dump-history --ignore-table-data=d.t",
		"  --column-statistics \n                      --dump-history is not known\n  --set-gtid-purged[=name] \n  -y, --no-tablespaces \n": "--no-tablespaces --set-gtid-purged=OFF --column-statistics=0",
		"  -q, --quick\n": "",
	} {
		s := &Server{run: command.Exec{}, dump: shell(t, "cat <<'E'\n"+help+"E")}
		known, err := s.knows(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		found := inventory{databases: []string{"d"}, objects: objects{{"table", "d", "t"}: true}}
		args := s.dumpArgs(found, limitsOf(t, "-mysql:d/t"), known)
		first := slices.Index(args, maxPacket) + 1
		if got := strings.Join(args[first:len(args)-3], " "); got != want {
			t.Errorf("%q: options %s, want %s", help, got, want)
		}
	}
	s := &Server{run: command.Exec{}, dump: shell(t, "exit 1")}
	if _, err := s.knows(context.Background()); err == nil {
		t.Error("a client without help")
	}
}
