package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// baseVar names a directory with a system that an earlier run made, to save
// the time: what is in it is only read.
const baseVar = "TKLBAM_TEST_DEBIAN"

// enter runs a command in a system: $1 is its root, then come pairs of a
// directory and the place below the root where it is to be seen, then "--"
// and the command. It is run in a mount name space of its own, which ends
// with the last process in it: there is nothing to unmount, whatever happens.
const enter = `
root=$1; shift
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount --bind /dev "$root/dev"
while [ "$1" != -- ]; do mount --bind "$1" "$root$2"; shift 2; done
shift
exec chroot "$root" "$@"`

// apart are the words that run a command in name spaces of its own: without
// a network, where that is asked for, so that no test needs one.
func apart(network bool) []string {
	words := []string{"unshare", "--mount", "--propagation", "private"}
	if !network {
		words = append(words, "--net")
	}
	return words
}

// A machine is a Debian system in a directory, with this program installed.
// Only the directories in mounts, by the place they have in it, are shared
// with others.
type machine struct {
	t      testing.TB
	root   string
	mounts map[string]string
	init   string // process id of the first process of one that was booted
}

// otherDisk is where machines see the disk that backups go to.
const otherDisk = "/mnt/otherdisk"

// newMachine makes a machine as it is after its installation. It sees the
// directory disk as its other disk, and gets packages from repo.
func newMachine(t testing.TB, name, disk, repo string) *machine {
	t.Helper()
	return newMachineOf(t, debian(t), name, disk, repo)
}

// newMachineOf makes one of another base.
func newMachineOf(t testing.TB, from, name, disk, repo string) *machine {
	t.Helper()
	m := &machine{t: t, root: filepath.Join(tempDir(t), name), mounts: map[string]string{otherDisk: disk, "/mnt/repo": repo}}
	copyTree(t, from, m.root)
	for path, content := range map[string]string{
		"/etc/hostname":                 name + "\n",
		"/etc/machine-id":               fmt.Sprintf("%032x\n", name),
		"/etc/fstab":                    "UUID=" + name + " / ext4 defaults 0 1\n",
		"/etc/ssh/ssh_host_ed25519_key": "key of " + name + "\n",
		"/etc/network/interfaces":       "# network of " + name + "\n",
		"/etc/apt/sources.list":         "deb [trusted=yes] file:/mnt/repo ./\n",
	} {
		m.write(path, content)
	}
	return m
}

// copyTree copies a directory with all that is in it.
func copyTree(t testing.TB, from, to string) {
	t.Helper()
	if r := run(t, exec.Command("cp", "-a", "--reflink=auto", from, to)); r.code != 0 {
		t.Fatalf("copy %s: %s", from, r.output())
	}
}

// needsSystems skips a test that runs in systems of its own where that is not
// possible, or fails it in CI.
func needsSystems(t testing.TB) {
	t.Helper()
	needs(t, "debootstrap", "unshare", "chroot", "mount", "dpkg-deb")
	words := append(apart(false), "mount", "-t", "tmpfs", "tmpfs", "/mnt")
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("this test takes root and name spaces: %s", out)
		}
		t.Skipf("this test takes root and name spaces: %s", out)
	}
}

// debian returns the directory of the system that machines are copies of.
func debian(t testing.TB) string {
	t.Helper()
	needsSystems(t)
	dir, err := base()
	if errors.Is(err, errBootstrap) && os.Getenv("CI") != "true" {
		t.Skip(err) // the archive of the distribution can't be reached, say
	}
	ok(t, err)
	return dir
}

var errBootstrap = errors.New("debootstrap makes no system here")

// base makes that system, once.
var base = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(built, "debian")
	from := os.Getenv(baseVar)
	if from == "" {
		if err := bootstrap(dir); err != nil {
			return "", err
		}
	} else if out, err := exec.Command("cp", "-a", from, dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("copy %s: %w\n%s", from, err, out)
	}
	return dir, install(dir)
})

