package mysqlfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"tklbam/pkg/command"
)

// DebianConfig has the credentials that Debian's servers are maintained with.
const DebianConfig = "/etc/mysql/debian.cnf"

// Access says how to reach a server. What is not set is for the client's own
// configuration files, ~/.my.cnf among them, and for the socket to settle.
type Access struct {
	DefaultsFile string // read in place of all configuration files
	Host, Socket string
	User         string
	Password     string // goes into a temporary file that only this user can read
}

// A Server runs the client programs of a server.
type Server struct {
	run     command.Runner
	options []string // of every client
	dump    string   // program
	client  string
	private string // file with the password; "" for none
}

// Open returns the server that access leads to. It connects to nothing yet. The
// client programs not being installed is an error that wraps fs.ErrNotExist.
func Open(run command.Runner, access Access) (*Server, error) {
	s := &Server{run: run}
	var err error
	if s.dump, err = program("mariadb-dump", "mysqldump"); err != nil {
		return nil, err
	}
	if s.client, err = program("mariadb", "mysql"); err != nil {
		return nil, err
	}
	return s, s.setAccess(access)
}

// Close removes what Open made.
func (s *Server) Close() error {
	if s.private == "" {
		return nil
	}
	return os.Remove(s.private)
}

// program returns the first of the programs that is installed.
func program(names ...string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find program %q in PATH: %w", names[0], fs.ErrNotExist)
}

func (s *Server) setAccess(a Access) error {
	file := a.DefaultsFile
	if a.Password != "" {
		var err error
		if s.private, err = passwordFile(a); err != nil {
			return fmt.Errorf("write down a password: %w", err)
		}
	}
	switch { // such an option must come first
	case s.private != "" && file == "":
		s.options = append(s.options, "--defaults-extra-file="+s.private)
	case s.private != "":
		s.options = append(s.options, "--defaults-file="+s.private)
	case file != "":
		s.options = append(s.options, "--defaults-file="+file)
	}
	for name, value := range map[string]string{"host": a.Host, "socket": a.Socket, "user": a.User} {
		if value != "" {
			s.options = append(s.options, "--"+name+"="+value)
		}
	}
	return nil
}

// passwordFile makes a file of options with the password behind those of the
// file that it stands for.
func passwordFile(a Access) (string, error) {
	f, err := os.CreateTemp("", "tklbam-*.cnf") // readable by its owner only
	if err != nil {
		return "", err
	}
	var text string
	if a.DefaultsFile != "" {
		abs, err := filepath.Abs(a.DefaultsFile)
		if err != nil {
			return "", errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
		text = "!include " + abs + "\n"
	}
	text += "[client]\npassword=\"" + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(a.Password) + "\"\n"
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// Installed reports whether a server is installed on this system, be it
// running or not. Administrators' programs need not be in PATH.
func Installed() bool {
	for _, name := range []string{"mariadbd", "mysqld"} {
		for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin", "/usr/libexec") {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
				return true
			}
		}
	}
	return false
}

// Find returns this system's server, reached with the first credentials that it
// accepts: those of debianConfig, if that is readable, and those of the
// client's own configuration. A server that is not installed is an error that
// wraps fs.ErrNotExist, one that does not run ErrDown, one that accepts
// neither ErrDenied.
func Find(ctx context.Context, run command.Runner, debianConfig string) (*Server, error) {
	if !Installed() {
		return nil, fmt.Errorf("find a MySQL or MariaDB server: %w", fs.ErrNotExist)
	}
	var first error
	for _, access := range []Access{{DefaultsFile: debianConfig}, {}} {
		if access.DefaultsFile != "" && !readable(access.DefaultsFile) {
			continue
		}
		s, err := Open(run, access)
		if err != nil {
			return nil, err
		}
		err = s.Check(ctx)
		if err == nil || ctx.Err() != nil {
			return s, err
		}
		if first == nil || errors.Is(err, ErrDenied) {
			first = err
		}
	}
	return nil, first
}

