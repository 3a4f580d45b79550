package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recorder is a hook that keeps how it was called, and fails where it is told
// to.
const recorder = `#!/bin/sh
{ echo "$1 $2 in $PWD"; env | grep ^TKLBAM_ | sort; echo; } >> /mnt/otherdisk/calls
[ "$(cat /mnt/otherdisk/fail 2>/dev/null)" != "$1 $2" ] || { echo no; exit 7; }
`

// A call is what a hook recorded: what it was called with, and the variables
// that were set.
type call struct {
	words string
	env   map[string]string
}

// calls reads what the recorder kept since it was last asked.
func calls(t testing.TB, disk string) (list []call) {
	t.Helper()
	path := filepath.Join(disk, "calls")
	text, err := os.ReadFile(path)
	ok(t, err)
	ok(t, os.Remove(path))
	for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		lines := strings.Split(block, "\n")
		c := call{lines[0], map[string]string{}}
		for _, line := range lines[1:] {
			name, value, _ := strings.Cut(line, "=")
			c.env[name] = value
		}
		list = append(list, c)
	}
	return list
}

// calledAs checks the calls of one command: what with, and which variables
// they all had. A value "*" stands for any.
func calledAs(t testing.TB, got []call, env map[string]string, words ...string) {
	t.Helper()
	var have []string
	for _, c := range got {
		have = append(have, c.words)
		for name, want := range env {
			if value, set := c.env[name]; !set || want != "*" && value != want {
				t.Errorf("%s: %s is %q, want %q", c.words, name, value, want)
			}
		}
	}
	if !slices.Equal(have, words) {
		t.Errorf("hooks were called as %q, want %q", have, words)
	}
}

// newLone makes a machine for itself, with a key.
func newLone(t testing.TB) (m *machine, disk string) {
	t.Helper()
	needsSystems(t)
	disk = tempDir(t)
	m = newMachine(t, "lone", disk, repository(t, "e2e-lib"))
	m.quiet("tklbam-init", "--solo")
	return m, disk
}

// newRecorded makes a machine for itself, with the recorder.
func newRecorded(t testing.TB, mode string) (m *machine, disk string) {
	t.Helper()
	m, disk = newLone(t)
	m.write("/etc/tklbam/hooks.d/record", recorder)
	m.quiet("chmod", mode, "/etc/tklbam/hooks.d/record")
	return m, disk
}

// TestHooks: hooks are called in all states and know what goes on.
func TestHooks(t *testing.T) {
	m, disk := newRecorded(t, "755")
	m.quiet("tklbam-backup", toDisk, "--skip-database")
	got := calls(t, disk)
	env := map[string]string{"TKLBAM_BACKUP_SKIP_DATABASE": "yes", "TKLBAM_PROFILE_ID": "*"}
	calledAs(t, got, env, "backup pre in /", "backup inspect in /TKLBAM", "backup post in /")
	if value, set := got[0].env["TKLBAM_BACKUP_SKIP_FILES"]; set {
		t.Errorf("TKLBAM_BACKUP_SKIP_FILES is %q", value)
	}

	m.must("tklbam-restore", toDisk, "--skip-packages", "--silent")
	got = calls(t, disk)
	calledAs(t, got[1:], map[string]string{
		"TKLBAM_RESTORE_SKIP_PACKAGES": "yes", "TKLBAM_PROFILE_ID": "*", "TKLBAM_RESTORE_PROFILE_ID": "*", "TKLBAM_BACKUP_EXTRACT_PATH": "*",
	}, "restore inspect in "+got[1].env["TKLBAM_BACKUP_EXTRACT_PATH"]+"/TKLBAM", "restore post in /")
	calledAs(t, got[:1], nil, "restore pre in /")

	m.fails(1, []string{"no such file or directory"}, "tklbam-restore", toDisk+"-none")
	calledAs(t, calls(t, disk)[1:], map[string]string{"TKLBAM_ERROR_STEP": "download"}, "restore error in /")
}

// TestFailingHooks: a hook that fails ends what it does not like, and the
// error hooks learn of it.
func TestFailingHooks(t *testing.T) {
	m, disk := newRecorded(t, "755")
	m.quiet("tklbam-backup", toDisk)
	calls(t, disk)
	for _, c := range []struct {
		fail    string
		command []string
		after   []string
	}{
		{"backup pre", []string{"tklbam-backup", toDisk}, []string{"backup pre", "backup error"}},
		{"backup inspect", []string{"tklbam-backup", toDisk}, []string{"backup pre", "backup inspect", "backup error"}},
		{"backup post", []string{"tklbam-backup", toDisk}, []string{"backup pre", "backup inspect", "backup post", "backup error"}},
		{"restore pre", []string{"tklbam-restore", toDisk}, []string{"restore pre", "restore error"}},
		{"restore inspect", []string{"tklbam-restore", toDisk}, []string{"restore pre", "restore inspect", "restore error"}},
		{"restore post", []string{"tklbam-restore", toDisk}, []string{"restore pre", "restore inspect", "restore post", "restore error"}},
	} {
		ok(t, os.WriteFile(filepath.Join(disk, "fail"), []byte(c.fail), 0o644))
		m.fails(1, []string{"record", "no"}, c.command...)
		got := calls(t, disk)
		var words []string
		for _, g := range got {
			w, _, _ := strings.Cut(g.words, " in ")
			words = append(words, w)
		}
		if !slices.Equal(words, c.after) {
			t.Errorf("%s fails: called %q, want %q", c.fail, words, c.after)
		}
		last := got[len(got)-1]
		calledAs(t, got[len(got)-1:], map[string]string{"TKLBAM_ERROR_STEP": "*", "TKLBAM_ERROR_MESSAGE": "*"}, last.words)
	}
}

// TestUnsafeHook: a hook that anybody may write to is not run.
func TestUnsafeHook(t *testing.T) {
	m, disk := newRecorded(t, "777")
	m.fails(1, []string{"record", "chmod go-w"}, "tklbam-backup", toDisk)
	if _, err := os.Stat(filepath.Join(disk, "calls")); err == nil {
		t.Error("the hook was run")
	}
}
