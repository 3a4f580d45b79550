package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// built holds the binary, under all the names it goes by, and below it every
// test's own directory. Its path is short: sockets of gpg-agent lie in it.
var built string

var commands = []string{"init", "passphrase", "escrow", "backup", "restore", "restore-rollback", "status", "cleanup", "copy", "internal"}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	syscall.Umask(0o022)
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer discard(dir)
	built = dir
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func build(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "tklbam"), "tklbam")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	for _, c := range commands {
		if err := os.Symlink("tklbam", filepath.Join(dir, "tklbam-"+c)); err != nil {
			return err
		}
	}
	return nil
}

// discard removes a directory, with directories that shut their owner out.
func discard(dir string) {
	var err error
	if os.Getuid() != 0 {
		err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if d != nil && d.IsDir() {
				return os.Chmod(path, 0o700)
			}
			return err
		})
	}
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// needs skips a test where a program it needs is absent, or fails it in CI.
func needs(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", program)
		}
		t.Skipf("%s is not installed", program)
	}
}

// ok ends the test at an error.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tempDir makes a directory for the test that every user may enter.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(built, "t")
	ok(t, err)
	t.Cleanup(func() { discard(dir) })
	ok(t, os.Chmod(dir, 0o755))
	return dir
}

// A result is what a run of a program left.
type result struct {
	code           int
	stdout, stderr string
}

func (r result) output() string { return r.stdout + r.stderr }

// run runs a program to its end.
func run(t testing.TB, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%q: %v", cmd.Args, err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// A box is a system of its own for the program: registry, configuration,
// cache and scratch directory, with an encryption key. Its storage is the
// usual target.
type box struct {
	t       testing.TB
	dir     string
	storage string
	target  string              // an address to use in the storage's place
	env     []string            // more variables
	user    *syscall.Credential // nil for the one who runs the test
}

func newBox(t testing.TB, conf ...string) *box {
	t.Helper()
	b := &box{t: t, dir: tempDir(t)}
	b.storage = b.path("storage")
	for _, d := range []string{"home", "home/.ssh", "conf", "tmp"} {
		ok(t, os.Mkdir(b.path(d), 0o755))
	}
	conf = append(conf, "cache-dir "+b.path("cache"))
	ok(t, os.WriteFile(b.path("conf/conf"), []byte(strings.Join(conf, "\n")+"\n"), 0o644))
	b.must("init", "--solo")
	return b
}

func (b *box) path(name string) string { return filepath.Join(b.dir, name) }

func address(dir string) string { return "--address=file://" + dir }

// address is the option for the box's target.
func (b *box) address() string {
	if b.target != "" {
		return "--address=" + b.target
	}
	return address(b.storage)
}

// command prepares a run of one of the program's commands.
func (b *box) command(name string, args ...string) *exec.Cmd {
	if name == "backup" || name == "restore" {
		args = append([]string{"--logfile=" + b.path("log")}, args...)
	}
	cmd := exec.CommandContext(b.t.Context(), filepath.Join(built, "tklbam-"+name), args...)
	cmd.Dir = b.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.path("home"), "TMPDIR=" + b.path("tmp"), "TZ=UTC",
		"TKLBAM_REGISTRY=" + b.path("registry"), "TKLBAM_CONF=" + b.path("conf"),
	}
	cmd.Env = append(cmd.Env, b.env...)
	if b.user != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: b.user}
	}
	return cmd
}

// run runs a command; a backup waits for others on this machine to end.
func (b *box) run(name string, args ...string) result {
	b.t.Helper()
	return b.runWith("", name, args...)
}

func (b *box) runWith(stdin, name string, args ...string) result {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		cmd := b.command(name, args...)
		cmd.Stdin = strings.NewReader(stdin)
		r := run(b.t, cmd)
		if !strings.Contains(r.stderr, "another backup is running") || time.Now().After(end) {
			return r
		}
	}
}

// must runs a command that has to succeed without a word on standard error.
func (b *box) must(name string, args ...string) result {
	b.t.Helper()
	r := b.run(name, args...)
	if r.code != 0 || r.stderr != "" {
		b.t.Fatalf("%s %q: exit status %d\n%s", name, args, r.code, r.output())
	}
	return r
}

