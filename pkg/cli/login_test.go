package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tklbam/backends"
)

// TestLogin: a password comes from the address, from the environment, or from
// a netrc file, in this order, and for the host and user it is for.
func TestLogin(t *testing.T) {
	home := t.TempDir()
	netrc := "machine example.org login ann password ofann\nmachine example.org login bob password ofbob\ndefault login any password ofany\n"
	if err := os.WriteFile(filepath.Join(home, ".netrc"), []byte(netrc), 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"ftp://bob@example.org/x":                "bob:ofbob",
		"ftps://example.org/x":                   "ann:ofann",
		"webdavs://carl@example.org/x":           "carl:",
		"imap://elsewhere.org/x":                 "any:ofany",
		"ftp://bob:own@example.org/x":            "bob:own",
		"rsync://bob@example.org::/module/x":     "bob:ofbob",
		"rsync://bob@example.org/x":              "bob:",
		"sftp://bob@example.org/x":               "bob:",
		"s3://example.org/bucket":                ":",
		"file:///x":                              ":",
		"FTP_PASSWORD=e ftp://bob@example.org/x": "bob:",
	} {
		env := map[string]string{"HOME": home}
		if setting, rest, found := strings.Cut(address, " "); found {
			name, value, _ := strings.Cut(setting, "=")
			env[name], address = value, rest
		}
		a := &app{ctx: t.Context(), stdin: strings.NewReader(""), getenv: func(name string) string { return env[name] }}
		parsed, err := backends.ParseAddress(address)
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.login(parsed)
		if text := got.User + ":" + got.Password.Reveal(); err != nil || text != want {
			t.Errorf("%s: %q, %v; want %q", address, text, err, want)
		}
	}
}
