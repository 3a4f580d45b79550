package sftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"tklbam/backends"

	"golang.org/x/crypto/ssh"
)

// shellFiles are the files of a server that has no SFTP and lets its users run
// programs: sh, cat, ls, wc, mv, rm, mkdir, find, df and sync. The content goes
// through cat. The protocol of scp would need its length before the first
// byte, which a Put does not know.
//
// Each program is an SSH session, of which a server takes only so many per
// connection: then there is another connection.
type shellFiles struct {
	dial func(context.Context) (*link, error)

	growing chan struct{} // holds one value, which who makes a connection has taken
	mu      sync.Mutex
	links   []*link
}

// The scripts are constant, and without quotes, so that they need none of the
// server's login shell: it passes them and their arguments on to sh. What
// varies is in the arguments, paths that start with "/" or "./".
const (
	// scriptSetup makes messages and formats those of POSIX.
	scriptSetup = `LC_ALL=C; export LC_ALL; unset TIME_STYLE QUOTING_STYLE LS_BLOCK_SIZE BLOCK_SIZE BLOCKSIZE DF_BLOCK_SIZE LS_COLORS; `

	scriptHello = `echo tklbam`
	scriptList  = `cd "$1" && ls -ln`
	scriptStale = `cd "$1" && find . -name . -o -prune -name ".tklbam-*.tmp" -type f -mtime +0 -print`
	// The empty line says that the file could be opened.
	scriptOpen = `if test -f "$1"; then exec <"$1" || exit 1; echo; exec cat; fi; ` +
		`test -e "$1" && exit 3; ls -dL "$1" >/dev/null; exit 1`
	scriptCreate = `umask 077; set -C; exec 3>"$1" || exit 1; echo; cat >&3 || exit 1; exec 3>&-; ` +
		`{ sync "$1" 2>/dev/null || sync; } && wc -c <"$1"`
	scriptRename = `test -d "$2" && exit 3; exec mv -f "$1" "$2"`
	scriptRemove = `exec rm -f "$1"`
	scriptCheck  = `if test -d "$1"; then cd "$1"; exit; fi; test -e "$1" && exit 4; ls -dL "$1" >/dev/null; exit 1`
	scriptMake   = `umask 077; exec mkdir -p "$1"`
	scriptFree   = `exec df -Pk "$1"`

	exitNoFile = 3
	exitNotDir = 4
)

