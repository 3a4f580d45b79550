package rsync

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"tklbam/backends"
)

func TestParseEntry(t *testing.T) {
	for line, want := range map[string]entry{
		`-rw-r--r--              3 2026/11/23 18:00:19 name`:                  {"name", 3},
		`-rw-r--r--              3 2026/11/23 18:00:19  two  words `:          {" two  words ", 3},
		`-rw-r--r--  1,234,567,890 2026/11/23 18:00:19 a -> b`:                {"a -> b", 1234567890},
		`-rw-r--r--+ 12345678901234567 2026/11/23 18:00:19 x`:                 {"x", 12345678901234567},
		`-rw-r--r--              3 2026/11/23 18:00:19 \#303\#251\#134#101 x`: {`é\#101 x`, 3},
		`-rw-r--r--              3 2026/11/23 18:00:19 \#8\#999\`:             {`\#8\#999\`, 3},
	} {
		if got, err := parseEntry(line); err != nil || got != want {
			t.Errorf("%q is %+v, %v, want %+v", line, got, err, want)
		}
	}
	for _, line := range []string{"-", "-rw-r--r--", "-rw-r--r-- 3 2026/11/23 18:00:19 ", "-rw-r--r-- 99999999999999999999 2026/11/23 18:00:19 x"} {
		if got, err := parseEntry(line); err == nil {
			t.Errorf("%q is taken for %+v", line, got)
		}
	}
}

// FuzzUnescape: every name comes back from how rsync writes it.
func FuzzUnescape(f *testing.F) {
	for _, name := range []string{`a\#101`, "é", `\`, `\#`, "\x00\xff", `\\#1234`} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if got := unescape(escaped(name)); got != name {
			t.Errorf("%q is written %q and read back as %q", name, escaped(name), got)
		}
		unescape(name) // whatever it is
	})
}

// escaped writes a name as rsync does in the C locale.
func escaped(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		isCode := c == '\\' && i+5 <= len(name) && name[i+1] == '#' && strings.Trim(name[i+2:i+5], "0123456789") == ""
		if c < ' ' || c > '~' || isCode {
			b.WriteString(`\#` + string([]byte{'0' + c>>6, '0' + c>>3&7, '0' + c&7}))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func TestKinds(t *testing.T) {
	for _, test := range []struct {
		code    int
		message string
		want    error
	}{
		{11, "rsync: [receiver] write failed on \"/x\" (in files): No space left on device (28)\nrsync error: error in file IO (code 11) at receiver.c(378) [receiver=3.5.0]", backends.ErrNoSpace},
		{12, "rsync: [receiver] write failed on \"/x\": Auf dem Gerät ist kein Speicherplatz mehr verfügbar (28)\nrsync: connection unexpectedly closed", backends.ErrNoSpace},
		{11, "rsync: [receiver] write failed: Disk quota exceeded (122)", backends.ErrNoSpace},
		{23, "rsync: [generator] delete_file: unlink(name) failed: Permission denied (13)", fs.ErrPermission},
		{12, "rsync: connection unexpectedly closed (0 bytes received so far) [sender]", backends.ErrUnavailable},
		{5, "@ERROR: max connections (1) reached -- try again later", backends.ErrUnavailable},
		{5, "rsync: did not see server greeting", backends.ErrUnavailable},
		{5, "@ERROR: something else", nil},
		{30, "[sender] io timeout after 300 seconds -- exiting", backends.ErrUnavailable},
		{35, "", backends.ErrUnavailable},
		{255, "u@h: Permission denied (publickey,password).", fs.ErrPermission},
		{255, "ssh: connect to host h port 22: Connection refused", backends.ErrUnavailable},
		{255, "ssh: Could not resolve hostname h: Temporary failure in name resolution", backends.ErrUnavailable},
		{255, "ssh: Could not resolve hostname h: Name or service not known", nil},
		{255, "Host key verification failed.", nil},
		{12, "sh: 1: rsync: not found\nrsync: connection unexpectedly closed", nil},
		{14, "rsync: [Receiver] Failed to exec ssh: No such file or directory (2)", nil},
		{12, "rsync: Failed to exec x: No such file or directory (2)\nrsync: connection unexpectedly closed (0 bytes received so far) [Receiver]", nil},
		{1, "rsync: --x: unknown option", nil},
	} {
		if got := (&exitError{test.code, test.message}).kind(); !errors.Is(got, test.want) {
			t.Errorf("%d, %q is %v, want %v", test.code, test.message, got, test.want)
		}
	}
}

func TestRemoteShell(t *testing.T) {
	for want, a := range map[string]backends.Address{
		"ssh":                             {},
		"ssh -p 2222 -l u":                {Port: 2222, User: "u"},
		"ssh -l 'it''s me; x'":            {User: "it's me; x"},
		`ssh -l 'a"b'`:                    {User: `a"b`},
		"ssh -p 22 -l u@example.org:x/y$": {Port: 22, User: "u@example.org:x/y$"},
	} {
		if got := remoteShell(nil, a); got != want {
			t.Errorf("%+v is reached by %q, want %q", a, got, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	env := Environment{
		Environ:  []string{"HOME=/h", "USER=me", "LC_ALL=de_DE.UTF-8", "RSYNC_RSH=evil", "RSYNC_PASSWORD=other", "RSYNC_PROXY=p:1"},
		Password: backends.NewSecret("fallback"),
	}
	for _, test := range []struct {
		a    backends.Address
		want string
	}{
		{backends.Address{}, "HOME=/h USER=me RSYNC_PROXY=p:1 LC_ALL=C"},
		{backends.Address{Daemon: true}, "HOME=/h USER=me RSYNC_PROXY=p:1 LC_ALL=C RSYNC_PASSWORD=fallback"},
		{backends.Address{Daemon: true, User: "u", Password: backends.NewSecret("p")}, "HOME=/h RSYNC_PROXY=p:1 LC_ALL=C USER=u RSYNC_PASSWORD=p"},
	} {
		if got := strings.Join(environ(env, test.a), " "); got != test.want {
			t.Errorf("%+v: %s, want %s", test.a, got, test.want)
		}
	}
}