// fails runs a command that has to exit with a status and say all of the
// words.
func (b *box) fails(code int, words []string, name string, args ...string) result {
	b.t.Helper()
	r := b.run(name, args...)
	b.says(r, code, words...)
	return r
}

func (b *box) says(r result, code int, words ...string) {
	b.t.Helper()
	if r.code != code {
		b.t.Errorf("exit status %d, want %d:\n%s", r.code, code, r.output())
	}
	for _, w := range words {
		if !strings.Contains(r.output(), w) {
			b.t.Errorf("no word of %q in:\n%s", w, r.output())
		}
	}
}

// A summary is the last line of a command's --json, for both backup and
// restore.
type summary struct {
	Event                        string
	Type, Reason                 string
	Time                         time.Time
	Files, New, Changed, Deleted int64
	Unchanged, Warnings, Lost    int64
	SourceBytes                  int64 `json:"source_bytes"`
	ReadBytes                    int64 `json:"read_bytes"`
	StoredBytes                  int64 `json:"stored_bytes"`
	Volumes, Sets                int
	Resumed                      bool
	NextFull                     time.Time `json:"next_full"`
}

// events parses a command's --json, one object a line, the summary last.
func events(t testing.TB, r result) (all []map[string]any, sum summary) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
	for _, line := range lines {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q is no JSON: %v\n%s", line, err, r.output())
		}
		all = append(all, e)
	}
	ok(t, json.Unmarshal([]byte(lines[len(lines)-1]), &sum))
	if sum.Event != "summary" {
		t.Fatalf("the last line is no summary: %s", r.output())
	}
	return all, sum
}

// backup backs a directory up to the box's target. It has to succeed without
// a warning, but for one that comes of sessions following each other within a
// second: each then is dated a second after the one before.
func (b *box) backup(src string, args ...string) summary {
	b.t.Helper()
	r := b.must("backup", append([]string{"--json", "--raw-upload=" + src, b.address()}, args...)...)
	all, sum := events(b.t, r)
	for _, e := range all {
		text, _ := e["text"].(string)
		if e["event"] == "warning" && !strings.Contains(text, "in the future") {
			b.t.Errorf("backup with a warning: %s", text)
		}
	}
	return sum
}

// restore restores from the box's target into a new directory and returns
// what that holds then. It has to succeed without a warning.
func (b *box) restore(args ...string) tree {
	b.t.Helper()
	dst := filepath.Join(tempDir(b.t), "out")
	if b.user != nil {
		ok(b.t, os.Chown(filepath.Dir(dst), int(b.user.Uid), int(b.user.Gid)))
	}
	r := b.must("restore", append([]string{"--json", "--raw-download=" + dst, b.address()}, args...)...)
	if _, sum := events(b.t, r); sum.Warnings != 0 {
		b.t.Errorf("restore with warnings:\n%s", r.output())
	}
	got := look(b.t, dst)
	discard(filepath.Dir(dst))
	return got
}

// A point is a state of a tree that a chain holds.
type point struct {
	at   time.Time
	tree tree
}

// timeArg asks for the state of the point.
func (p point) timeArg() string { return "--time=" + p.at.UTC().Format(time.RFC3339) }

// secret is the box's encryption key.
func (b *box) secret() string {
	b.t.Helper()
	raw, err := os.ReadFile(b.path("registry/secret"))
	ok(b.t, err)
	return strings.TrimSpace(string(raw))
}

// stored lists the files of a target with their sizes.
func stored(t testing.TB, dir string) map[string]int64 {
	t.Helper()
	list := map[string]int64{}
	entries, err := os.ReadDir(dir)
	ok(t, err)
	for _, e := range entries {
		info, err := e.Info()
		ok(t, err)
		list[e.Name()] = info.Size()
	}
	return list
}

func (b *box) write(path, content string) {
	b.t.Helper()
	ok(b.t, os.WriteFile(path, []byte(content), 0o600))
}

func unmarshal(t testing.TB, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
}
