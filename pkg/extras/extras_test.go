package extras

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"

	"tklbam/pkg/userdb"
)

func TestRoundTrip(t *testing.T) {
	root := t.TempDir()
	d := In(root)
	if ok, err := d.Exists(); ok || err != nil {
		t.Fatalf("before it is made: %v, %v", ok, err)
	}
	if err := d.Create(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(root, "TKLBAM"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if _, err := d.Conf(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("conf before it is stored: %v", err)
	}
	conf := Conf{ProfileID: "generic", Overrides: []string{"-/a b"}, SkipFiles: true}
	users := userdb.Files{Passwd: []byte("root:x:0:0::/root:/bin/sh\n"), Group: []byte{}, Shadow: []byte("root:*::::::\n")}
	if err := errors.Join(d.SetConf(conf), d.SetUsers(users)); err != nil {
		t.Fatal(err)
	}
	got, err := d.Conf()
	if err != nil || !got.Same(conf) {
		t.Errorf("conf %+v, %v", got, err)
	}
	db, err := d.Users()
	if err != nil || !reflect.DeepEqual(db, users) {
		t.Errorf("users %+v, %v", db, err)
	}
	if info, err := os.Stat(d.Path("etc/shadow")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("shadow: %v, %v", info.Mode(), err)
	}
}

// TestPredecessor reads what the predecessor writes.
func TestPredecessor(t *testing.T) {
	d := In(t.TempDir())
	if err := d.Create(); err != nil {
		t.Fatal(err)
	}
	doc := `{"skip_packages": false, "profile_id": "turnkey-core-14.2-jessie-amd64", "overrides": ["/srv", "-mysql:x/y"], "skip_database": true, "skip_files": false}`
	if err := os.WriteFile(d.Path(ConfName), []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := d.Conf()
	want := Conf{ProfileID: "turnkey-core-14.2-jessie-amd64", Overrides: []string{"/srv", "-mysql:x/y"}, SkipDatabase: true}
	if err != nil || !c.Same(want) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestHostile(t *testing.T) {
	d := In(t.TempDir())
	if err := d.Create(); err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(path string) error{
		"a link outside": func(p string) error { return os.Symlink("/etc/passwd", p) },
		"a link up":      func(p string) error { return os.Symlink("../../../../../etc/passwd", p) },
		"a fifo":         func(p string) error { return unix.Mkfifo(p, 0o600) },
		"a directory":    func(p string) error { return os.Mkdir(p, 0o700) },
	} {
		path := d.Path("etc/passwd")
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if data, err := d.Read("etc/passwd"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: read %q, %v", name, data, err)
		}
		if _, err := d.Users(); err == nil {
			t.Errorf("%s: read as users", name)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}
