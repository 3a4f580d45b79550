package conf

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func TestLoadNothing(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "absent")} {
		got, err := Load(dir)
		if err != nil || !reflect.DeepEqual(got, Default()) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := confDir(t, `
# whole line
  # indented

volsize 50
full-backup	now
full-backup   14D
s3-parallel-uploads 4
restore-cache-size 2gb
restore-cache-dir /mnt/my cache # 1
backup-skip-files True
backup-skip-packages 1
backup-skip-database YES
force-profile core`+"\r\n"+`encryption gpg
cache-dir /mnt/archive`, "/srv/a b # comment\n-mysql:db/t\n")
	want := &Conf{
		FullBackup:         "14D",
		Volsize:            50,
		S3ParallelUploads:  4,
		RestoreCacheSize:   CacheSize{Bytes: 2 << 30},
		RestoreCacheDir:    "/mnt/my cache # 1",
		BackupSkipFiles:    true,
		BackupSkipPackages: true,
		BackupSkipDatabase: true,
		ForceProfile:       "core",
		Encryption:         GPG,
		CacheDir:           "/mnt/archive",
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s := got.Overrides.Strings(); !reflect.DeepEqual(s, []string{"/srv/a b", "-mysql:db/t"}) {
		t.Errorf("overrides %q", s)
	}
	got.Overrides = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLoadErrors(t *testing.T) {
	for _, c := range []struct{ conf, overrides, want string }{
		{"# x\n\nvol-size 5\n", "", `/conf": line 3: unknown option "vol-size"`},
		{"Volsize 5", "", `line 1: unknown option "Volsize"`},
		{"overrides /x", "", `line 1: unknown option "overrides"`},
		{"volsize", "", `line 1: option volsize: it needs a value: <int>`},
		{"volsize  \n", "", `line 1: option volsize: it needs a value`},
		{"volsize=50", "", `line 1: unknown option "volsize=50"`},
		{"volsize 50 # MB", "", `line 1: option volsize: bad value "50 # MB"`},
		{"volsize 25\nfull-backup 30", "", `line 2: option full-backup: bad value "30"`},
		{"volsize 25\n" + strings.Repeat("x", maxLine), "", "line 2: "},
		{"", "/a\nsrv\n", `/overrides": line 2: limit "srv"`},
	} {
		dir := confDir(t, c.conf, c.overrides)
		got, err := Load(dir)
		if got != nil || err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%.40q: got %v, %v, want %q", c.conf, got, err, c.want)
		}
	}
}

func TestLoadUnreadable(t *testing.T) {
	for _, name := range []string{"conf", "overrides"} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if got, err := Load(dir); err == nil {
			t.Errorf("%s is a directory: got %v", name, got)
		}
	}
}

func TestSet(t *testing.T) {
	for name, values := range map[string]struct{ good, bad string }{
		"full-backup":          {"now 60m 12h 3D 2W 1M 1Y 0D 999999999h", "1 M now! 1d 1s 1H -1D 1M2W 1.5D NOW 9999999999h １D"},
		"volsize":              {"1 25 5000 1048576", "0 -1 x 1.5 25MB 1048577 99999999999999999999 0x10"},
		"s3-parallel-uploads":  {"0 1 16", "-1 x 1001"},
		"restore-cache-size":   {"50% 0% 100% 500MB 500mb 1M 2GB 2g 700 0", "101% -1% % 5TB 5KB 1.5GB 50%% 99999999999999999999MB 9999999999999GB MB"},
		"restore-cache-dir":    {"/mnt relative", "a\x00b"},
		"backup-skip-files":    {"true True TRUE 1 yes Yes false FALSE 0 no", "truth 10 y on off 2 none"},
		"backup-skip-packages": {"true no", "maybe"},
		"backup-skip-database": {"true no", "maybe"},
		"force-profile":        {"core empty /root/profile turnkey-core-18.0-bookworm-amd64", "\x00"},
		"encryption":           {"age gpg none", "AGE pgp aes"},
		"cache-dir":            {"/mnt", "/\x00"},
	} {
		for _, value := range strings.Fields(values.good) {
			if err := Default().Set(name, value); err != nil {
				t.Errorf("%s %q: %v", name, value, err)
			}
		}
		for _, value := range append(strings.Fields(values.bad), "") {
			c := Default()
			err := c.Set(name, value)
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s %q: %v", name, value, err)
			}
			if !reflect.DeepEqual(c, Default()) {
				t.Errorf("%s %q: changed something: %+v", name, value, c)
			}
		}
	}
}

