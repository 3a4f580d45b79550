package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestOpenCreatesPrivateDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "above", "registry")
	for range 2 {
		r, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if r.Path() != dir {
			t.Errorf("path %q, want %q", r.Path(), dir)
		}
		expectMode(t, dir, 0o700)
		expectMode(t, filepath.Dir(dir), 0o755)
	}
}

func TestOpenKeepsMode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "registry")
	must(t, os.Mkdir(dir, 0o750))
	if _, err := Open(dir); err != nil {
		t.Fatal(err)
	}
	expectMode(t, dir, 0o750)
}

func TestOpenRelativePathStaysPut(t *testing.T) {
	t.Chdir(t.TempDir())
	r, err := Open("registry")
	must(t, err)
	must(t, r.SetSecret("here"))
	t.Chdir(t.TempDir())
	if got, err := r.Secret(); got != "here" || err != nil {
		t.Errorf("after a change of directory: %q, %v", got, err)
	}
}

func TestOpenErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if _, err := Open(path); err == nil {
			t.Errorf("%q: opened", path)
		}
	}
}

func TestSingleValues(t *testing.T) {
	r := open(t)
	values := map[string]struct {
		get func() (string, error)
		set func(string) error
	}{
		"secret":     {r.Secret, r.SetSecret},
		"key":        {r.Key, r.SetKey},
		"sub_apikey": {r.SubAPIKey, r.SetSubAPIKey},
	}
	for name, v := range values {
		if got, err := v.get(); got != "" || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s before: %q, %v, want fs.ErrNotExist", name, got, err)
		}
		must(t, v.set("value of "+name))
		if got, err := v.get(); got != "value of "+name || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		must(t, v.set("other\n\n"))
		expectFile(t, r, name, "other\n")
		if err := v.set("two\nlines"); err == nil {
			t.Errorf("%s: two lines were written", name)
		}
		expectFile(t, r, name, "other\n")
		for range 2 {
			must(t, v.set(""))
			if _, err := v.get(); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s after removal: %v, want fs.ErrNotExist", name, err)
			}
		}
	}
	entries, err := os.ReadDir(r.Path())
	must(t, err)
	if len(entries) != 0 {
		t.Errorf("left over: %v", entries)
	}
}

func TestReadStripsTheEndOnly(t *testing.T) {
	r := open(t)
	for text, want := range map[string]string{
		"abc":             "abc",
		"abc\n":           "abc",
		"abc \t\r\n\n":    "abc",
		" abc":            " abc",
		"line 1\nline 2 ": "line 1\nline 2",
	} {
		store(t, r, "secret", text)
		if got, err := r.Secret(); got != want || err != nil {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "\n", " \n\t"} {
		store(t, r, "secret", text)
		if got, err := r.Secret(); got != "" || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %q, %v, want fs.ErrNotExist", text, got, err)
		}
	}
}

func TestReadErrorsAreNotAbsence(t *testing.T) {
	r := open(t)
	must(t, os.Mkdir(filepath.Join(r.Path(), "secret"), 0o700))
	if _, err := r.Secret(); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory: %v", err)
	}
	big, err := os.Create(filepath.Join(r.Path(), "key"))
	must(t, err)
	must(t, big.Truncate(maxFile+1))
	must(t, big.Close())
	if _, err := r.Key(); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is too large: %v", err)
	}
}

func TestResume(t *testing.T) {
	r := open(t)
	const document = `{"overrides": ["-/srv/a b", "mysql:db"], "address": null}`
	must(t, r.SetResume([]byte(document)))
	expectFile(t, r, "backup-resume", document+"\n")
	if got, err := r.Resume(); string(got) != document || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	must(t, r.SetResume(nil))
	if _, err := r.Resume(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after removal: %v", err)
	}
}

func TestCredentials(t *testing.T) {
	r := open(t)
	want := Credentials{"type": "iamuser", "accesskey": "AK", "secretkey": "s/k+==", "sessiontoken": ""}
	must(t, r.SetCredentials(want))
	expectFile(t, r, "credentials", "accesskey=AK\nsecretkey=s/k+==\nsessiontoken=\ntype=iamuser\n")
	got, err := r.Credentials()
	must(t, err)
	if !reflect.DeepEqual(got, want) || got.Type() != "iamuser" {
		t.Errorf("got %#v of type %s", map[string]string(got), got.Type())
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if s := fmt.Sprintf(verb, got); strings.Contains(s, "s/k") || strings.Contains(s, fmt.Sprintf("%x", "s/k")) {
			t.Errorf("%s prints a secret: %s", verb, s)
		}
	}
}

