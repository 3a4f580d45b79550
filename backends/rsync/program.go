package rsync

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tklbam/backends"
)

const (
	// stallTime is how long nothing may arrive from the other side, which
	// keeps a connection alive while it works.
	stallTime = 5 * time.Minute

	// connectTime bounds connecting to a daemon; for ssh, its configuration
	// does.
	connectTime = time.Minute

	// endTime is what remains for the output to arrive after the program
	// has ended.
	endTime = 5 * time.Second
)

// program is the rsync program with the options for one target. It is run
// without a shell.
type program struct {
	path    string
	env     []string
	options []string
	version [3]int
}

func newProgram(ctx context.Context, env Environment, a backends.Address) (*program, error) {
	path, err := exec.LookPath("rsync")
	if err != nil {
		return nil, fmt.Errorf("find the rsync program: %w", err)
	}
	p := &program{path: path, env: environ(env, a)}
	if err := p.findVersion(ctx); err != nil {
		return nil, err
	}
	p.options = append(slices.Clone(env.Options), p.protection(), fmt.Sprintf("--timeout=%d", stallTime/time.Second), "--no-human-readable")
	if a.Daemon {
		p.options = append(p.options, daemonOptions(a)...)
	} else {
		p.options = append(p.options, "--rsh="+remoteShell(env.Shell, a))
	}
	return p, nil
}

var versionText = regexp.MustCompile(`^rsync +version v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})`)

// findVersion asks the program for its version.
func (p *program) findVersion(ctx context.Context) error {
	var out bytes.Buffer
	if err := p.run(ctx, &out, "--version"); err != nil {
		return err
	}
	line, _, _ := strings.Cut(out.String(), "\n")
	m := versionText.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("the rsync program does not tell its version: %.100q", line)
	}
	for i := range p.version {
		p.version[i], _ = strconv.Atoi(m[i+1]) // at most four digits
	}
	return nil
}

// atLeast reports whether the program is of a version or of a later one.
func (p *program) atLeast(version ...int) bool { return slices.Compare(p.version[:], version) >= 0 }

// protection is the option by which arguments reach the other side as they
// are. Since 3.2.4 that is so without, which servers with restrictions
// (rrsync) prefer.
func (p *program) protection() string {
	if p.atLeast(3, 2, 4) {
		return "--no-secluded-args"
	}
	return "--protect-args"
}

// escape returns a path as the other side is to be told it: rsync expands
// wildcards there. It leaves those alone that have a backslash, and since 3.2.4
// sees to other backslashes itself.
func (p *program) escape(path string) string {
	if p.atLeast(3, 2, 4) {
		return strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
	}
	return escapePattern(path)
}

// daemonOptions connect to a daemon. Small packets are sent at once, without
// which every call waits a few times for 40 ms.
func daemonOptions(a backends.Address) []string {
	options := []string{"--no-motd", fmt.Sprintf("--contimeout=%d", connectTime/time.Second), "--sockopts=TCP_NODELAY"}
	if a.Port != 0 {
		options = append(options, fmt.Sprintf("--port=%d", a.Port))
	}
	return options
}

// remoteShell returns the command line of the remote shell. The user is an
// option of it: before a host, some characters would be taken for its end.
func remoteShell(shell []string, a backends.Address) string {
	if len(shell) == 0 {
		shell = []string{"ssh"}
	}
	shell = slices.Clone(shell)
	if a.Port != 0 {
		shell = append(shell, "-p", strconv.Itoa(a.Port))
	}
	if a.User != "" {
		shell = append(shell, "-l", a.User)
	}
	for i, word := range shell {
		shell[i] = quoteWord(word)
	}
	return strings.Join(shell, " ")
}

// quoteWord quotes a word as rsync (see --rsh in its manual) takes a command
// line apart, without any shell: a quote in quotes is doubled.
func quoteWord(word string) string {
	if word != "" && !strings.ContainsAny(word, ` '"`) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", "''") + "'"
}

// environ returns the environment of the program. Its messages are in English,
// and other characters than ASCII's codes in its listings.
func environ(env Environment, a backends.Address) []string {
	keep := slices.DeleteFunc(slices.Clone(env.Environ), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		own := strings.HasPrefix(name, "RSYNC_") && name != "RSYNC_PROXY" && name != "RSYNC_CONNECT_PROG"
		return own || name == "LC_ALL" || a.Daemon && a.User != "" && (name == "USER" || name == "LOGNAME")
	})
	keep = append(keep, "LC_ALL=C")
	if !a.Daemon {
		return keep
	}
	if a.User != "" {
		keep = append(keep, "USER="+a.User)
	}
	password := a.Password
	if password.Reveal() == "" {
		password = env.Password
	}
	if password.Reveal() != "" {
		keep = append(keep, "RSYNC_PASSWORD="+password.Reveal())
	}
	return keep
}

// run runs the program with more arguments. It has a session of its own, in
// which nothing can ask at the terminal, and all that it starts is killed when
// ctx is cancelled.
func (p *program) run(ctx context.Context, stdout io.Writer, args ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var messages head
	cmd := exec.CommandContext(ctx, p.path, append(slices.Clone(p.options), args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, stdout, &messages
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = endTime
	err := cmd.Run()
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return cause(err, messages.String())
}

// head keeps the beginning of what is written to it: the first messages tell
// what is wrong.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	const limit = 16 << 10
	h.Buffer.Write(p[:min(len(p), max(0, limit-h.Len()))])
	return len(p), nil
}
