package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tklbam/chain"
	"tklbam/pkg/progress"
	"tklbam/pkg/term"
)

// A reporter shows what a session does: on the terminal or in plain lines as
// it goes on, and in the log.
type reporter struct {
	meter  *progress.Meter
	log    *logFile
	quiet  bool
	stderr io.Writer
	lost   atomic.Int64 // problems by which something is lost
	sends  bool         // what is stored is counted where it is sent
}

// newReporter chooses how to show progress: JSON lines where scripts read,
// one live line on a terminal, plain lines elsewhere, and nothing when quiet.
func (a *app) newReporter(asJSON, quiet bool, log *logFile) *reporter {
	var r progress.Renderer
	switch {
	case asJSON:
		r = progress.JSON(a.stdout)
	case quiet:
		r = progress.Quiet()
	case term.IsTerminal(a.stderr):
		colour := a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
		r = progress.Terminal(a.stderr, func() int { return term.Width(a.stderr) }, colour)
	default:
		r = progress.Plain(a.stdout)
	}
	m := progress.New(r, progress.Clock{})
	m.Start()
	rep := &reporter{meter: m, log: log, quiet: quiet && !asJSON, stderr: a.stderr}
	a.showing.Store(rep)
	return rep
}

// retry tells that something is done again.
func (r *reporter) retry(text string) {
	r.meter.AddRetry()
	r.Note(text)
}

func (r *reporter) Phase(name string) {
	r.meter.Phase(name)
	r.log.println(name)
}

func (r *reporter) Total(files, bytes int64) {
	r.meter.SetTotal(progress.Total{Files: files, Bytes: bytes, Estimated: true})
}

func (r *reporter) Path(path string) { r.meter.SetPath(path) }

func (r *reporter) Add(files, bytes, stored int64) {
	r.meter.AddFiles(files)
	r.meter.AddBytes(bytes)
	if !r.sends {
		r.meter.AddStored(stored)
	}
}

func (r *reporter) Note(text string) {
	r.meter.Notice(text)
	r.log.println(text)
}

// Problem warns of what went wrong with one file. What is lost by it is told
// even when quiet, for nobody may look at the log.
func (r *reporter) Problem(p chain.Problem) {
	if p.Lost {
		r.lost.Add(1)
	}
	text := p.Err.Error()
	if p.Path != "" {
		text = progress.Escape(p.Path) + ": " + text
	}
	text = printable(text)
	r.meter.Warn(text)
	r.log.println("warning: " + text)
	if r.quiet && p.Lost {
		fmt.Fprintln(r.stderr, "warning:", text)
	}
}

func (r *reporter) stop() error { return r.meter.Stop() }

// A logFile is the log of a command: appended to, one line an event.
type logFile struct {
	mu   sync.Mutex
	file *os.File
	err  error
}

// openLog appends to the log at path and heads it with the command.
func openLog(path, command string) (*logFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &logFile{file: f}
	l.println("--- " + command)
	return l, nil
}

func (l *logFile) println(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		_, l.err = fmt.Fprintf(l.file, "%s %s\n", time.Now().Format("2006-01-02 15:04:05"), text)
	}
}

func (l *logFile) Close() error {
	if err := l.file.Close(); l.err == nil {
		l.err = err
	}
	return l.err
}
