package rollback

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tklbam/pkg/sysfs"
)

// TestPreserve: files that somebody else changes in place, makes or removes
// with their directories come back.
func TestPreserve(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, root string){
		"nothing": func(*testing.T, string) {},
		"in place": func(t *testing.T, root string) {
			f, err := os.OpenFile(filepath.Join(root, "a/d/f"), os.O_WRONLY|os.O_APPEND, 0)
			must(t, err)
			_, err = f.WriteString("more")
			must(t, err)
			must(t, f.Close())
			must(t, os.WriteFile(filepath.Join(root, "a/new"), nil, 0o600))
		},
		"replaced": func(t *testing.T, root string) {
			must(t, os.WriteFile(filepath.Join(root, "x"), []byte("other"), 0o600))
			must(t, os.Rename(filepath.Join(root, "x"), filepath.Join(root, "a/d/f")))
		},
		"removed":           func(t *testing.T, root string) { must(t, os.Remove(filepath.Join(root, "a/d/f"))) },
		"removed, with all": func(t *testing.T, root string) { must(t, os.RemoveAll(filepath.Join(root, "a"))) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			root, record := filepath.Join(dir, "root"), filepath.Join(dir, "record")
			must(t, os.MkdirAll(filepath.Join(root, "a/d"), 0o755))
			must(t, os.WriteFile(filepath.Join(root, "a/d/f"), []byte("text"), 0o640))
			must(t, os.Chmod(filepath.Join(root, "a/d"), 0o710))
			j, err := Begin(record, Options{Root: root, Now: time.Now(), Copy: true})
			must(t, err)
			live, err := sysfs.Open(root)
			must(t, err)
			defer live.Close()
			for _, path := range []string{"a/d/f", "a/new", "a/d", "no/such/path", "a/d/f/below"} {
				must(t, j.Preserve(live, path))
			}
			must(t, j.Close())
			change(t, root)
			for range 2 { // the second finds all done
				r, err := Open(record)
				must(t, err)
				res, err := r.Undo(t.Context(), UndoOptions{Root: root, Passed: func(path string, err error) { t.Errorf("%s: %v", path, err) }})
				r.Close()
				if err != nil || !res.Done() {
					t.Fatalf("%+v, %v", res, err)
				}
			}
			text, err := os.ReadFile(filepath.Join(root, "a/d/f"))
			must(t, err)
			info, err := os.Stat(filepath.Join(root, "a/d"))
			must(t, err)
			if string(text) != "text" || info.Mode().Perm() != 0o710 {
				t.Errorf("%q in a directory of mode %v", text, info.Mode())
			}
			if _, err := os.Lstat(filepath.Join(root, "a/new")); !os.IsNotExist(err) {
				t.Errorf("what was made stays: %v", err)
			}
		})
	}
}
