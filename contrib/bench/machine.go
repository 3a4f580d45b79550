package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// method is how the figures are taken, for whoever reads them elsewhere.
const method = `Taken by ` + "`make bench`" + `, all in one run: every scenario with one tool after the
other, each with a repository of its own on the same file system, with its
default settings, the tree in the page cache, and nothing left to be written
when it starts. CPU time is user and system, with child processes. Peak memory
is what a command and its child processes have resident together, looked at
every 20 ms, or what its largest process had by wait4, whichever is more. Stored
bytes are what the repository grew by. The CPU time of others is what the rest
of the machine used meanwhile: where it is not small, times are too long.
Restored trees are compared with what was backed up, untimed. A MB is a million
bytes.

Restores make many files, and ext4 is several times slower at that for some
minutes after as many were removed: no tree is removed during a run, and
restores are compared no earlier than six minutes after its start.
`

// A machine is what a run was taken on, and with.
type machine struct {
	facts      []string
	usage      []string
	corpus     census
	seed       uint64
	scale      float64
	began      time.Time
	took       time.Duration
	load, then string
}

func describeMachine(dir string, tools []*tool, o options) *machine {
	m := &machine{seed: o.seed, scale: o.scale, began: time.Now(), load: loadAverage()}
	m.facts = []string{
		fmt.Sprintf("%d cores of %s, %s of memory", runtime.NumCPU(), field("/proc/cpuinfo", "model name"), memory()),
		fmt.Sprintf("%s, Linux %s, %s", field("/etc/os-release", "PRETTY_NAME"), kernel(), fileSystem(dir)),
	}
	for _, t := range tools {
		m.facts = appendNew(m.facts, t.tellVersion())
		for _, line := range t.usage() {
			m.usage = appendNew(m.usage, line)
		}
	}
	if out, err := exec.Command("gpg", "--version").Output(); err == nil {
		line, _, _ := strings.Cut(string(out), "\n")
		m.facts = append(m.facts, line)
	}
	return m
}

func appendNew(list []string, line string) []string {
	if slices.Contains(list, line) {
		return list
	}
	return append(list, line)
}

func (m *machine) finish(took time.Duration) { m.took, m.then = took, loadAverage() }

func (m *machine) lines() []string {
	lines := append([]string{}, m.facts...)
	if m.corpus.files > 0 {
		lines = append(lines, fmt.Sprintf("corpus: %d files of %s, seed %d, scale %v", m.corpus.files, amount(m.corpus.bytes), m.seed, m.scale))
	}
	return append(lines, fmt.Sprintf("%s, in %s; load average before %s, after %s",
		m.began.UTC().Format("2006-01-02 15:04 MST"), m.took.Round(time.Second), m.load, m.then))
}

// field is the value behind a name in a file of "name: value" or "name=value"
// lines.
func field(path, name string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.Trim(rest, ":=\"\t \n")
		}
	}
	return "unknown"
}

func memory() string {
	var kb int64
	if _, err := fmt.Sscanf(field("/proc/meminfo", "MemTotal"), "%d kB", &kb); err != nil {
		return "an unknown amount"
	}
	return fmt.Sprintf("%.1f GB", float64(kb<<10)/1e9)
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return string(bytes.TrimRight(u.Release[:], "\x00"))
}

// fileSystem is the type of the one that dir is on, by the longest mount
// point above it.
func fileSystem(dir string) string {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "unknown file system"
	}
	var best, kind string
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 3 || len(f[1]) < len(best) {
			continue
		}
		if rel, err := filepath.Rel(f[1], dir); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			best, kind = f[1], f[2]
		}
	}
	return kind
}

func loadAverage() string {
	raw, err := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(raw))
	if err != nil || len(f) < 3 {
		return "unknown"
	}
	return strings.Join(f[:3], " ")
}
