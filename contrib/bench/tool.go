package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A tool is a backup program with the command lines that it is measured by.
// They are those that its manual begins with: default settings.
type tool struct {
	name     string // in the tables
	program  string
	version  []string // arguments that make it tell its version
	env      func(s *subject) []string
	setup    func(s *subject, run func(args ...string) error) error
	full     func(s *subject) []string
	more     func(s *subject) []string // an increment
	restore  func(s *subject) []string
	restored func(s *subject) string // where in the directory of a restore the tree is
	busy     string                  // output of a run that another one made wait: it is tried again
	repeat   bool                    // whether short scenarios are run several times
}

// A subject is a tool at work: everything it keeps lies below one directory.
type subject struct {
	*tool
	ctx      context.Context
	dir      string
	tree     string // to be backed up
	sessions int    // so far
	restores int
}

func (s *subject) path(name string) string { return filepath.Join(s.dir, name) }

// Where the parts of a subject lie: the repository, what is kept on the
// machine that is backed up, the target of a restore.
func (s *subject) repo() string   { return s.path("repository") }
func (s *subject) cache() string  { return s.path("cache") }
func (s *subject) target() string { return s.path(fmt.Sprintf("restored-%d", s.restores)) }

// newSubject sets a tool up to back a tree up.
func newSubject(ctx context.Context, t *tool, dir, tree string) (*subject, error) {
	s := &subject{tool: t, ctx: ctx, dir: dir, tree: tree}
	for _, d := range []string{s.repo(), s.cache(), s.path("home"), s.path("tmp"), s.path("conf")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	err := t.setup(s, func(args ...string) error {
		_, err := s.run(args, s.dir)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("set up %s: %w", t.name, err)
	}
	return s, nil
}

func (s *subject) environment() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.path("home"), "TMPDIR=" + s.path("tmp"),
		"LANG=C.UTF-8", "GNUPGHOME=" + s.path("home"),
	}
	return append(env, s.env(s)...)
}

// patience is how long a tool may find itself locked out by another run of it
// on the machine.
const patience = 5 * time.Minute

// run runs one command line of the tool, again if it was locked out.
func (s *subject) run(args []string, dir string) (figures, error) {
	output := s.path("output")
	for began := time.Now(); ; {
		f, err := command{append([]string{s.program}, args...), dir}.run(s.ctx, s.environment(), output)
		if err == nil || s.busy == "" || !strings.Contains(tail(output), s.busy) || time.Since(began) > patience {
			return f, err
		}
		select {
		case <-s.ctx.Done():
			return f, s.ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// backUp measures a session: the first is a full one.
func (s *subject) backUp() (figures, error) {
	before, err := treeSize(s.repo())
	if err != nil {
		return figures{}, err
	}
	s.sessions++
	args := s.full
	if s.sessions > 1 {
		args = s.more
	}
	f, err := s.run(args(s), s.dir)
	if err != nil {
		return f, err
	}
	after, err := treeSize(s.repo())
	f.Stored = after - before
	return f, err
}

// startOver measures a full backup in a new place, which is the subject's
// from then on.
func (s *subject) startOver() (figures, error) {
	fresh, err := newSubject(s.ctx, s.tool, s.dir+"+", s.tree)
	if err != nil {
		return figures{}, err
	}
	*s = *fresh
	return s.backUp()
}

// bringBack measures a restore of the latest state, which must be the tree's.
// Each goes to a directory of its own, which stays: see shed.
func (s *subject) bringBack(seed uint64) (figures, error) {
	s.restores++
	if err := os.Mkdir(s.target(), 0o755); err != nil {
		return figures{}, err
	}
	f, err := s.run(s.restore(s), s.target())
	if err == nil {
		err = sameTrees(s.tree, s.restored(s), seed)
	}
	return f, errors.Join(err, shed(s.target()))
}

// shed makes room by removing the large files below a directory. All others
// stay until the end of the run: ext4 doesn't use inodes again that were freed
// in the last minutes, and searches long for others, so that to remove a tree
// makes the next restore several times slower.
func shed(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() >= largeFile {
			err = os.Remove(path)
		}
		return err
	})
}

// found returns those of the named tools that the machine has.
func found(tools []*tool, names []string) []*tool {
	return slices.DeleteFunc(tools, func(t *tool) bool {
		if !slices.Contains(names, t.name) {
			return true
		}
		path, err := exec.LookPath(t.program)
		t.program = path
		return err != nil
	})
}

// tellVersion is what the program says, in one line.
func (t *tool) tellVersion() string {
	out, err := exec.Command(t.program, t.version...).Output()
	if err != nil {
		return t.name + ", of an unknown version"
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// usage shows the command lines as somebody would type them.
func (t *tool) usage() []string {
	s := &subject{tool: t, dir: "DIR", tree: "TREE", sessions: 1, restores: 1}
	var lines []string
	for _, args := range [][]string{t.full(s), t.more(s), t.restore(s)} {
		lines = appendNew(lines, filepath.Base(t.program)+" "+strings.Join(args, " "))
	}
	return lines
}
