package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bigSize is enough for a backup to be caught in the middle of the file.
const bigSize = 48 << 20

// TestChangesWhileReading changes the tree while a backup is in the middle of
// a big file. The backup succeeds, with a warning, and restores; the next one
// has everything as it is then.
func TestChangesWhileReading(t *testing.T) {
	for _, c := range []struct {
		name   string
		code   int
		words  []string
		change func(t *testing.T, g *gardener, at int64)
		check  func(t *testing.T, original []byte, restored string)
	}{
		{"grows", 0, []string{"big: changed while it was read", fmt.Sprintf("stored with %d bytes", bigSize)},
			func(t *testing.T, g *gardener, _ int64) {
				f, err := os.OpenFile(g.path("big"), os.O_APPEND|os.O_WRONLY, 0)
				ok(t, err)
				_, err = f.Write(g.noise(1 << 20))
				ok(t, errors.Join(err, f.Close()))
			}, isPrefix(bigSize)},
		{"shrinks", 0, []string{"big: changed while it was read"},
			func(t *testing.T, g *gardener, at int64) { ok(t, os.Truncate(g.path("big"), at+1<<20)) },
			isPrefix(0)},
		{"is emptied", 0, []string{"big: changed while it was read"},
			func(t *testing.T, g *gardener, _ int64) { ok(t, os.Truncate(g.path("big"), 0)) },
			isPrefix(0)},
		{"is written to, dated back", 0, []string{"big: changed while it was read"},
			func(t *testing.T, g *gardener, at int64) {
				m := g.stat("big").Mtim
				f, err := os.OpenFile(g.path("big"), os.O_WRONLY, 0)
				ok(t, err)
				_, err = f.WriteAt(g.noise(1<<20), bigSize-1<<20)
				ok(t, errors.Join(err, f.Close()))
				g.touch("big", time.Unix(m.Sec, m.Nsec))
			}, hasSize(bigSize)},
		{"is deleted", 0, []string{"big: changed while it was read"},
			func(t *testing.T, g *gardener, _ int64) { ok(t, os.Remove(g.path("big"))) }, isPrefix(bigSize)},
		{"others vanish", 0, []string{"z/one: vanished"},
			func(t *testing.T, g *gardener, _ int64) { ok(t, os.Remove(g.path("z/one"))) }, isPrefix(bigSize)},
		{"a directory vanishes", 0, []string{"z/one: vanished", "z/two: vanished"},
			func(t *testing.T, g *gardener, _ int64) { ok(t, os.RemoveAll(g.path("z"))) }, isPrefix(bigSize)},
		{"others are saved anew", 0, nil,
			func(t *testing.T, g *gardener, _ int64) {
				g.file("z/temp", []byte("saved"))
				ok(t, os.Rename(g.path("z/temp"), g.path("z/one")))
			}, func(t *testing.T, _ []byte, restored string) {
				if got, err := os.ReadFile(filepath.Join(filepath.Dir(restored), "z/one")); string(got) != "saved" {
					t.Errorf("z/one is %q, %v", got, err)
				}
			}},
		{"others become something else", 3, []string{"z/one: ", "replaced"},
			func(t *testing.T, g *gardener, _ int64) {
				ok(t, os.Remove(g.path("z/one")))
				ok(t, os.Symlink("/etc/passwd", g.path("z/one")))
			}, func(t *testing.T, _ []byte, restored string) {
				if _, err := os.Lstat(filepath.Join(filepath.Dir(restored), "z/one")); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("z/one: %v", err)
				}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBox(t, "volsize 2")
			g := newGardener(t, 90)
			g.file("a", g.noise(10))
			original := g.noise(bigSize)
			g.file("big", original)
			g.file("z/one", g.noise(10))
			g.file("z/two", g.noise(10))
			r := b.interrupted(g, "big", func(_ *os.Process, at int64) { c.change(t, g, at) })
			b.says(r, c.code, c.words...)
			if warned := strings.Contains(r.stdout, `"event":"warning"`); warned != (c.words != nil) {
				t.Errorf("warned: %v\n%s", warned, r.output())
			}
			dst := b.path("out")
			b.must("restore", "--raw-download="+dst, address(b.storage))
			c.check(t, original, filepath.Join(dst, "big"))
			b.backup(g.root)
			same(t, "the next backup", b.restore(), look(t, g.root), exact)
		})
	}
}

