package profile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestParseID(t *testing.T) {
	for _, s := range []string{"turnkey-core-18.0-bookworm-amd64", "debian-12", "generic", "empty", "custom:my profile", "custom:näme"} {
		if id, err := ParseID(s); err != nil || id.String() != s {
			t.Errorf("%q: got %q, %v", s, id, err)
		}
	}
	for _, s := range []string{"", " ", "a\nb", "a\x00b", "../x", "/", " a", "a\t", strings.Repeat("x", maxID+1)} {
		if id, err := ParseID(s); err == nil {
			t.Errorf("%q is taken for %q", s, id)
		}
	}
}

func TestParseAppliance(t *testing.T) {
	for s, want := range map[ID]Appliance{
		"turnkey-core-18.0-bookworm-amd64":   {"core", "18.0-bookworm", "amd64"},
		"turnkey-lamp-stack-14.1-jessie-x86": {"lamp-stack", "14.1-jessie", "x86"},
		"turnkey-core-12-arm64":              {"core", "12", "arm64"},
		"turnkey-core-beta3-i386":            {"core", "beta3", "i386"},
		"turnkey-core-13.0-wheezy":           {"core", "13.0-wheezy", ""},
		"turnkey-core-13.0-":                 {"core", "13.0", ""},
		"turnkey-core":                       {"core", "", ""},
		"turnkey-core-":                      {"core", "", ""},
		"turnkey-core-amd64":                 {"core-amd64", "", ""},
		"turnkey-web2py-1.0-amd64":           {"web2py", "1.0", "amd64"},
		"turnkey-core-13-amd64-riscv":        {"core", "13-amd64-riscv", ""},
	} {
		if got, err := ParseAppliance(s); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", s, got, err)
		}
	}
	for _, id := range []ID{"", "generic", "debian-12", "turnkey", "turnkey-", "turnkey--", "turnkey--1.0-amd64", "custom:turnkey-core"} {
		if got, err := ParseAppliance(id); err == nil {
			t.Errorf("%q: got %+v", id, got)
		}
	}
	if got := (Appliance{Codename: "lamp-stack"}).Title(); got != "LAMP STACK" {
		t.Errorf("title %q", got)
	}
}

// Taking an appliance's id apart and putting it together again loses nothing
// that taking it apart finds.
func FuzzAppliance(f *testing.F) {
	for _, s := range []string{"turnkey-core-18.0-bookworm-amd64", "turnkey-a--1-", "turnkey-x-1--x86", "turnkey-1", "turnkey-a-1-amd64--", "debian-12"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			return
		}
		if id.String() != s {
			t.Fatalf("%q became %q", s, id)
		}
		a, err := ParseAppliance(id)
		if err != nil {
			return
		}
		if again, err := ParseAppliance(a.ID()); err != nil || again != a {
			t.Errorf("%q: %+v, and as %q %+v, %v", s, a, a.ID(), again, err)
		}
	})
}

func TestComplete(t *testing.T) {
	const system = "turnkey-lamp-18.0-bookworm-amd64"
	for _, c := range []struct{ id, system, want ID }{
		{"core", system, "turnkey-core-18.0-bookworm-amd64"},
		{"turnkey-core", system, "turnkey-core-18.0-bookworm-amd64"},
		{"core-18", system, "turnkey-core-18.0-bookworm-amd64"},
		{"core-17.1", system, "turnkey-core-17.1-amd64"},
		{"core-17.1-bullseye-amd64", system, ""},
		{"core", "debian-12", ""},
		{"core", "", ""},
		{"", system, ""},
	} {
		if got, ok := Complete(c.id, c.system); got != c.want || ok != (c.want != "") {
			t.Errorf("%q on %q: got %q, %v", c.id, c.system, got, ok)
		}
	}
}

func TestCompatible(t *testing.T) {
	for _, c := range []struct {
		backup, system ID
		want           bool
	}{
		{"turnkey-core-14.1-jessie-amd64", "turnkey-core-18.0-bookworm-amd64", true},
		{"turnkey-core-18.0-bookworm-amd64", "turnkey-lamp-18.0-bookworm-amd64", false},
		{"turnkey-core", "debian-12", true},
		{"debian-12", "turnkey-core-18.0-bookworm-amd64", true},
		{"ubuntu-24.04", "debian-12", true},
		{"", "", true},
	} {
		if got := Compatible(c.backup, c.system); got != c.want {
			t.Errorf("%q on %q: %v", c.backup, c.system, got)
		}
	}
}

func TestDetect(t *testing.T) {
	type files = map[string]string
	const (
		turnkey = "etc/turnkey_version"
		release = "etc/os-release"
		lsb     = "etc/lsb-release"
		debian  = "etc/debian_version"
	)
	for _, c := range []struct {
		files files
		want  ID
	}{
		{files{}, "generic"},
		{files{turnkey: "turnkey-core-18.0-bookworm-amd64\n", release: "ID=debian\nVERSION_ID=12\n"}, "turnkey-core-18.0-bookworm-amd64"},
		{files{turnkey: "\n", release: "ID=debian\nVERSION_ID=\"12\"\n"}, "debian-12"},
		{files{release: "# comment\nNAME='A=B'\n\nID=ubuntu\nVERSION_ID='24.04'\n"}, "ubuntu-24.04"},
		{files{"usr/lib/os-release": "ID=debian\nVERSION_ID=13\n"}, "debian-13"},
		{files{release: "ID=debian\n", debian: "trixie/sid\n"}, "debian-trixie_sid"},
		{files{lsb: "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=\"10.04\"\n", debian: "squeeze/sid"}, "ubuntu-10.04"},
		{files{debian: "6.0.7\n"}, "debian-6"},
		{files{debian: "kali-rolling\n"}, "generic"},
	} {
		fsys := fstest.MapFS{}
		for name, text := range c.files {
			fsys[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got, err := detect(fsys); err != nil || got != c.want {
			t.Errorf("%q: got %q, %v, want %q", c.files, got, err, c.want)
		}
	}
	if id, err := detect(fstest.MapFS{turnkey: {Data: []byte("a/../b")}}); err == nil {
		t.Errorf("got %q", id)
	}
}

func TestDetectStaysInTheRoot(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "release")
	writeFile(t, outside, "ID=outside\nVERSION_ID=1\n")
	link := filepath.Join(root, "etc/os-release")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	if id, err := Detect(root); err == nil {
		t.Errorf("got %q through a link that leads outside", id)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../lib/release", link); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(root, "lib/release"), "ID=inside\nVERSION_ID=1\n")
	if id, err := Detect(root); err != nil || id != "inside-1" {
		t.Errorf("got %q, %v", id, err)
	}
	if _, err := Detect(filepath.Join(root, "none")); err == nil {
		t.Error("a root that does not exist has a profile")
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