func TestCredentialsWithoutType(t *testing.T) {
	r := open(t)
	store(t, r, "credentials", "usertoken=u\nproducttoken=p\r\naccesskey=a\nsecretkey=k")
	got, err := r.Credentials()
	if err != nil || got.Type() != "devpay" || got["producttoken"] != "p" || got["secretkey"] != "k" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestPairErrors(t *testing.T) {
	r := open(t)
	for _, text := range []string{"a=1\nhushhush\n", "a=1\n\nb=2", "=hushhush"} {
		store(t, r, "credentials", text)
		_, err := r.Credentials()
		if err == nil || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "hushhush") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, bad := range []Credentials{{"a": "1\nb=2"}, {"a=b": "1"}, {"": "1"}, {"a\n": "1"}, {"a": "1\r"}} {
		if err := r.SetCredentials(bad); err == nil {
			t.Errorf("%#v was written", map[string]string(bad))
		}
	}
}

func TestRecord(t *testing.T) {
	r := open(t)
	if _, err := r.Record(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before: %v", err)
	}
	want := Record{
		Address:  "s3://s3.amazonaws.com/tklbam-x?a=b",
		BackupID: "7",
		Updated:  time.Date(2013, 3, 9, 7, 5, 1, 0, time.Local),
	}
	must(t, r.SetRecord(want))
	expectFile(t, r, "hbr", "address=s3://s3.amazonaws.com/tklbam-x?a=b\nbackup_id=7\nupdated=2013-03-09 07:05:01\n")
	if got, err := r.Record(); got != want || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	must(t, r.SetRecord(Record{}))
	if _, err := r.Record(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after removal: %v", err)
	}
}

func TestRecordFromBefore(t *testing.T) {
	r := open(t)
	store(t, r, "hbr", "backup_id=3\naddress=file:///mnt\nlabel=kept by nobody\n")
	got, err := r.Record()
	if err != nil || got != (Record{Address: "file:///mnt", BackupID: "3"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	store(t, r, "hbr", "backup_id=3\nupdated=yesterday\n")
	if _, err := r.Record(); err == nil || !strings.Contains(err.Error(), `"yesterday"`) {
		t.Errorf("bad time: %v", err)
	}
}

func TestProfile(t *testing.T) {
	r := open(t)
	want := Profile{"", "/dirindex.conf", "/dirindex", "/packages", "/hooks.d", "/profile_id", "/stamp"}
	got := reflect.ValueOf(r.Profile())
	for i := range got.NumField() {
		if got, want := got.Field(i).String(), r.Path()+"/profile"+reflect.ValueOf(want).Field(i).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestFilesArePrivate(t *testing.T) {
	r := open(t)
	store(t, r, "secret", "from a careless time")
	must(t, os.Chmod(filepath.Join(r.Path(), "secret"), 0o644))
	must(t, r.SetSecret("s"))
	must(t, r.SetResume([]byte("{}")))
	must(t, r.SetCredentials(Credentials{"a": "b"}))
	for _, name := range []string{"secret", "backup-resume", "credentials"} {
		expectMode(t, filepath.Join(r.Path(), name), 0o600)
	}
}

func TestCheck(t *testing.T) {
	r := open(t)
	must(t, r.SetSecret("s"))
	must(t, r.SetKey("k"))
	if got := r.Check(); len(got) != 0 {
		t.Errorf("a sound registry: %v", got)
	}
	must(t, os.Chmod(filepath.Join(r.Path(), "secret"), 0o640))
	must(t, os.Chmod(r.Path(), 0o777))
	got := errors.Join(r.Check()...)
	if got == nil || !strings.Contains(got.Error(), "0777") || !strings.Contains(got.Error(), `secret": mode is 0640`) {
		t.Errorf("got %v", got)
	}
	if got := len(r.Check()); got != 2 {
		t.Errorf("%d reasons, want 2", got)
	}
	must(t, os.Chmod(r.Path(), 0o755))
	if got := len(r.Check()); got != 1 {
		t.Errorf("%d reasons for mode 0755, want 1", got)
	}
}

func TestCheckOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	r := open(t)
	must(t, r.SetSecret("s"))
	must(t, os.Chown(filepath.Join(r.Path(), "secret"), 65534, 65534))
	got := errors.Join(r.Check()...)
	if got == nil || !strings.Contains(got.Error(), "uid 65534") {
		t.Errorf("got %v", got)
	}
}

func TestPathOr(t *testing.T) {
	r := open(t)
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	must(t, os.WriteFile(there, nil, 0o600))
	private := filepath.Join(dir, "private")
	must(t, os.WriteFile(private, nil, 0o400))
	forPrivate := filepath.Join(r.Path(), BackupLog)
	if os.Geteuid() == 0 {
		forPrivate = private // root may write to it all the same
	}
	for global, want := range map[string]string{
		there:                            there,
		filepath.Join(dir, "new"):        filepath.Join(dir, "new"),
		filepath.Join(dir, "absent/new"): filepath.Join(r.Path(), BackupLog),
		filepath.Join(there, "below"):    filepath.Join(r.Path(), BackupLog),
		private:                          forPrivate,
	} {
		if got := r.PathOr(global, BackupLog); got != want {
			t.Errorf("%s: %s, want %s", global, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("asking created the file")
	}
}

func TestDefaultPathFor(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		uid          int
		home, system string
		want         string
	}{
		{0, "/root", "/nonexistent", "/nonexistent"},
		{1000, "/home/u", "/nonexistent", "/home/u/.local/state/tklbam"},
		{1000, "/home/u", dir, dir},
		{1000, "", "/nonexistent", "/nonexistent"},
		{1000, "relative", "/nonexistent", "/nonexistent"},
	} {
		if got := defaultPathFor(c.uid, c.home, c.system); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
	if got := DefaultPathFor(0, "/root"); got != DefaultPath {
		t.Errorf("root: %q", got)
	}
}

func open(t *testing.T) *Registry {
	t.Helper()
	r, err := Open(filepath.Join(t.TempDir(), "registry"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func store(t *testing.T, r *Registry, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(r.Path(), name), []byte(text), 0o600))
}

func expectFile(t *testing.T, r *Registry, name, want string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(r.Path(), name))
	must(t, err)
	if string(got) != want {
		t.Errorf("%s holds %q, want %q", name, got, want)
	}
}

func expectMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	if got := info.Mode().Perm(); got != want {
		t.Errorf("%s has mode %v, want %v", path, got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