// isPrefix checks that a file has the start of the original content, so many
// bytes of it or, for 0, some.
func isPrefix(size int) func(*testing.T, []byte, string) {
	return func(t *testing.T, original []byte, restored string) {
		t.Helper()
		got, err := os.ReadFile(restored)
		ok(t, err)
		if !bytes.HasPrefix(original, got) || len(got) == 0 || size > 0 && len(got) != size {
			t.Errorf("%d bytes restored, of %d", len(got), len(original))
		}
	}
}

func hasSize(size int64) func(*testing.T, []byte, string) {
	return func(t *testing.T, _ []byte, restored string) {
		t.Helper()
		if info, err := os.Stat(restored); err != nil || info.Size() != size {
			t.Errorf("restored %v, %v", info, err)
		}
	}
}

// interrupted runs a backup and stops it for a moment, in the middle of a
// file, for change to be made; that gets how far the reading has come.
func (b *box) interrupted(g *gardener, name string, change func(p *os.Process, at int64)) result {
	b.t.Helper()
	var stdout, stderr bytes.Buffer
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		stdout.Reset()
		stderr.Reset()
		cmd := b.command("backup", "--json", "--raw-upload="+g.root, address(b.storage))
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		ok(b.t, cmd.Start())
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		at := stopInside(b.t, cmd.Process, g.path(name), done)
		if at > 0 {
			change(cmd.Process, at)
			if err := cmd.Process.Signal(syscall.SIGCONT); !errors.Is(err, os.ErrProcessDone) {
				ok(b.t, err)
			}
			<-done
			return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
		}
		if !strings.Contains(stderr.String(), "another backup is running") || time.Now().After(end) {
			b.t.Fatalf("the backup was over before it could be stopped:\n%s%s", &stdout, &stderr)
		}
	}
}

// stopInside stops a process while it reads a file, and returns how far it
// is; 0 if it ended before.
func stopInside(t testing.TB, p *os.Process, path string, done <-chan error) int64 {
	t.Helper()
	for {
		select {
		case <-done:
			return 0
		case <-time.After(200 * time.Microsecond):
		}
		if at := readPosition(p.Pid, path); at < bigSize/4 {
			continue
		}
		ok(t, p.Signal(syscall.SIGSTOP))
		if at := readPosition(p.Pid, path); at > 0 && at < bigSize-4<<20 {
			return at
		}
		ok(t, p.Signal(syscall.SIGCONT))
	}
}

// readPosition is the offset at which a process reads a file, 0 if it does
// not.
func readPosition(pid int, path string) (at int64) {
	dir := fmt.Sprintf("/proc/%d", pid)
	fds, err := os.ReadDir(dir + "/fd")
	if err != nil {
		return 0
	}
	for _, fd := range fds {
		if to, err := os.Readlink(dir + "/fd/" + fd.Name()); err != nil || to != path {
			continue
		}
		info, err := os.ReadFile(dir + "/fdinfo/" + fd.Name())
		if err != nil {
			return 0
		}
		if _, err := fmt.Sscanf(string(info), "pos:\t%d", &at); err != nil {
			return 0
		}
	}
	return at
}

// TestResumeConfiguration: --resume goes on with the backup that was killed,
// as it was configured.
func TestResumeConfiguration(t *testing.T) {
	b := newBox(t, "volsize 1")
	g := newGardener(t, 96)
	g.file("big", g.noise(bigSize))
	var doc map[string]any
	r := b.interrupted(g, "big", func(p *os.Process, _ int64) {
		raw, err := os.ReadFile(b.path("registry/backup-resume"))
		ok(t, err)
		ok(t, json.Unmarshal(raw, &doc))
		second := run(t, b.command("backup", "--raw-upload="+g.root, address(b.storage)))
		b.says(second, 1, "process ", "holds it", "another backup is running")
		ok(t, p.Kill())
	})
	if r.code != -1 || doc["raw_upload"] != g.root {
		t.Fatalf("exit status %d, configuration %v", r.code, doc)
	}
	before := stored(t, b.storage)
	_, sum := events(t, b.must("backup", "--resume", "--json"))
	if !sum.Resumed || sum.Type != "full" || len(before) == 0 {
		t.Errorf("%+v after %d files", sum, len(before))
	}
	same(t, "restored", b.restore(), look(t, g.root), exact)
	b.fails(1, []string{"no interrupted backup"}, "backup", "--resume")
}