// bootstrap installs a minimal system, from where this machine was.
func bootstrap(dir string) error {
	mirror, suite, err := archive()
	if err != nil {
		return err
	}
	words := append(apart(true), "debootstrap", "--variant=minbase", "--include=cron,bzip2", suite, dir, mirror)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %w\n%s", errBootstrap, err, out)
	}
	var errs []error
	for _, p := range []string{"usr/share/doc", "usr/share/locale", "usr/share/man", "var/lib/apt/lists", "var/cache/apt"} {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, p)))
	}
	return errors.Join(errs...)
}

// archive finds out where the packages of this machine's distribution come
// from, and the name of its release.
func archive() (mirror, suite string, err error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(release)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			suite = strings.Trim(v, `"`)
		}
	}
	files, err := filepath.Glob("/etc/apt/sources.list.d/*")
	if err != nil {
		return "", "", err
	}
	for _, name := range append(files, "/etc/apt/sources.list") {
		text, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", "", err
		}
		if mirror := mirrorOf(string(text), suite); mirror != "" {
			return mirror, suite, nil
		}
	}
	return "", "", fmt.Errorf("apt has no source for %q", suite)
}

// mirrorOf finds the address of a suite in a list of sources, of either form.
func mirrorOf(text, suite string) string {
	var uri string
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		for i := 1; i < len(words); i++ {
			switch {
			case words[0] == "URIs:":
				uri = words[i]
			case words[0] == "Suites:" && words[i] == suite:
				return uri
			case words[0] == "deb" && words[i] == suite:
				return words[i-1]
			}
		}
	}
	return ""
}

// install puts the program and places to mount at into a new system.
func install(dir string) error {
	program := filepath.Join(dir, "usr/bin/tklbam")
	errs := []error{
		os.MkdirAll(filepath.Join(dir, otherDisk), 0o755),
		os.MkdirAll(filepath.Join(dir, "mnt/repo"), 0o755),
		os.MkdirAll(filepath.Join(dir, "mnt/own"), 0o755),
		os.MkdirAll(filepath.Join(dir, "etc/ssh"), 0o755),
		os.MkdirAll(filepath.Join(dir, "etc/network"), 0o755),
		os.MkdirAll(filepath.Join(dir, "var/lib/apt/lists/partial"), 0o755),
		os.MkdirAll(filepath.Join(dir, "var/cache/apt/archives/partial"), 0o755),
		exec.Command("cp", filepath.Join(built, "tklbam"), program).Run(),
	}
	for _, c := range commands {
		errs = append(errs, os.Symlink("tklbam", program+"-"+c))
	}
	return errors.Join(errs...)
}

// path is a path of the machine as this test sees it.
func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

