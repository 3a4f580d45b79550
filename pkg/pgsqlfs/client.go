package pgsqlfs

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"tklbam/pkg/command"
)

// A client runs the programs of a cluster.
type client struct {
	Cluster
	run command.Runner
}

// neutral is the database to be connected to when it is about others: every
// cluster has it, and it is not among those that are saved or loaded.
const neutral = "template1"

// command prepares a program of the cluster's, run as its owner, by setpriv
// where that is another user: it becomes the program, so no process of
// another user's stands between, nor a shell, and it ends with this one. The environment is the
// program's own, since variables of this process's may lead elsewhere.
func (c *client) command(program string, args ...string) command.Command {
	if c.Bin != "" {
		program = filepath.Join(c.Bin, program)
	}
	argv := append([]string{program}, args...)
	if c.Owner != "" {
		argv = append([]string{"setpriv", "--reuid=" + c.Owner, "--regid=" + c.Owner, "--init-groups", "--pdeathsig=KILL", "--"}, argv...)
	}
	return command.Command{
		Args: argv, Bound: true,
		Dir: "/", // one the owner can be in
		Env: []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"HOME=" + c.Home, "LC_ALL=C", "PGAPPNAME=tklbam", "PGOPTIONS=-c lc_messages=C",
		},
	}
}

// connect returns the arguments that lead a program to a database. Whatever
// its name, it is not taken for connection settings.
func (c *client) connect(database string) []string {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	return []string{
		"--no-password", "--host=" + c.Socket, "--port=" + strconv.Itoa(c.Port),
		"--dbname=dbname='" + quote.Replace(database) + "'",
	}
}

// do runs a program and makes of its messages the error.
func (c *client) do(ctx context.Context, cmd command.Command, ignore ...string) error {
	said := &messages{ignore: ignore}
	end := &command.Tail{W: said}
	cmd.Stderr = end
	err := c.run.Run(ctx, cmd)
	switch text := said.String(); {
	case ctx.Err() != nil && err != nil:
		return err
	case text != "":
		return &programError{text: text, code: said.code, err: err}
	case err != nil && end.String() != "":
		return fmt.Errorf("%w: %q", err, end)
	}
	return err
}

// sql runs statements in a database, until one fails.
func (c *client) sql(ctx context.Context, database, text string) error {
	return c.psql(ctx, database, strings.NewReader(text), nil, []string{"--set=ON_ERROR_STOP=1"})
}

// psql runs a script. Names pass as the bytes they are, in no encoding. The
// errors with the given codes are none.
func (c *client) psql(ctx context.Context, database string, in io.Reader, out io.Writer, args []string, ignore ...string) error {
	cmd := c.command("psql", append(c.connect(database), "--no-psqlrc", "--quiet", "--file=-", "--set=VERBOSITY=verbose")...)
	cmd.Args = append(cmd.Args, args...)
	cmd.Env = append(cmd.Env, "PGCLIENTENCODING=SQL_ASCII")
	cmd.Stdin, cmd.Stdout = in, out
	return c.do(ctx, cmd, ignore...)
}

// query returns the rows of one statement, each of so many fields.
func (c *client) query(ctx context.Context, database, text string, fields int) ([][]string, error) {
	var out strings.Builder
	args := []string{
		"--set=ON_ERROR_STOP=1", "--no-align", "--tuples-only", "--field-separator-zero", "--record-separator-zero",
	}
	if err := c.psql(ctx, database, strings.NewReader(text), &out, args); err != nil {
		return nil, err
	}
	if out.Len() == 0 {
		return nil, nil
	}
	all := strings.Split(strings.TrimSuffix(out.String(), "\x00"), "\x00")
	if len(all)%fields != 0 {
		return nil, fmt.Errorf("read the rows of a query: %d fields, want a multiple of %d", len(all), fields)
	}
	var rows [][]string
	for ; len(all) > 0; all = all[fields:] {
		rows = append(rows, all[:fields])
	}
	return rows, nil
}

// identifier quotes a name.
func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// literal quotes a string, whatever standard_conforming_strings says.
func literal(s string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
