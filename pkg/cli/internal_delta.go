package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tklbam/pkg/changes"
	"tklbam/pkg/dirindex"
	"tklbam/pkg/overlay"
	"tklbam/pkg/sysfs"
	"tklbam/pkg/tree"
	"tklbam/pkg/userdb"
)

func fixstatCommand() applet {
	return applet{
		name: "fixstat",
		flags: append(deltaFlags(),
			&cli.StringFlag{Name: "uid-map", Aliases: []string{"u"}},
			&cli.StringFlag{Name: "gid-map", Aliases: []string{"g"}}),
		run: runFixstat,
	}
}

func deleteCommand() applet {
	return applet{name: "delete", flags: deltaFlags(), run: runDelete}
}

func deltaFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "simulate", Aliases: []string{"s"}},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}},
	}
}

func runFixstat(a *app, c *cli.Context) error {
	uids, err := parseIDMap(c.String("uid-map"))
	if err != nil {
		return usagef("--uid-map: %w", err)
	}
	gids, err := parseIDMap(c.String("gid-map"))
	if err != nil {
		return usagef("--gid-map: %w", err)
	}
	p := changes.Planner{UIDs: uids, GIDs: gids}
	return a.runDelta(c, &p, func(change changes.Change) ([]overlay.Action, error) {
		fixes, err := p.StatFixes(change)
		path := strings.TrimPrefix(change.Path, "/")
		var list []overlay.Action
		for _, fix := range fixes {
			switch fix.Verb {
			case changes.Mkdir: // with its owner and mode, which follow
				dir := overlay.MakeDir(path, change.Mode&07777, uids.Map(change.UID), gids.Map(change.GID))
				return []overlay.Action{dir}, err
			case changes.Chown:
				list = append(list, overlay.Chown(path, fix.UID, fix.GID))
			case changes.Chmod:
				list = append(list, overlay.Chmod(path, fix.Mode))
			}
		}
		return list, err
	})
}

func runDelete(a *app, c *cli.Context) error {
	var p changes.Planner
	return a.runDelta(c, &p, func(change changes.Change) ([]overlay.Action, error) {
		_, ok, err := p.Deletion(change)
		if !ok {
			return nil, err
		}
		return []overlay.Action{overlay.Remove(strings.TrimPrefix(change.Path, "/"))}, nil
	})
}

// parseIDMap reads an id map in the form that merge-userdb prints.
func parseIDMap(text string) (userdb.IDMap, error) {
	ids := make(userdb.IDMap)
	if text == "" {
		return ids, nil
	}
	for pair := range strings.SplitSeq(text, ":") {
		from, to, ok := strings.Cut(pair, ",")
		old, err := strconv.ParseUint(from, 10, 32)
		id, err2 := strconv.ParseUint(to, 10, 32)
		// The last number is no id: to chown(2) it says to leave the owner.
		if !ok || err != nil || err2 != nil || old == math.MaxUint32 || id == math.MaxUint32 {
			return nil, fmt.Errorf("%q is not two ids with a comma between", pair)
		}
		ids[int(old)] = int(id)
	}
	return ids, nil
}

// A deltaRun carries out on this system what part of a delta asks for. It is
// the overlay.Reporter of that.
type deltaRun struct {
	failed  tally
	out     lines
	verbose bool
	names   changes.Names
}

// A planFunc returns what is to be done about a change.
type planFunc func(changes.Change) ([]overlay.Action, error)