// command prepares a run of a command on the machine.
func (m *machine) command(args ...string) *exec.Cmd {
	words := m.enter()
	if m.init != "" {
		words = []string{"nsenter", "--target=" + m.init, "--mount", "--net", "--pid", "--root", "--wdns=/"}
	}
	words = append(append(words, "--"), args...)
	cmd := exec.CommandContext(m.t.Context(), words[0], words[1:]...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TZ=UTC", "LANG=C", "USER=root"}
	cmd.Dir = "/"
	return cmd
}

// enter are the words that run a command on the machine by itself.
func (m *machine) enter(more ...string) []string {
	words := append(append(apart(false), more...), "sh", "-ec", enter, "sh", m.root)
	for at, dir := range m.mounts {
		words = append(words, dir, at)
	}
	return words
}

// boot gives the machine processes that outlive a command, for services. They
// end with the test.
func (m *machine) boot() {
	m.t.Helper()
	words := append(m.enter("--pid", "--fork", "--kill-child"), "--", "sh", "-c", "echo; while :; do sleep 0.1; done") // it reaps
	cmd := exec.Command(words[0], words[1:]...)
	out, err := cmd.StdoutPipe()
	ok(m.t, err)
	ok(m.t, cmd.Start())
	m.t.Cleanup(func() {
		ok(m.t, cmd.Process.Kill())
		cmd.Wait() // which tells of the kill
	})
	_, err = out.Read(make([]byte, 1))
	ok(m.t, err)
	m.init = children(m.t, cmd.Process.Pid)[0]
	r := run(m.t, exec.Command("nsenter", "--target="+m.init, "--net", "ip", "link", "set", "lo", "up"))
	says(m.t, r, 0)
}

// children are the ids of the processes that one has started.
func children(t testing.TB, pid int) []string {
	t.Helper()
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Fields(string(list))
}

func (m *machine) run(args ...string) result {
	m.t.Helper()
	return run(m.t, m.command(args...))
}

// must runs a command that has to succeed.
func (m *machine) must(args ...string) result {
	m.t.Helper()
	r := m.run(args...)
	if r.code != 0 {
		m.t.Fatalf("%q: exit status %d\n%s", args, r.code, r.output())
	}
	return r
}

// quiet runs a command that has to succeed without a word on standard error.
func (m *machine) quiet(args ...string) result {
	m.t.Helper()
	r := m.must(args...)
	if r.stderr != "" {
		m.t.Errorf("%q says:\n%s", args, r.stderr)
	}
	return r
}

// fails runs a command that has to exit with a status and say all the words.
func (m *machine) fails(code int, words []string, args ...string) result {
	m.t.Helper()
	r := m.run(args...)
	says(m.t, r, code, words...)
	return r
}

// shell runs lines as somebody types them, up to the first that fails.
func (m *machine) shell(script string) result {
	m.t.Helper()
	return m.typed("", script)
}

// typed does so with something on standard input.
func (m *machine) typed(stdin, script string) result {
	m.t.Helper()
	cmd := m.command("bash", "-ec", script)
	cmd.Stdin = strings.NewReader(stdin)
	r := run(m.t, cmd)
	if r.code != 0 {
		m.t.Fatalf("%s\nexit status %d\n%s", script, r.code, r.output())
	}
	return r
}

func says(t testing.TB, r result, code int, words ...string) {
	t.Helper()
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return strings.Contains(r.output(), w) })
	if r.code != code || len(words) > 0 {
		t.Errorf("exit status %d, want %d, and no word of %q:\n%s", r.code, code, words, r.output())
	}
}

func (m *machine) write(path, content string) {
	m.t.Helper()
	ok(m.t, os.MkdirAll(filepath.Dir(m.path(path)), 0o755))
	ok(m.t, os.WriteFile(m.path(path), []byte(content), 0o644))
}

func (m *machine) read(path string) string {
	m.t.Helper()
	content, err := os.ReadFile(m.path(path))
	ok(m.t, err)
	return string(content)
}

// holds checks the content of a file.
func (m *machine) holds(path, want string) {
	m.t.Helper()
	content, err := os.ReadFile(m.path(path))
	if err != nil || string(content) != want {
		m.t.Errorf("%s holds %q, %v; want %q", path, content, err, want)
	}
}

// lacks checks that nothing is at the paths.
func (m *machine) lacks(paths ...string) {
	m.t.Helper()
	for _, p := range paths {
		if _, err := os.Lstat(m.path(p)); !errors.Is(err, os.ErrNotExist) {
			m.t.Errorf("%s is there, %v", p, err)
		}
	}
}

// lines are the lines of a file, as a set.
func (m *machine) lines(path string) map[string]bool {
	m.t.Helper()
	set := map[string]bool{}
	for line := range strings.Lines(m.read(path)) {
		set[strings.TrimSuffix(line, "\n")] = true
	}
	return set
}

// look reads the whole machine.
func (m *machine) look() tree {
	m.t.Helper()
	return look(m.t, m.root)
}
