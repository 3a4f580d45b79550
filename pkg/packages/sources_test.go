package packages

import (
	"reflect"
	"testing"
)

func TestSources(t *testing.T) {
	root := makeRoot(t, map[string]string{
		"var/lib/dpkg/status":                 "Package: keys\nStatus: install ok installed\nArchitecture: all\n",
		"var/lib/dpkg/info/keys.list":         "/etc/apt/trusted.gpg.d/debian.asc\n",
		"etc/apt/trusted.gpg.d/debian.asc":    "x",
		"etc/apt/trusted.gpg.d/mine.gpg":      "x",
		"etc/apt/trusted.gpg.d/mine.gpg~":     "x",
		"etc/apt/trusted.gpg":                 "",
		"etc/apt/sources.list":                "deb http://deb.debian.org/debian bookworm main\n# deb http://x.example y z\ndeb [trusted=yes] cdrom:[Debian]/ bookworm main\n",
		"etc/apt/sources.list.d/old.list":     "deb http://old.example/debian bookworm main # comment\n",
		"etc/apt/sources.list.d/signed.list":  "deb [ arch=amd64 signed-by=/usr/share/keyrings/a.gpg,/etc/apt/keyrings/b.asc ] https://user:pw@a.example:8080/x y z\ndeb-src https://archive.ubuntu.com/x y\n",
		"etc/apt/sources.list.d/mirror.list":  "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian bookworm main\n",
		"etc/apt/sources.list.d/evil.list":    "deb [signed-by=/k] http://debian.org.example/ x/\ndeb [signed-by=/k] file:/debian.org x\ndeb [signed-by=/k] file://debian.org.x x\ndebx http://x\ndeb [\ndeb\n",
		"etc/apt/sources.list.d/not-read.bak": "deb http://bak.example x y\n",
		"etc/apt/sources.list.d/new.sources": "# comment\nTypes: deb\nURIs: https://one.example/\n  https://two.example/\n# in between\n https://deb.debian.org/x\n" +
			"Suites: stable\nSigned-By: /usr/share/keyrings/new.gpg\n\nTypes: deb\nURIs: https://off.example\nEnabled: no\n",
		"etc/apt/sources.list.d/inline.sources": "types: deb\nuris: https://inline.example\nsigned-by:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n /abc+\n",
	})
	got, err := Sources(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []SourceFile{
		{"etc/apt/sources.list.d/evil.list", []string{"http://debian.org.example/", "file:/debian.org", "file://debian.org.x"}, []string{"k"}},
		{"etc/apt/sources.list.d/inline.sources", []string{"https://inline.example"}, nil},
		{"etc/apt/sources.list.d/new.sources", []string{"https://one.example/", "https://two.example/"}, []string{"usr/share/keyrings/new.gpg"}},
		{"etc/apt/sources.list.d/old.list", []string{"http://old.example/debian"}, []string{"etc/apt/trusted.gpg.d/mine.gpg"}},
		{"etc/apt/sources.list.d/signed.list", []string{"https://a.example:8080/x"}, []string{"etc/apt/keyrings/b.asc", "usr/share/keyrings/a.gpg"}},
	}
	if !reflect.DeepEqual(got, want) {
		for _, f := range got {
			t.Logf("%q", f)
		}
		t.Errorf("got other files than wanted")
	}
}
