package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"tklbam/pkg/command"
	"tklbam/pkg/limits"
	"tklbam/pkg/mysqlfs"
	"tklbam/pkg/pgsqlfs"
)

// accessFlags are those of the mysql clients that say how to reach a server.
func accessFlags(more ...cli.Flag) []cli.Flag {
	return append(more,
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}},
		&cli.StringFlag{Name: "user", Aliases: []string{"u"}},
		&cli.StringFlag{Name: "password", Aliases: []string{"p"}},
		&cli.StringFlag{Name: "defaults-file"},
		&cli.StringFlag{Name: "host"})
}

func access(c *cli.Context) mysqlfs.Access {
	return mysqlfs.Access{
		DefaultsFile: c.String("defaults-file"), Host: c.String("host"),
		User: c.String("user"), Password: c.String("password"),
	}
}

// databaseLimits reads arguments such as -shop/log: limits without the kind
// of server, which the command says.
func databaseLimits(kind limits.Kind, args []string) (limits.List, error) {
	var list limits.List
	for _, arg := range args {
		name, exclude := strings.CutPrefix(arg, "-")
		l, err := limits.Parse(kind.String() + ":" + name)
		if err != nil {
			return nil, &usageError{err}
		}
		l.Exclude = exclude
		list = append(list, l)
	}
	return list, nil
}

func mysql2fsCommand() applet {
	return applet{
		name: "mysql2fs", run: runMysql2fs,
		flags: accessFlags(&cli.BoolFlag{Name: "delete", Aliases: []string{"D"}}, &cli.StringFlag{Name: "fromfile"}),
	}
}

