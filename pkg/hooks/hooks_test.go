package hooks

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tklbam/pkg/command"
)

func needs(t *testing.T, programs ...string) {
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

// newDir returns a directory that only this user can write to.
func newDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "hooks.d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	chmod(t, filepath.Dir(dir), 0o755)
	chmod(t, dir, 0o755)
	return dir
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// hook writes a hook as a shell script.
func hook(t *testing.T, dir, name, script string) string {
	t.Helper()
	return write(t, dir, name, "#!/bin/sh\n"+script+"\n", 0o755)
}

func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, mode)
	return path
}

// newHooks returns hooks in a directory that print into a buffer.
func newHooks(t *testing.T) (*Hooks, *bytes.Buffer) {
	t.Helper()
	needs(t, "sh")
	var out bytes.Buffer
	return &Hooks{
		Local:   newDir(t),
		Runner:  command.Exec{},
		Environ: []string{"PATH=" + os.Getenv("PATH")},
		Output:  &out,
	}, &out
}

func TestOrderAndNames(t *testing.T) {
	h, out := newHooks(t)
	hook(t, h.Local, "20-b", `echo b "$@"`)
	hook(t, h.Local, "10-a.sh", `echo a "$@"`)
	hook(t, h.Local, "Z", `echo Z "$@"`)
	hook(t, h.Local, "10-a.sh.sig", `echo signature`)
	write(t, h.Local, "disabled", "#!/bin/sh\necho disabled\n", 0o644)
	write(t, h.Local, "writable-but-disabled", "", 0o666)
	if err := os.Mkdir(filepath.Join(h.Local, "directory"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := h.Run(t.Context(), Call{Operation: Restore, State: Post}); err != nil {
		t.Fatal(err)
	}
	if want := "a restore post\nb restore post\nZ restore post\n"; out.String() != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestNoHooks(t *testing.T) {
	h := Hooks{Local: filepath.Join(t.TempDir(), "none"), Profile: filepath.Join(t.TempDir(), "none")}
	if err := h.Run(t.Context(), Call{Operation: Backup, State: Pre}); err != nil {
		t.Error(err)
	}
	if err := new(Hooks).Run(t.Context(), Call{Operation: Backup, State: Pre}); err != nil {
		t.Error(err)
	}
}

func TestFailureAborts(t *testing.T) {
	h, out := newHooks(t)
	hook(t, h.Local, "1", `for i in 1 2 3 4 5 6; do echo line $i; done; echo "no space" >&2; exit 3`)
	hook(t, h.Local, "2", `echo second`)
	err := h.Run(t.Context(), Call{Operation: Backup, State: Pre})
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 3 {
		t.Fatalf("got %v", err)
	}
	for _, text := range []string{`backup hook "1", pre: `, "line 3", "no space"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in: %v", text, err)
		}
	}
	if strings.Contains(err.Error(), "line 1") || strings.Contains(out.String(), "second") || !strings.Contains(out.String(), "line 1") {
		t.Errorf("got %v and %q", err, out)
	}
}

func TestErrorHooksAllRun(t *testing.T) {
	h, out := newHooks(t)
	hook(t, h.Local, "1", `exit 1`)
	hook(t, h.Local, "2", `echo "$1 $2 $TKLBAM_ERROR_STEP: $TKLBAM_ERROR_MESSAGE"`)
	hook(t, h.Local, "3", `exit 3`)
	err := h.Run(t.Context(), Call{Operation: Backup, State: Error, Failure: Failure{"upload", "disk\x00 full"}})
	if err == nil || !strings.Contains(err.Error(), `"1"`) || !strings.Contains(err.Error(), `"3"`) {
		t.Errorf("got %v", err)
	}
	if want := "backup error upload: disk full\n"; out.String() != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestInspect(t *testing.T) {
	h, out := newHooks(t)
	extras := t.TempDir()
	hook(t, h.Local, "1", `test "$PWD" = "$(/bin/pwd)" && pwd`)
	t.Chdir(filepath.Dir(h.Local))
	h.Local = "hooks.d"
	h.Environ = append(h.Environ, "PWD=/elsewhere")
	if err := h.Run(t.Context(), Call{Operation: Backup, State: Inspect, Extras: extras}); err != nil {
		t.Fatal(err)
	}
	if out.String() != extras+"\n" {
		t.Errorf("got %q, want %q", out, extras)
	}
}

func TestEnvironment(t *testing.T) {
	h, out := newHooks(t)
	hook(t, h.Local, "1", `env | grep -E '^(TKLBAM|OTHER)_' | sort`)
	h.Environ = append(h.Environ, "OTHER_X=1", "TKLBAM_RESTORE_SKIP_FILES=yes", "TKLBAM_ERROR_STEP=old", "TKLBAM_CONF=/c")
	h.Environment = Environment{
		ProfileID:   "debian-12",
		BackupSkip:  Skips{Files: true, Database: true, Packages: true},
		RestoreSkip: Skips{Packages: true},
		ExtractPath: "/tmp/x", RestoreProfileID: "turnkey-core",
	}
	if err := h.Run(t.Context(), Call{Operation: Restore, State: Pre}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"OTHER_X=1", "TKLBAM_BACKUP_EXTRACT_PATH=/tmp/x", "TKLBAM_BACKUP_SKIP_DATABASE=yes",
		"TKLBAM_BACKUP_SKIP_FILES=yes", "TKLBAM_BACKUP_SKIP_PACKAGES=yes", "TKLBAM_CONF=/c",
		"TKLBAM_PROFILE_ID=debian-12", "TKLBAM_RESTORE_PROFILE_ID=turnkey-core", "TKLBAM_RESTORE_SKIP_PACKAGES=yes",
	}
	got := strings.Fields(out.String())
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestLongMessage(t *testing.T) {
	h, out := newHooks(t)
	hook(t, h.Local, "1", `printf %s "$TKLBAM_ERROR_MESSAGE" | wc -c`)
	long := Failure{"s", strings.Repeat("ä", 1<<20)}
	if err := h.Run(t.Context(), Call{Operation: Backup, State: Error, Failure: long}); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(out.String()); got != "16387" {
		t.Errorf("the message is %s bytes", got)
	}
}

// A script that does not say what runs it is one of the shell's, as it was when
// hooks were started by a shell.
func TestNoInterpreterLine(t *testing.T) {
	h, out := newHooks(t)
	write(t, h.Local, "1", "echo $1 $2\n", 0o755)
	if err := h.Run(t.Context(), Call{Operation: Backup, State: Pre}); err != nil || out.String() != "backup pre\n" {
		t.Errorf("got %q, %v", out, err)
	}
	write(t, h.Local, "2", "#!/no/such/interpreter\n", 0o755)
	if err := h.Run(t.Context(), Call{Operation: Backup, State: Pre}); err == nil {
		t.Error("a hook without its interpreter ran")
	}
}

func TestTimeout(t *testing.T) {
	h, _ := newHooks(t)
	h.Timeout = 50 * time.Millisecond
	hook(t, h.Local, "1", `sleep 60`)
	err := h.Run(t.Context(), Call{Operation: Backup, State: Pre})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "it ran for more than 50ms") {
		t.Errorf("got %v", err)
	}
}

func TestCancel(t *testing.T) {
	h, _ := newHooks(t)
	ctx, cancel := context.WithCancel(t.Context())
	h.Output = writerFunc(func() { cancel() })
	hook(t, h.Local, "1", `echo started; sleep 60`)
	hook(t, h.Local, "2", `echo second >&2`)
	if err := h.Run(ctx, Call{Operation: Backup, State: Pre}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

type writerFunc func()

func (f writerFunc) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}