// startShell tries whether the server runs programs, and whether its login
// scripts are silent: what they print would get into the data.
func startShell(ctx context.Context, l *link, dial func(context.Context) (*link, error)) (*shellFiles, error) {
	s := &shellFiles{dial: dial, growing: make(chan struct{}, 1), links: []*link{l}}
	s.growing <- struct{}{}
	out, err := s.run(ctx, scriptHello)
	if err == nil && string(out) != "tklbam\n" {
		err = fmt.Errorf("for %q it prints %q: its login scripts must print nothing", scriptHello, printable(string(out)))
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// quote quotes a text for the shells of Bourne, C and fish alike.
func quote(text string) string {
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+:,./_-") == "" {
		return text
	}
	r := strings.NewReplacer(`'`, `'\''`, `\`, `'\\'`)
	return "'" + r.Replace(text) + "'"
}

// commandLine returns what the login shell is given.
func commandLine(script string, paths []string) string {
	words := []string{"exec", "sh", "-c", quote(scriptSetup + script), "sh"}
	for _, p := range paths {
		words = append(words, quote(shellPath(p)))
	}
	return strings.Join(words, " ")
}

// shellPath makes a path one that no program takes for an option.
func shellPath(p string) string {
	if strings.HasPrefix(p, "/") {
		return p
	}
	return "./" + p
}

// A command is a script that runs.
type command struct {
	link    *link
	session *ssh.Session
	stdin   io.WriteCloser
	stdout  io.Reader
	stderr  tail
}

// tail keeps the end of what a program has to say. A program that stops is
// likely to say why at the end.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 2000

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > tailSize {
		t.text = append(t.text[:0], t.text[len(t.text)-tailSize:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

func (s *shellFiles) start(ctx context.Context, script string, paths ...string) (*command, error) {
	c, err := s.session(ctx)
	if err != nil {
		return nil, err
	}
	c.session.Stderr = &c.stderr
	var inErr, outErr error
	c.stdin, inErr = c.session.StdinPipe()
	c.stdout, outErr = c.session.StdoutPipe()
	err = errors.Join(inErr, outErr)
	if err == nil {
		err = awaitError(ctx, func() error { return c.session.Start(commandLine(script, paths)) })
	}
	if err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

// kill ends a command without waiting for it.
func (c *command) kill() { go c.session.Close() }

// wait waits for the end of a command whose output has ended, and closes its
// session. That the output ended with the connection the status does not show:
// servers send it before the last of the output.
func (c *command) wait(ctx context.Context) error {
	err := awaitError(ctx, c.session.Wait)
	if lost := c.link.confirm(ctx); lost != nil {
		err = lost
	}
	c.kill()
	var exit *ssh.ExitError
	switch {
	case !errors.As(err, &exit):
		return err
	case exit.ExitStatus() == exitNoFile:
		return errNoFile
	case exit.ExitStatus() == exitNotDir:
		return errNotDir
	case c.stderr.String() == "":
		return fmt.Errorf("the server's command ends with status %d", exit.ExitStatus())
	}
	return messageCause(c.stderr.String())
}

// run runs a command without input and returns what it prints.
func (s *shellFiles) run(ctx context.Context, script string, paths ...string) ([]byte, error) {
	c, err := s.start(ctx, script, paths...)
	if err != nil {
		return nil, err
	}
	closeErr := c.stdin.Close()
	out, err := await(ctx, func() ([]byte, error) { return io.ReadAll(c.stdout) }, nil)
	if waitErr := c.wait(ctx); waitErr != nil {
		return out, waitErr
	}
	if errors.Is(closeErr, io.EOF) { // it ended before
		closeErr = nil
	}
	return out, errors.Join(err, cause(closeErr))
}

// session opens a session on the first connection that gives one.
func (s *shellFiles) session(ctx context.Context) (*command, error) {
	c, err := s.oneOf(ctx, s.standing())
	if !isRefused(err) {
		return c, err
	}
	select {
	case <-s.growing:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { s.growing <- struct{}{} }()
	if c, err = s.oneOf(ctx, s.standing()); !isRefused(err) { // another made one meanwhile
		return c, err
	}
	l, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.links = append(s.links, l)
	s.mu.Unlock()
	return s.oneOf(ctx, []*link{l})
}

// oneOf opens a session on one of the connections. The error that isRefused
// is that none gives another.
func (s *shellFiles) oneOf(ctx context.Context, links []*link) (*command, error) {
	var refused error
	for i := len(links) - 1; i >= 0; i-- { // the newest has the most to give
		session, err := links[i].session(ctx)
		if err == nil {
			return &command{link: links[i], session: session}, nil
		}
		if refused = err; !isRefused(err) {
			break
		}
	}
	return nil, refused
}

// standing returns the connections, after leaving out broken ones behind the
// first.
func (s *shellFiles) standing() []*link {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.links[:1:1]
	for _, l := range s.links[1:] {
		if l.live() {
			kept = append(kept, l)
		}
	}
	s.links = kept
	return kept
}

func (s *shellFiles) live() bool { return s.standing()[0].live() }

func (s *shellFiles) close() error {
	var errs []error
	for _, l := range s.standing() {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// entries implements files. Links are not followed. A file that goes while ls
// looks at it makes ls complain, and is no reason to.
func (s *shellFiles) entries(ctx context.Context, dir string) ([]entry, error) {
	c, err := s.start(ctx, scriptList, dir)
	if err != nil {
		return nil, err
	}
	out, err := await(ctx, func() ([]byte, error) { return io.ReadAll(c.stdout) }, nil)
	if err != nil {
		c.kill()
		return nil, err
	}
	if err := c.wait(ctx); err != nil && !c.onlyMisses() {
		return nil, err
	}
	var all []entry
	for line := range strings.Lines(string(out)) {
		if e, ok := parseListing(strings.TrimSuffix(line, "\n")); ok {
			all = append(all, e)
		}
	}
	return all, nil
}

// onlyMisses reports whether all that ls complained about is files that went.
func (c *command) onlyMisses() bool {
	text := c.stderr.String()
	if len(text) >= tailSize || text == "" {
		return false
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "ls: ") || !strings.HasSuffix(strings.TrimSpace(line), "No such file or directory") {
			return false
		}
	}
	return true
}

// parseListing takes a line of ls -ln (POSIX, "ls", "STDOUT"): mode, links,
// owner, group, size, three words of a date, one blank, name.
func parseListing(line string) (entry, bool) {
	const words = 8
	fields := make([]string, 0, words)
	rest := line
	for range words {
		field, after, found := strings.Cut(strings.TrimLeft(rest, " "), " ")
		if !found {
			return entry{}, false
		}
		fields, rest = append(fields, field), after
	}
	size, err := strconv.ParseInt(fields[4], 10, 64)
	if err != nil || size < 0 {
		return entry{}, false // a device has two numbers there
	}
	return entry{name: rest, regular: fields[0][0] == '-', size: size}, true
}

// stale implements files. find goes by the server's clock itself.
func (s *shellFiles) stale(ctx context.Context, dir, _ string) ([]string, error) {
	out, err := s.run(ctx, scriptStale, dir)
	var names []string
	for line := range strings.Lines(string(out)) {
		if name := strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "./"); backends.IsTemp(name) {
			names = append(names, name)
		}
	}
	return names, err
}

// open implements files.
func (s *shellFiles) open(ctx context.Context, path string) (io.ReadCloser, error) {
	c, err := s.start(ctx, scriptOpen, path)
	if err != nil {
		return nil, err
	}
	if err := c.begun(ctx); err != nil {
		return nil, err
	}
	pr, pw := io.Pipe()
	stop := context.AfterFunc(ctx, func() { pr.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.Copy(pw, c.stdout)
		if err == nil {
			err = c.wait(ctx)
		}
		c.kill()
		pw.CloseWithError(cause(err)) // end of file if there is none
	}()
	return &shellReader{ctx, pr, stop}, nil
}

// begun waits for the empty line of a script, or for the error it ends with.
func (c *command) begun(ctx context.Context) error {
	var line [1]byte
	_, err := await(ctx, func() (int, error) { return io.ReadFull(c.stdout, line[:]) }, nil)
	if err == nil && line[0] != '\n' {
		err = errors.New("the server prints what it was not told to")
	}
	if err == nil {
		return nil
	}
	if waitErr := c.wait(ctx); waitErr != nil {
		return waitErr
	}
	return err
}

// shellReader reads what cat prints.
type shellReader struct {
	ctx  context.Context
	pipe *io.PipeReader
	stop func() bool
}

func (r *shellReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.pipe.Read(p)
}

func (r *shellReader) Close() error {
	r.stop()
	return r.pipe.Close()
}

// create implements files.
func (s *shellFiles) create(ctx context.Context, path string) (upload, error) {
	c, err := s.start(ctx, scriptCreate, path)
	if err != nil {
		return nil, err
	}
	if err := c.begun(ctx); err != nil {
		return nil, err
	}
	pr, pw := io.Pipe()
	u := &shellUpload{ctx: ctx, command: c, pipe: pw, sent: make(chan error, 1)}
	u.stop = context.AfterFunc(ctx, func() { pr.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.CopyBuffer(c.stdin, pr, make([]byte, bufferSize))
		pr.CloseWithError(u.failure(err))
		u.sent <- err
	}()
	return u, nil
}

// shellUpload implements upload: a goroutine hands on what is written, so that
// a server which stands still holds up nobody who is cancelled.
type shellUpload struct {
	ctx     context.Context
	command *command
	pipe    *io.PipeWriter
	stop    func() bool
	sent    chan error // the result of sending all
}

// failure returns why content could not be sent: when the program has ended,
// its own reason.
func (u *shellUpload) failure(err error) error {
	if errors.Is(err, io.EOF) {
		if err := u.command.wait(u.ctx); err != nil {
			return err
		}
	}
	return cause(err)
}

func (u *shellUpload) Write(p []byte) (int, error) { return u.pipe.Write(p) }

func (u *shellUpload) finish() (int64, error) {
	u.pipe.Close() // gives no error
	defer u.stop()
	select {
	case err := <-u.sent:
		if err != nil {
			return 0, u.failure(err)
		}
	case <-u.ctx.Done():
		return 0, u.ctx.Err()
	}
	if err := u.command.stdin.Close(); err != nil && !errors.Is(err, io.EOF) {
		return 0, cause(err)
	}
	out, err := await(u.ctx, func() ([]byte, error) { return io.ReadAll(u.command.stdout) }, nil)
	if err := errors.Join(u.command.wait(u.ctx), err); err != nil {
		return 0, err
	}
	size, err := strconv.ParseInt(string(bytes.TrimSpace(out)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the server gives %q as a length", printable(string(out)))
	}
	return size, nil
}

func (u *shellUpload) abandon() {
	u.stop()
	u.pipe.CloseWithError(io.ErrClosedPipe)
	u.command.kill()
}

func (s *shellFiles) rename(ctx context.Context, from, to string) error {
	_, err := s.run(ctx, scriptRename, from, to)
	return err
}

func (s *shellFiles) remove(ctx context.Context, path string) error {
	_, err := s.run(ctx, scriptRemove, path)
	return err
}

func (s *shellFiles) checkDir(ctx context.Context, path string) error {
	_, err := s.run(ctx, scriptCheck, path)
	return err
}

func (s *shellFiles) makeDir(ctx context.Context, path string) error {
	_, err := s.run(ctx, scriptMake, path)
	return err
}

// free implements files. The fourth column of df is what is available; the
// first may hold blanks, so that columns count from the one in percent.
func (s *shellFiles) free(ctx context.Context, dir string) (uint64, error) {
	out, err := s.run(ctx, scriptFree, dir)
	if err != nil {
		return 0, err
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	fields := strings.Fields(lines[len(lines)-1])
	for i := 1; i < len(fields); i++ {
		if kib, err := strconv.ParseUint(fields[i-1], 10, 54); err == nil && strings.HasSuffix(fields[i], "%") {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("the server gives %q as its free space", printable(string(out)))
}