// runDelta carries out what plan has for the changes of the delta, in their
// order, or only prints it. The planner gets to look at this system.
func (a *app) runDelta(c *cli.Context, p *changes.Planner, plan planFunc) error {
	if c.NArg() == 0 {
		return usagef("the delta is missing: a file, or - for standard input")
	}
	names, err := systemNames()
	if err != nil {
		return err
	}
	run := deltaRun{failed: tally{stderr: a.stderr}, out: lines{w: a.stdout}, verbose: c.Bool("verbose"), names: names}
	actions, err := a.planDelta(c, p, plan, run.failed.warn)
	if err != nil {
		return err
	}
	if c.Bool("simulate") {
		for _, act := range actions {
			run.print(act)
		}
	} else {
		_, err = overlay.Apply(a.ctx, actions, overlay.Options{Root: systemRoot, Reporter: &run, Now: time.Now()})
	}
	if err = errors.Join(err, run.out.err); err != nil {
		return err
	}
	return run.failed.outcome("not all could be done")
}

func (a *app) planDelta(c *cli.Context, p *changes.Planner, plan planFunc, warn func(string, error)) ([]overlay.Action, error) {
	dir, err := workingDir()
	if err != nil {
		return nil, err
	}
	list, err := pathLimits(c.Args().Tail(), dir)
	if err != nil {
		return nil, err
	}
	live, err := sysfs.Open(systemRoot)
	if err != nil {
		return nil, err
	}
	defer live.Close()
	p.Lstat = func(path string) (dirindex.Record, error) { return dirindex.Stat(live, path) }
	delta, err := a.input(c.Args().First())
	if err != nil {
		return nil, err
	}
	defer delta.Close()
	actions, err := plan.all(changes.NewReader(delta, list.Paths()), warn)
	if err != nil {
		return nil, fmt.Errorf("read delta %q: %w", c.Args().First(), err)
	}
	return actions, nil
}

// all reads a whole delta before anything is done: one that makes no sense is
// refused as a whole.
func (plan planFunc) all(delta *changes.Reader, warn func(path string, err error)) ([]overlay.Action, error) {
	var actions []overlay.Action
	for {
		change, err := delta.Next()
		if err == io.EOF {
			return actions, nil
		}
		if err != nil {
			return nil, err
		}
		if change.Path == systemRoot {
			continue // every system has its own
		}
		more, err := plan(change)
		if err != nil {
			warn(change.Path, err)
		}
		actions = append(actions, more...)
	}
}

// print prints an action as the shell commands it stands for.
func (r *deltaRun) print(act overlay.Action) {
	path := systemRoot + act.Path
	chown := changes.Action{Verb: changes.Chown, Path: path, UID: act.UID, GID: act.GID}
	chmod := changes.Action{Verb: changes.Chmod, Path: path, Mode: act.Mode}
	var list []changes.Action
	switch act.Op {
	case overlay.OpMakeDir:
		list = []changes.Action{{Verb: changes.Mkdir, Path: path}, chown, chmod}
	case overlay.OpChown:
		list = []changes.Action{chown}
	case overlay.OpChmod:
		list = []changes.Action{chmod}
	case overlay.OpRemove:
		list = []changes.Action{{Verb: changes.Remove, Path: path}}
	}
	for _, action := range list {
		r.out.printf("%s", action.Format(r.names))
	}
}

func (r *deltaRun) Done(act overlay.Action) {
	if r.verbose {
		r.print(act)
	}
}

func (r *deltaRun) Passed(act overlay.Action, err error) { r.failed.warn(act.Path, err) }

// Through passes over what is no trouble: where it leads was looked at.
func (r *deltaRun) Through(link, dir string) {}

func (r *deltaRun) Lost(path string, _ tree.Loss, err error) { r.failed.warn(path, err) }

// systemNames are the names of the users and groups that this system has.
func systemNames() (changes.Names, error) {
	users, err := namesIn(userdb.Passwd)
	if err != nil {
		return changes.Names{}, err
	}
	groups, err := namesIn(userdb.Group)
	return changes.Names{User: users, Group: groups}, err
}

func namesIn(kind userdb.Kind) (func(id int) string, error) {
	data, err := os.ReadFile(filepath.Join(systemRoot, "etc", kind.String()))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names := userdb.Parse(kind, data).Names()
	return func(id int) string { return names[id] }, nil
}