func readable(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// Check finds out whether the server answers. It returns an error that wraps
// ErrDown or ErrDenied where that is why not.
func (s *Server) Check(ctx context.Context) error {
	_, err := s.query(ctx, "SELECT 1")
	return err
}

// refusals are the client's error numbers that Check tells apart.
var refusals = []struct {
	number string
	err    error
}{
	{"ERROR 2002 ", ErrDown}, {"ERROR 2003 ", ErrDown}, {"ERROR 2005 ", ErrDown},
	{"ERROR 1045 ", ErrDenied}, {"ERROR 1698 ", ErrDenied}, {"ERROR 1130 ", ErrDenied}, {"ERROR 1524 ", ErrDenied},
	{"ERROR 1251 ", ErrDenied}, {"ERROR 2059 ", ErrDenied}, // by a method that the client lacks
	{"ERROR 3118 ", ErrDenied}, {"ERROR 4151 ", ErrDenied}, // locked
	{"ERROR 1820 ", ErrDenied}, {"ERROR 1862 ", ErrDenied}, // password expired
}

func refused(err error) error {
	for _, r := range refusals {
		if strings.Contains(err.Error(), r.number) {
			return fmt.Errorf("%w: %w", r.err, err)
		}
	}
	return err
}

// args returns the arguments of a program.
func (s *Server) args(program string, args ...string) []string {
	return append(append([]string{program}, s.options...), args...)
}

// query returns the rows of a statement.
func (s *Server) query(ctx context.Context, sql string) ([][]string, error) {
	var out bytes.Buffer
	err := s.run.Run(ctx, command.Command{
		Args:  s.args(s.client, "--batch", "--skip-column-names", "--default-character-set=utf8mb4"),
		Stdin: strings.NewReader(sql), Stdout: &out, Bound: true,
	})
	if err != nil {
		return nil, fmt.Errorf("ask the database server: %w", refused(err))
	}
	var rows [][]string
	for line := range strings.Lines(out.String()) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for i, f := range fields {
			fields[i] = unescapeBatch.Replace(f)
		}
		rows = append(rows, fields)
	}
	return rows, nil
}

// unescapeBatch undoes what the client's option --batch does to values.
var unescapeBatch = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t", `\0`, "\x00")

// maxPacket lets rows of any size the server takes through a client: its limit
// in bytes, which is the protocol's.
const maxPacket = "--max-allowed-packet=1073741824"

// complaints keeps the lines that a program writes to its standard error, as
// far as they are complaints, and not too many.
type complaints struct {
	prefix string // of those that count; clients quote statements, with what is in them
	lines  []string
	part   []byte
}

const (
	maxComplaints = 100
	maxComplaint  = 1000 // bytes of one that are kept
)

// Write implements io.Writer.
func (c *complaints) Write(p []byte) (int, error) {
	rest := p
	for {
		line, after, found := bytes.Cut(rest, newline)
		c.part = append(c.part, line[:min(len(line), max(0, maxComplaint-len(c.part)))]...)
		if !found {
			return len(p), nil
		}
		c.add(strings.TrimSpace(string(c.part)))
		c.part, rest = c.part[:0], after
	}
}

// add keeps a line, unless it is a warning.
func (c *complaints) add(line string) {
	warning := strings.HasPrefix(line, "Warning:") || strings.Contains(line, "[Warning]")
	if line != "" && strings.HasPrefix(line, c.prefix) && !warning && len(c.lines) < maxComplaints {
		c.lines = append(c.lines, line)
	}
}

// all returns the lines, the last one even if it has no end.
func (c *complaints) all() []string {
	c.add(strings.TrimSpace(string(c.part)))
	c.part = nil
	return c.lines
}

// err returns the complaints as an error, nil if there are none.
func (c *complaints) err() error {
	if lines := c.all(); len(lines) > 0 {
		return errors.New(strings.Join(lines, "; "))
	}
	return nil
}

// pipeSize is the length of a pipe's buffer in bytes.
const pipeSize = 1 << 20

// pipe runs a program, of which one of the standard streams, its input or its
// output, is a pipe that with has the other end of. It returns the program's
// error, and that of with, which ends the program.
func (s *Server) pipe(ctx context.Context, c command.Command, input bool, with func(*os.File) error) (program, ours error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if err := widenPipe(r); err != nil {
		return nil, errors.Join(err, r.Close(), w.Close())
	}
	theirs, mine := r, w
	if input {
		c.Stdin = r
	} else {
		c.Stdout = w
		theirs, mine = w, r
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	c.Bound = true // what is left in the pipe is not for it, should this process be killed
	go func() {
		err := s.run.Run(ctx, c)
		done <- errors.Join(err, theirs.Close())
	}()
	ours = with(mine)
	if errors.Is(ours, syscall.EPIPE) { // it has ended, and says itself why
		ours = nil
	}
	if ours != nil {
		cancel()
	}
	ours = errors.Join(ours, mine.Close())
	return <-done, ours
}

// widenPipe has fewer and larger pieces go through a pipe. What the system
// does not grant is no loss.
func widenPipe(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return conn.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
}
