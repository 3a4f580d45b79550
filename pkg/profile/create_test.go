package profile

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tklbam/pkg/limits"
)

func options(dir string) Options {
	return Options{
		Dir:  dir,
		Conf: strings.NewReader("# all of it\n/etc -/etc/.git\t/srv/ # data\n"),
		Root: "/chroot",
		Index: func(_ context.Context, w io.Writer, root string, list limits.List) error {
			_, err := io.WriteString(w, root+" "+strings.Join(list.Strings(), " ")+"\n")
			return err
		},
		Packages: func(_ context.Context, root string) ([]string, error) {
			return []string{"bash", "package-of-" + root[1:]}, nil
		},
	}
}

var created = map[string]string{
	confName:     "/etc\n-/etc/.git\n/srv\n",
	indexName:    "/chroot /etc -/etc/.git /srv\n",
	packagesName: "bash\npackage-of-chroot\n",
}

func TestCreate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "custom")
	if err := Create(t.Context(), options(dir)); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, dir, created)

	src, err := DirectorySource(dir)
	if err != nil {
		t.Fatal(err)
	}
	paths := openRegistry(t)
	if err := Install(t.Context(), paths, src); err != nil {
		t.Fatal(err)
	}
	if p, err := Load(paths, ""); err != nil || p.ID != "custom:custom" {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestCreateParts(t *testing.T) {
	dir := t.TempDir() // empty
	opts := options(dir)
	opts.Index, opts.Packages = nil, nil
	if err := Create(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, dir, map[string]string{confName: created[confName]})
}

func TestCreateOverExisting(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "other"), "kept")
	writeFile(t, filepath.Join(dir, packagesName), "old\n")
	if err := Create(t.Context(), options(dir)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	expectFiles(t, dir, map[string]string{"other": "kept", packagesName: "old\n"})
	opts := options(dir)
	opts.Force, opts.Packages = true, nil
	if err := Create(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, dir, map[string]string{
		"other": "kept", packagesName: "old\n", confName: created[confName], indexName: created[indexName],
	})
	file := filepath.Join(dir, "other")
	if err := Create(t.Context(), options(file)); err == nil {
		t.Error("a file served as a directory")
	}
	if err := Create(t.Context(), options(filepath.Join(dir, "a/b"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// What fails to be made leaves the old file.
func TestCreateFails(t *testing.T) {
	broken := errors.New("broken")
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, indexName), "old\n")
	opts := options(dir)
	opts.Force = true
	opts.Index = func(_ context.Context, w io.Writer, _ string, _ limits.List) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, broken)
	}
	if err := Create(t.Context(), opts); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	expectFiles(t, dir, map[string]string{confName: created[confName], indexName: "old\n"})

	opts = options(filepath.Join(dir, "other"))
	opts.Packages = func(context.Context, string) ([]string, error) { return nil, broken }
	if err := Create(t.Context(), opts); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestParseConf(t *testing.T) {
	for _, s := range []string{"etc", "/etc -srv", "/etc\nmysql:db", "-", strings.Repeat("/x ", maxConf/3+1)} {
		dir := filepath.Join(t.TempDir(), "custom")
		opts := options(dir)
		opts.Conf = strings.NewReader(s)
		if err := Create(t.Context(), opts); err == nil {
			t.Errorf("%.20q is accepted", s)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%.20q: the directory is there: %v", s, err)
		}
	}
	if list, err := ParseConf(strings.NewReader("# nothing\n")); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v", list, err)
	}
}
