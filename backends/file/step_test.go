package file_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// needs skips a test where a program it needs is absent, or fails it in CI.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
}

// steps are the system calls of a Put, in the order of their first use.
var steps = []string{"openat", "getdents64", "flock", "newfstatat", "write", "fsync", "close", "renameat"}

// TestEveryStepFails runs a process that stores a file over another, and makes
// its i-th call of each kind fail, or kills it there, for i = 1 until the
// process makes no such call. Each time the file must be as before or as
// after, and the next Put must work and clean up.
func TestEveryStepFails(t *testing.T) {
	needs(t, "strace")
	if testing.Short() {
		t.Skip("starts a hundred processes")
	}
	for _, fault := range []string{"error=EIO", "signal=KILL"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			for _, call := range steps {
				fired := 0
				for failCall(t, call, fault, fired+1) {
					fired++
				}
				if fired == 0 {
					t.Errorf("a Put makes no %s", call)
				}
			}
		})
	}
}

// failCall injects a fault into the i-th call of one kind and reports whether
// there was one.
func failCall(t *testing.T, call, fault string, i int) bool {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "name"), "old")
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.CommandContext(t.Context(), "strace", "-f", "-qq", "-o", trace, "-e", "trace="+call, "-e",
		fmt.Sprintf("inject=%s:%s:when=%d", call, fault, i), os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), "FILETEST_DIR="+dir, "FILETEST_MODE=short put")
	out, runErr := cmd.CombinedOutput()

	log, err := os.ReadFile(trace)
	if err != nil {
		t.Fatalf("run strace: %v\n%s", err, out)
	}
	got, err := os.ReadFile(filepath.Join(dir, "name"))
	isNew := string(got) == versions[1]
	if err != nil || !isNew && (string(got) != "old" || runErr == nil) {
		t.Errorf("%s %d: Put ended with %v, the file holds %d bytes, %v", call, i, runErr, len(got), err)
	}
	if left := entries(t, dir); fault != "signal=KILL" && !slices.Equal(left, []string{"name"}) {
		t.Errorf("%s %d: the directory holds %q\n%s", call, i, left, out)
	}
	put(t, open(t, dir), "name", "again")
	wantEntries(t, dir, "name")
	wantFile(t, filepath.Join(dir, "name"), "again")
	t.Logf("%s %d: %v, new content: %v", call, i, runErr, isNew)
	return bytes.Contains(log, []byte("INJECTED")) || bytes.Contains(log, []byte("killed by SIGKILL"))
}
