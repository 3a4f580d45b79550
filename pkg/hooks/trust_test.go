package hooks

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const foreigner = 54321 // nobody's uid

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
}

func giveAway(t *testing.T, path string) {
	t.Helper()
	needsRoot(t)
	if err := os.Lchown(path, foreigner, foreigner); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// Whoever can write to a hook, or put another in its place, must not get it
// run; nor must any other hook run before that is noticed.
func TestUnsafe(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir, path string){
		"group writes file":    func(t *testing.T, _, path string) { chmod(t, path, 0o775) },
		"world writes file":    func(t *testing.T, _, path string) { chmod(t, path, 0o757) },
		"group writes dir":     func(t *testing.T, dir, _ string) { chmod(t, dir, 0o775) },
		"world writes dir":     func(t *testing.T, dir, _ string) { chmod(t, dir, 0o757) },
		"sticky dir":           func(t *testing.T, dir, _ string) { chmod(t, dir, 0o777|os.ModeSticky) },
		"world writes parent":  func(t *testing.T, dir, _ string) { chmod(t, filepath.Dir(dir), 0o777) },
		"foreign file":         func(t *testing.T, _, path string) { giveAway(t, path) },
		"foreign dir":          func(t *testing.T, dir, _ string) { giveAway(t, dir) },
		"foreign parent":       func(t *testing.T, dir, _ string) { giveAway(t, filepath.Dir(dir)) },
		"link to writable":     func(t *testing.T, dir, path string) { linkTo(t, path, 0o755, 0o777) },
		"link into writable":   func(t *testing.T, dir, path string) { linkTo(t, path, 0o777, 0o755) },
		"foreign link":         foreignLink,
		"link through a link":  linkThroughLink,
		"directory is a link":  dirIsLink,
		"link into foreign":    linkIntoForeign,
		"setgid group writes":  func(t *testing.T, _, path string) { chmod(t, path, 0o775|os.ModeSetgid) },
		"readable by all else": nil,
	} {
		t.Run(name, func(t *testing.T) {
			h, out := newHooks(t)
			hook(t, h.Local, "1", `echo first`)
			path := hook(t, h.Local, "2", `echo second`)
			if spoil == nil {
				chmod(t, path, 0o755)
			} else {
				spoil(t, h.Local, path)
			}
			err := h.Run(t.Context(), Call{Operation: Backup, State: Pre})
			if spoil == nil {
				if err != nil || out.String() != "first\nsecond\n" {
					t.Errorf("got %q, %v", out, err)
				}
				return
			}
			if !errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), h.Local) {
				t.Errorf("got %v", err)
			}
			if out.Len() > 0 {
				t.Errorf("a hook ran: %q", out)
			}
		})
	}
}

// linkTo puts a link in the place of a hook, to a file with a mode in a
// directory with a mode.
func linkTo(t *testing.T, path string, dirMode, mode os.FileMode) string {
	t.Helper()
	dir := newDir(t)
	target := hook(t, dir, "target", "echo second")
	chmod(t, target, mode)
	chmod(t, dir, dirMode)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	symlink(t, target, path)
	return target
}

func foreignLink(t *testing.T, _, path string) {
	linkTo(t, path, 0o755, 0o755)
	giveAway(t, path)
}

func linkThroughLink(t *testing.T, _, path string) {
	target := linkTo(t, path, 0o755, 0o755)
	dir := newDir(t)
	chmod(t, dir, 0o777)
	symlink(t, filepath.Dir(target), filepath.Join(dir, "way"))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	symlink(t, filepath.Join(dir, "way", "target"), path)
}

func linkIntoForeign(t *testing.T, _, path string) {
	giveAway(t, filepath.Dir(linkTo(t, path, 0o755, 0o755)))
}

func dirIsLink(t *testing.T, dir, _ string) {
	other := filepath.Join(newDir(t), "other")
	if err := os.Rename(dir, other); err != nil {
		t.Fatal(err)
	}
	chmod(t, filepath.Dir(other), 0o777)
	symlink(t, other, dir)
}

func TestSafeLinks(t *testing.T) {
	h, out := newHooks(t)
	path := hook(t, h.Local, "2", "")
	target := linkTo(t, path, 0o755, 0o755)
	symlink(t, "../"+filepath.Base(h.Local)+"/2", filepath.Join(h.Local, "3")) // relative, to a link
	symlink(t, filepath.Join(filepath.Dir(target), "none"), filepath.Join(h.Local, "4"))
	linked := filepath.Join(newDir(t), "linked")
	symlink(t, h.Local, linked)
	h.Local = linked
	var skipped []string
	h.Skipped = func(hook string, reason error) { skipped = append(skipped, filepath.Base(hook)+": "+reason.Error()) }
	for range 2 {
		if err := h.Run(t.Context(), Call{Operation: Backup, State: Pre}); err != nil {
			t.Fatal(err)
		}
	}
	if want := strings.Repeat("second\n", 4); out.String() != want {
		t.Errorf("got %q", out)
	}
	if want := "4: it is a symbolic link that leads nowhere"; len(skipped) != 1 || skipped[0] != want {
		t.Errorf("skipped %q", skipped)
	}
}

func TestCheckTrusted(t *testing.T) {
	dir := newDir(t)
	symlink(t, "loop", filepath.Join(dir, "loop"))
	for _, path := range []string{"loop", "none", "loop/x"} {
		if err := checkTrusted(filepath.Join(dir, path)); err == nil {
			t.Errorf("%q is trusted", path)
		}
	}
	for _, path := range []string{"/", dir, dir + "/", dir + "/../hooks.d/."} {
		if err := checkTrusted(path); err != nil {
			t.Error(err)
		}
	}
}
