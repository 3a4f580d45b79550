// Bench measures tklbam against the other backup programs of the machine, on
// a corpus that it makes itself, and holds the outcome against limits.
//
// Every program gets a directory of its own with its repository, its cache
// and its home, all on one file system, and works with its default settings.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// options are those of the command line.
type options struct {
	tklbam   string // the binary to measure
	dir      string // for the corpus and everything else; "" for a temporary one
	keep     bool
	seed     uint64
	scale    float64
	runs     int
	only     []string
	tools    []string
	markdown string
	settle   time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	dir, remove, err := workDir(o)
	if err != nil {
		return err
	}
	b := &bench{options: o, ctx: ctx, dir: dir, progress: stderr, results: newResults()}
	if err = b.run(); err == nil {
		err = b.report(stdout)
	}
	return errors.Join(err, remove())
}

// report prints the results and writes them to a file, if that is wanted.
// What could not be measured is an error after all that was.
func (b *bench) report(stdout io.Writer) error {
	if err := b.results.text(stdout); err != nil || b.markdown == "" {
		return err
	}
	return writeTo(b.markdown, b.results.markdown)
}

// parse reads the command line and checks it.
func parse(args []string, stderr io.Writer) (options, error) {
	o := options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.tklbam, "tklbam", "./tklbam", "the `binary` to measure")
	f.StringVar(&o.dir, "dir", "", "`directory` for the corpus and everything else (default a temporary one)")
	f.BoolVar(&o.keep, "keep", false, "leave the corpus in -dir, for the next run")
	f.Uint64Var(&o.seed, "seed", 1, "`number` that the made-up data and the edits follow from")
	f.Float64Var(&o.scale, "scale", 1, "`factor` on the size of the corpus")
	f.DurationVar(&o.settle, "settle", 6*time.Minute, "`time` from the start before which no restore is compared: ext4 makes files slowly after others were removed")
	f.IntVar(&o.runs, "runs", 1, "`times` to run the short scenarios of ours and restic: the best counts")
	only := f.String("only", "", "`parts` to run, of "+strings.Join(parts, ","))
	tools := f.String("tools", "", "`tools` to measure, of "+strings.Join(toolNames, ","))
	f.StringVar(&o.markdown, "markdown", "", "`file` to write the tables to, with how they were taken")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var perr, terr error
	o.only, perr = choice("-only", *only, parts)
	o.tools, terr = choice("-tools", *tools, toolNames)
	return o, errors.Join(perr, terr, o.check(f.Args()))
}

func (o *options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case !(o.scale > 0) || math.IsInf(o.scale, 0):
		return fmt.Errorf("-scale %v: it must be positive", o.scale)
	case o.runs < 1:
		return fmt.Errorf("-runs %d: it must be positive", o.runs)
	case o.keep && o.dir == "":
		return errors.New("-keep needs a -dir")
	}
	var err error
	o.tklbam, err = filepath.Abs(o.tklbam)
	if err == nil {
		_, err = os.Stat(o.tklbam)
	}
	return err
}

// choice reads a list of names; an empty one means all there are.
func choice(flag, list string, all []string) ([]string, error) {
	if list == "" {
		return all, nil
	}
	names := strings.Split(list, ",")
	for _, n := range names {
		if !slices.Contains(all, n) {
			return nil, fmt.Errorf("%s: %q is none of %s", flag, n, strings.Join(all, ", "))
		}
	}
	return names, nil
}

// workDir is where everything goes, and how to leave it.
func workDir(o options) (string, func() error, error) {
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "tklbam-bench-")
		return dir, func() error { return os.RemoveAll(dir) }, err
	}
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return "", nil, err
	}
	remove := func() error {
		err := os.RemoveAll(filepath.Join(dir, scratchName))
		if !o.keep {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, corpusName)), removeFile(filepath.Join(dir, markerName)))
		}
		return err
	}
	return dir, remove, os.MkdirAll(dir, 0o755)
}

// A bench is one run.
type bench struct {
	options
	ctx      context.Context
	dir      string
	progress io.Writer
	results  *results
	began    time.Time
}

func (b *bench) run() error {
	b.began = time.Now()
	if err := os.RemoveAll(b.scratch("")); err != nil {
		return err
	}
	tools := b.installed()
	b.results.machine = describeMachine(b.dir, tools, b.options)
	if b.wants(partMemory) { // first: until restores are compared, time must pass anyway
		if err := b.memory(); err != nil {
			return err
		}
	}
	if b.wants(comparisons...) {
		if err := b.compare(tools); err != nil {
			return err
		}
	}
	b.results.machine.finish(time.Since(b.began))
	return nil
}

// wants reports whether any of the parts is asked for.
func (b *bench) wants(parts ...string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return slices.Contains(b.only, p) })
}

func (b *bench) scratch(name string) string { return filepath.Join(b.dir, scratchName, name) }

// say tells what is being done.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, format+"\n", args...)
}

// scaled is n in the size that this run works with.
func (b *bench) scaled(n int64) int64 { return max(1, int64(float64(n)*b.scale)) }
