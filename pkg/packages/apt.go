package packages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"

	"tklbam/pkg/command"
)

// Apt installs and purges packages on the running system. Nothing it runs
// can ask a question: standard input is empty, debconf takes the defaults,
// and dpkg keeps a changed conffile. It waits up to five minutes for another
// apt-get to finish.
//
// Services of the packages it installs are started, as on any installation:
// no policy-rc.d is put in place, since one that a crash left behind would
// keep services from starting for good.
//
// Names passed to its methods must be ones that NewPlan accepted or that a
// method returned.
type Apt struct {
	Runner command.Runner
	Root   string    // below which dpkg's database is: "/"
	Env    []string  // environment of the programs, to which Apt adds
	Output io.Writer // what the programs that change something print; nil to drop it
}

// questions are the settings that keep programs which packages and apt's
// hooks run from asking anything.
var questions = [...]string{
	"DEBIAN_FRONTEND=noninteractive",
	"UCF_FORCE_CONFFOLD=1",
	"APT_LISTCHANGES_FRONTEND=none",
	"APT_LISTBUGS_FRONTEND=none",
	"NEEDRESTART_MODE=l",
	"PAGER=cat",
}

// systemPath is what dpkg insists to find in PATH, which cron leaves out.
const systemPath = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"

// settings are the options of every apt-get call that changes something.
var settings = [...]string{
	"--assume-yes", "--quiet",
	"-o", "DPkg::Lock::Timeout=300",
	"-o", "Dpkg::Options::=--force-confdef",
	"-o", "Dpkg::Options::=--force-confold",
	"-o", "Dpkg::Use-Pty=0",
	"-o", "Acquire::Retries=2",
}

// environment returns a's environment with more settings.
func (a *Apt) environment(more ...string) []string {
	path := systemPath
	for _, v := range a.Env {
		if p, ok := strings.CutPrefix(v, "PATH="); ok && p != "" {
			path = p + ":" + systemPath
		}
	}
	env := append(slices.Clip(a.Env), "PATH="+path)
	return append(append(env, questions[:]...), more...)
}

// change runs a program that changes something. An error has what the
// program complained of.
func (a *Apt) change(ctx context.Context, args ...string) error {
	return a.run(ctx, a.Output, command.Command{Args: args, Env: a.environment()})
}

// ask runs a program for what it prints, which is in no language.
func (a *Apt) ask(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	err := a.run(ctx, &out, command.Command{Args: args, Env: a.environment("LC_ALL=C")})
	return out.String(), err
}

func (a *Apt) run(ctx context.Context, output io.Writer, c command.Command) error {
	var why complaints
	c.Stdout, c.Stderr = &why, &why
	if output != nil {
		// One writer for both, so that they are not written to at once.
		both := io.MultiWriter(output, &why)
		c.Stdout, c.Stderr = both, both
	}
	err := a.Runner.Run(ctx, c)
	if text := why.String(); err != nil && text != "" {
		return fmt.Errorf("%w: %q", err, text)
	}
	return err
}

// refused reports whether err says that a program ran and failed, as opposed
// to one that is absent or that the context ended.
func refused(ctx context.Context, err error) bool {
	_, ok := errors.AsType[*exec.ExitError](err)
	return ok && ctx.Err() == nil
}

// Update has apt fetch its lists of packages. On an error those of other
// sources may have been updated.
func (a *Apt) Update(ctx context.Context) error {
	if err := a.change(ctx, append([]string{"apt-get", "update"}, settings[:]...)...); err != nil {
		return fmt.Errorf("update the lists of packages: %w", err)
	}
	return nil
}

// maxArgs bounds the bytes of package names that one apt-cache is asked
// about.
const maxArgs = 64 << 10

// Available returns those of the names that apt could install a version of,
// as a set. Names that NewPlan would refuse are none.
func (a *Apt) Available(ctx context.Context, names []string) (map[string]bool, error) {
	available := map[string]bool{}
	for len(names) > 0 {
		n, size := 0, 0
		var batch []string
		for ; n < len(names) && size < maxArgs; n++ {
			if installable(names[n]) {
				batch = append(batch, names[n])
				size += len(names[n]) + 1
			}
		}
		names = names[n:]
		if len(batch) == 0 {
			continue
		}
		out, err := a.ask(ctx, append([]string{"apt-cache", "policy", "--"}, batch...)...)
		if err != nil {
			return nil, fmt.Errorf("ask apt for packages: %w", err)
		}
		parsePolicy(out, available)
	}
	return available, nil
}

// parsePolicy adds to a set the packages that the output of apt-cache policy
// names a candidate for: a line with the name and a colon, and below it,
// indented, fields of which "Candidate" is "(none)" for a package that is
// only known by name.
func parsePolicy(out string, available map[string]bool) {
	name := ""
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		if line != "" && line[0] != ' ' {
			name = strings.TrimSuffix(line, ":")
			continue
		}
		version, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate: ")
		if ok && version != "(none)" {
			available[name] = true
		}
	}
}

// complaints collects, from what a program prints, the lines that say why it
// failed: those of apt and dpkg, or else the last one.
type complaints struct {
	lines []string
	last  string // line, whatever it says
	part  []byte // of a line that has not ended
}

const (
	maxComplaints = 5
	maxComplaint  = 500 // bytes
)

// Write implements io.Writer and never fails.
func (c *complaints) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		c.part = append(c.part, line[:min(len(line), max(0, maxComplaint-len(c.part)))]...)
		if line[len(line)-1] == '\n' {
			c.end()
		}
	}
	return len(p), nil
}

// end takes the line that has ended. What apt prints itself begins with "E:",
// what dpkg prints with its name, and a colon at the end promises another
// line; unmet dependencies have none of these.
func (c *complaints) end() {
	line := string(bytes.TrimSpace(c.part))
	c.part = c.part[:0]
	if line == "" {
		return
	}
	c.last = line
	if n := len(c.lines); n > 0 && strings.HasSuffix(c.lines[n-1], ":") {
		c.lines[n-1] += " " + line
		return
	}
	if !complains(line) {
		return
	}
	if c.lines = append(c.lines, line); len(c.lines) > maxComplaints {
		c.lines = c.lines[1:]
	}
}

func complains(line string) bool {
	for _, start := range []string{"E: ", "dpkg: error", "dpkg: dependency problems"} {
		if strings.HasPrefix(line, start) {
			return true
		}
	}
	for _, relation := range []string{" : Depends: ", " : PreDepends: ", " : Conflicts: ", " : Breaks: "} {
		if strings.Contains(line, relation) {
			return true
		}
	}
	return false
}

// String returns the complaints in one line.
func (c *complaints) String() string {
	if len(c.part) > 0 {
		c.end()
	}
	if len(c.lines) == 0 {
		return c.last
	}
	return strings.Join(c.lines, "; ")
}