func runMysql2fs(a *app, c *cli.Context) error {
	if c.NArg() == 0 {
		return usagef("a directory is needed")
	}
	list, err := databaseLimits(limits.MySQL, c.Args().Tail())
	if err != nil {
		return err
	}
	from, with := c.String("fromfile"), access(c)
	if from != "" && with != (mysqlfs.Access{}) {
		return usagef("--fromfile excludes the options of a server")
	}
	dir := c.Args().First()
	if c.Bool("delete") {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	l := lines{w: a.stdout}
	report := mysqlReport(c, &l)
	if from != "" {
		err = a.mysqlFromFile(from, dir, list, &l, report, c.Bool("verbose"))
	} else {
		err = a.mysqlFromServer(with, dir, list, report)
	}
	return errors.Join(err, l.err)
}

// mysqlReport prints what --verbose shows.
func mysqlReport(c *cli.Context, l *lines) mysqlfs.Report {
	return func(i mysqlfs.Item) {
		if c.Bool("verbose") {
			l.printf("%s", i)
		}
	}
}

func (a *app) mysqlFromFile(from, dir string, list limits.List, l *lines, report mysqlfs.Report, verbose bool) error {
	in, err := a.input(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if verbose {
		l.printf("source: %s", from)
	}
	_, err = mysqlfs.FromSQL(dir, in, list.DB(limits.MySQL), report)
	return err
}

func (a *app) mysqlFromServer(with mysqlfs.Access, dir string, list limits.List, report mysqlfs.Report) error {
	return a.useMySQL(with, func(ctx context.Context, server *mysqlfs.Server) error {
		saved, err := server.Save(ctx, dir, list.DB(limits.MySQL), report)
		if err != nil {
			return err
		}
		return a.incomplete("not all could be saved", saved.Failed)
	})
}

// useMySQL calls do with this system's server, unless a way to one is given.
func (a *app) useMySQL(with mysqlfs.Access, do func(context.Context, *mysqlfs.Server) error) error {
	if with == (mysqlfs.Access{}) {
		return mysqlSystem().Use(a.ctx, do)
	}
	server, err := mysqlfs.Open(command.Exec{}, with)
	if err != nil {
		return err
	}
	return errors.Join(do(a.ctx, server), server.Close())
}

// mysqlSystem is this system's server, with this program as the guard of one
// that has to be restarted.
func mysqlSystem() mysqlfs.System {
	return mysqlfs.System{Runner: command.Exec{}, Guard: []string{"/proc/self/exe", "internal", mysqlPutBack}}
}

// mysqlPutBack is the command that ends a detour around the server's access
// control. It waits for its input to end: for the death of who began that.
const mysqlPutBack = "mysql-put-back"

func mysqlPutBackCommand() applet {
	return applet{
		name: mysqlPutBack,
		run: func(a *app, _ *cli.Context) error {
			if _, err := io.Copy(io.Discard, a.stdin); err != nil {
				return err
			}
			was, err := mysqlSystem().PutBack(a.ctx)
			if was && err == nil {
				_, err = fmt.Fprintln(a.stdout, "the database server has its access control back")
			}
			return err
		},
	}
}

// incomplete lists what failed, and makes it an error if there is any.
func (a *app) incomplete(lacking string, failed []string) error {
	t := tally{stderr: a.stderr}
	for _, text := range failed {
		t.warn("", errors.New(text))
	}
	return t.outcome(lacking)
}

func fs2mysqlCommand() applet {
	return applet{
		name: "fs2mysql", run: runFs2mysql,
		flags: accessFlags(&cli.StringFlag{Name: "tofile"},
			&cli.BoolFlag{Name: "skip-extended-insert"}, &cli.BoolFlag{Name: "add-drop-database"}),
	}
}

func runFs2mysql(a *app, c *cli.Context) (err error) {
	if c.NArg() == 0 {
		return usagef("a directory is needed")
	}
	list, err := databaseLimits(limits.MySQL, c.Args().Tail())
	if err != nil {
		return err
	}
	dir, to := c.Args().First(), c.String("tofile")
	l := lines{w: a.stdout}
	report := mysqlReport(c, &l)
	if to == "" {
		return errors.Join(a.mysqlToServer(c, dir, list, report), l.err)
	}
	opts := mysqlfs.SQLOptions{SkipExtendedInsert: c.Bool("skip-extended-insert"), DropDatabases: c.Bool("add-drop-database")}
	if to == "-" {
		l.w = a.stderr // standard output is the dump's
		return errors.Join(mysqlfs.ToSQL(a.stdout, dir, list.DB(limits.MySQL), opts, report), l.err)
	}
	if c.Bool("verbose") {
		l.printf("destination: %s", to)
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(mysqlfs.ToSQL(f, dir, list.DB(limits.MySQL), opts, report), f.Close(), l.err)
}

func (a *app) mysqlToServer(c *cli.Context, dir string, list limits.List, report mysqlfs.Report) error {
	if c.Bool("skip-extended-insert") {
		return usagef("--skip-extended-insert is for --tofile")
	}
	return a.useMySQL(access(c), func(ctx context.Context, server *mysqlfs.Server) error {
		loaded, err := server.Load(ctx, dir, list.DB(limits.MySQL), mysqlfs.LoadOptions{Drop: c.Bool("add-drop-database")}, report)
		if err != nil {
			return err
		}
		return a.incomplete("not all could be restored", loaded.Failed)
	})
}

func pgsql2fsCommand() applet { return applet{name: "pgsql2fs", run: runPgsql2fs} }

func runPgsql2fs(a *app, c *cli.Context) error {
	m, dir, list, err := a.pgsqlArguments(c)
	if err != nil {
		return err
	}
	saved, err := m.Save(a.ctx, dir, list, printStep(a.stdout))
	if err != nil {
		return err
	}
	return a.incomplete("not all could be saved", texts(saved.Failed))
}

func fs2pgsqlCommand() applet { return applet{name: "fs2pgsql", run: runFs2pgsql} }

func runFs2pgsql(a *app, c *cli.Context) error {
	m, dir, list, err := a.pgsqlArguments(c)
	if err != nil {
		return err
	}
	loaded, err := m.Load(a.ctx, dir, list, pgsqlfs.LoadOptions{}, printStep(a.stdout))
	if err != nil {
		return err
	}
	return a.incomplete("not all could be restored", texts(loaded.Failed))
}

func (a *app) pgsqlArguments(c *cli.Context) (*pgsqlfs.Machine, string, limits.List, error) {
	if c.NArg() == 0 {
		return nil, "", nil, usagef("a directory is needed")
	}
	list, err := databaseLimits(limits.PgSQL, c.Args().Tail())
	if err != nil {
		return nil, "", nil, err
	}
	clusters, err := pgsqlfs.Find(systemRoot)
	if err == nil && len(clusters) == 0 {
		err = errors.New("there is no PostgreSQL server here")
	}
	return &pgsqlfs.Machine{Clusters: clusters, Runner: command.Exec{}}, c.Args().First(), list, err
}

// printStep prints a database when its turn comes. Where that can't be printed
// the work goes on all the same.
func printStep(w io.Writer) func(pgsqlfs.Step) {
	return func(step pgsqlfs.Step) { fmt.Fprintln(w, step) }
}

func texts(failures []pgsqlfs.Failure) []string {
	var list []string
	for _, f := range failures {
		list = append(list, f.Error())
	}
	return list
}