func TestSetOverridesTheFile(t *testing.T) {
	c, err := Load(confDir(t, "backup-skip-files yes\ns3-parallel-uploads 0\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	if !c.BackupSkipFiles || c.S3ParallelUploads != 1 {
		t.Errorf("the file: %+v", c)
	}
	if err := c.Set("backup-skip-files", "no"); err != nil || c.BackupSkipFiles {
		t.Errorf("set: %v, %v", c.BackupSkipFiles, err)
	}
}

// The defaults in the table are those of Default, every option changes
// something, and the table says what a help text needs.
func TestOptions(t *testing.T) {
	other := map[string]string{"encryption": "none", "full-backup": "now"}
	name := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := make(map[string]bool)
	fromTable := &Conf{}
	for _, o := range Options() {
		if !name.MatchString(o.Name) || o.Doc == "" || o.Format == "" || seen[o.Name] {
			t.Errorf("bad entry %+v", o)
		}
		seen[o.Name] = true
		if o.Default != "" {
			if err := fromTable.Set(o.Name, o.Default); err != nil {
				t.Error(err)
			}
		}
		c := Default()
		value := "1"
		if o.Name == "s3-parallel-uploads" {
			value = "2"
		}
		if other[o.Name] != "" {
			value = other[o.Name]
		}
		if err := c.Set(o.Name, value); err != nil || reflect.DeepEqual(c, Default()) {
			t.Errorf("%s %s changes nothing: %v", o.Name, value, err)
		}
	}
	if !reflect.DeepEqual(fromTable, Default()) {
		t.Errorf("the table has the defaults %+v, not %+v", fromTable, Default())
	}
}

func TestCacheSize(t *testing.T) {
	for s, want := range map[string]struct {
		text string
		of   int64
	}{
		"50%":    {"50%", 500},
		"1%":     {"1%", 10},
		"0%":     {"0MB", 0},
		"7":      {"7MB", 7 << 20},
		"7m":     {"7MB", 7 << 20},
		"1024MB": {"1GB", 1 << 30},
		"1025MB": {"1025MB", 1025 << 20},
		"2G":     {"2GB", 2 << 30},
		"0":      {"0MB", 0},
	} {
		size, err := ParseCacheSize(s)
		if err != nil || size.String() != want.text || size.Of(1001) != want.of {
			t.Errorf("%q: got %v of %d, %v, want %+v", s, size, size.Of(1001), err, want)
		}
	}
	if got := (CacheSize{Percent: 100}).Of(math.MaxInt64); got != math.MaxInt64 {
		t.Errorf("all of everything is %d", got)
	}
}

func FuzzConf(f *testing.F) {
	f.Add("volsize 50\n# x\nfull-backup\tnow\nrestore-cache-size 5%\n")
	for _, o := range Options() {
		f.Add(o.Name + " " + o.Default)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := Default()
		if err := c.read(strings.NewReader(text)); err != nil {
			return
		}
		if !fullBackup.MatchString(c.FullBackup) || c.Volsize < 1 || c.S3ParallelUploads < 1 ||
			c.RestoreCacheDir == "" || c.CacheDir == "" || c.Encryption == "" {
			t.Errorf("%q gives %+v", text, c)
		}
		if again, err := ParseCacheSize(c.RestoreCacheSize.String()); err != nil || again != c.RestoreCacheSize {
			t.Errorf("%q: size %v is read as %v, %v", text, c.RestoreCacheSize, again, err)
		}
		again := Default()
		if err := again.read(strings.NewReader(text + "\n#\n" + text)); err != nil || !reflect.DeepEqual(c, again) {
			t.Errorf("%q twice gives %+v, %v instead of %+v", text, again, err, c)
		}
	})
}

func confDir(t *testing.T, conf, overrides string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"conf": conf, "overrides": overrides} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestExample loads the example that is shipped: it says what holds anyway.
func TestExample(t *testing.T) {
	raw, err := os.ReadFile("../../contrib/conf")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "conf"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("the example gives %+v, the defaults are %+v", got, want)
	}
}
