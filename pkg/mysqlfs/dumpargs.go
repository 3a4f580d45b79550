package mysqlfs

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"

	"tklbam/pkg/command"
	"tklbam/pkg/limits"
)

// maybeOptions are those that not all dump clients know: for events of all
// times, for rows of the past, and against what is of no use elsewhere, or
// what older servers are asked for in vain.
var maybeOptions = []string{"no-tablespaces", "dump-history", "set-gtid-purged=OFF", "column-statistics=0"}

// optionName finds the options in what a client says when asked for help.
var optionName = regexp.MustCompile(`(?m)^  (?:-., )?--([a-z][a-z0-9-]*)`)

// knows returns the options that the dump client knows by its own account.
func (s *Server) knows(ctx context.Context) (map[string]bool, error) {
	var help bytes.Buffer
	if err := s.run.Run(ctx, command.Command{Args: []string{s.dump, "--no-defaults", "--help"}, Stdout: &help}); err != nil {
		return nil, fmt.Errorf("ask the dump client for its options: %w", err)
	}
	known := map[string]bool{}
	for _, m := range optionName.FindAllStringSubmatch(help.String(), -1) {
		known[m[1]] = true
	}
	return known, nil
}

// dumpArgs returns the command line of the dump client. Limits on rows are the
// client's affair where it knows of that; they are observed in any case.
func (s *Server) dumpArgs(found inventory, lim *limits.Databases, known map[string]bool) []string {
	args := s.args(s.dump,
		"--skip-extended-insert", "--single-transaction", "--quick", "--force",
		"--routines", "--events", "--triggers", "--hex-blob", "--tz-utc",
		"--skip-add-locks", "--skip-disable-keys", "--skip-lock-tables",
		"--default-character-set=utf8mb4", maxPacket)
	for _, option := range maybeOptions {
		if name, _, _ := strings.Cut(option, "="); known[name] {
			args = append(args, "--"+option)
		}
	}
	if known["ignore-table-data"] {
		args = append(args, withoutRows(found, lim)...)
	}
	return append(append(args, "--databases", "--"), found.databases...)
}

// maxIgnored bounds the options, which all have to fit a command line.
const maxIgnored = 2000

func withoutRows(found inventory, lim *limits.Databases) []string {
	var args []string
	for o := range found.objects {
		if o.kind == "table" && !lim.MatchTable(o.database, o.name) && len(args) < maxIgnored {
			args = append(args, "--ignore-table-data="+o.database+"."+o.name)
		}
	}
	return args
}
