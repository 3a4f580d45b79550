package sftp

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"tklbam/backends"
)

// userConfig and systemConfig are read for several hosts, by us and by ssh.
const userConfig = `
# comment
Include conf.d/*
Host backup !backup.example
	HostName = backup.example.org
	Port 2222
	User "keeper"   # trailing
	IdentityFile ~/.ssh/id_%r
	IdentityFile "/keys/two words"
Host *.example web?
	ProxyJump hop@gate:2200
	HostName %h.internal
Match host backup.example.org user keeper
	ServerAliveInterval 7
Match originalhost other !localuser root
	User never
Match all
	User fallback
	Port 22
	IdentityFile "/keys/last"
`

const includedConfig = "Host inc*\n  HostName included.host\n  Port 99\n"

const systemConfig = "Host *\n  Port 1\n  ConnectTimeout 5\n"

func writeConfig(t testing.TB) Environment {
	t.Helper()
	env := Environment{User: "root", HomeDir: t.TempDir(), SystemDir: t.TempDir()}
	for path, text := range map[string]string{
		filepath.Join(env.HomeDir, ".ssh/config"):       userConfig,
		filepath.Join(env.HomeDir, ".ssh/conf.d/first"): includedConfig,
		filepath.Join(env.SystemDir, "ssh_config"):      systemConfig,
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return env
}

func TestConfig(t *testing.T) {
	env := writeConfig(t)
	home := env.HomeDir
	tests := []struct{ address, want string }{
		{"ssh://backup/x", "keeper@backup.example.org:2222 [" + home + "/.ssh/id_keeper /keys/two words /keys/last] alive 7s"},
		{"ssh://BACKUP/x", "keeper@backup.example.org:2222 [" + home + "/.ssh/id_keeper /keys/two words /keys/last] alive 7s"},
		{"ssh://me@backup:22/x", "me@backup.example.org:22 [" + home + "/.ssh/id_me /keys/two words /keys/last] alive 15s"},
		{"ssh://incl/x", "fallback@included.host:99 [/keys/last] alive 15s"},
		{"ssh://web1/x", "hop@gate:2200 [/keys/last] alive 15s, fallback@web1.internal:22 [/keys/last] alive 15s"},
		{"ssh://other/x", "fallback@other:22 [/keys/last] alive 15s"},
		{"ssh://[::1]:5/x", "fallback@[::1]:5 [/keys/last] alive 15s"},
	}
	for _, test := range tests {
		a, err := backends.ParseAddress(test.address)
		if err != nil {
			t.Fatal(err)
		}
		hops, err := route(env, a)
		if err != nil {
			t.Errorf("%s: %v", test.address, err)
			continue
		}
		var got []string
		for _, e := range hops {
			got = append(got, fmt.Sprintf("%s@%s %v alive %v", e.user, e.dialAddress(), e.files("identityfile", ""), e.conf.seconds("serveraliveinterval", aliveInterval)))
			if limit := e.conf.get("connecttimeout"); limit != "5" {
				t.Errorf("%s: ConnectTimeout is %q, want that of the system's file", test.address, limit)
			}
		}
		if all := strings.Join(got, ", "); all != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.address, all, test.want)
		}
	}
}

// TestConfigLikeSSH compares with what the system's ssh makes of a file.
func TestConfigLikeSSH(t *testing.T) {
	ssh, err := exec.LookPath("ssh")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("ssh is not installed")
	} else if err != nil {
		t.Skip("ssh is not installed")
	}
	env := writeConfig(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	// Its Include is relative to the real home directory.
	config := filepath.Join(env.HomeDir, ".ssh/config")
	text := strings.Replace(userConfig, "conf.d", filepath.Dir(config)+"/conf.d", 1)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"backup", "me@backup", "incl", "web1", "a.example", "other", "backup.example"} {
		a, err := backends.ParseAddress("ssh://" + host)
		if err != nil {
			t.Fatal(err)
		}
		e, err := resolve(Environment{User: me.Username, HomeDir: env.HomeDir}, a)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(ssh, "-G", "-F", config, host).CombinedOutput()
		if err != nil {
			t.Fatalf("ssh -G %s: %v\n%s", host, err, out)
		}
		lines := strings.Split(string(out), "\n")
		for _, want := range []string{"hostname " + e.host, fmt.Sprintf("port %d", e.port), "user " + e.user} {
			if !slices.Contains(lines, want) {
				t.Errorf("%s: we have %q, ssh has not:\n%s", host, want, out[:min(len(out), 300)])
			}
		}
		if jump := e.conf.get("proxyjump"); jump != "" != slices.Contains(lines, "proxyjump "+jump) {
			t.Errorf("%s: we jump over %q, ssh does not", host, jump)
		}
	}
}

func TestConfigRefused(t *testing.T) {
	for text, want := range map[string]string{
		"ProxyCommand nc %h %p":          "ProxyCommand",
		"ProxyJump h":                    "more than 8 servers",
		"ProxyJump -oX":                  "bad ProxyJump",
		"Port 70000":                     "bad number",
		"User \"x":                       "line 1: no quote",
		"Include ~/.ssh/config":          "too many files",
		"ServerAliveCountMax x\nPort 99": "",
	} {
		env := Environment{User: "u", HomeDir: t.TempDir()}
		dir := filepath.Join(env.HomeDir, ".ssh")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "config"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := route(env, backends.Address{Scheme: "sftp", Host: "h"})
		if want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q", text, err, want)
		}
	}
}

func FuzzSplitLine(f *testing.F) {
	for _, line := range strings.Split(userConfig, "\n") {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := splitLine(line)
		if err != nil {
			return
		}
		// What was split, quoted and joined splits the same.
		var b strings.Builder
		for i, w := range words {
			if i == 0 {
				b.WriteString(w)
				continue
			}
			b.WriteString(` "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w) + `"`)
		}
		if len(words) < 2 || words[0] == "" || strings.ContainsAny(line, "\\\n\r\v\f\u0085\u00a0") {
			return
		}
		again, err := splitLine(b.String())
		if err != nil || !slices.Equal(again, words) {
			t.Errorf("%q splits into %q, and %q into %q, %v", line, words, b.String(), again, err)
		}
	})
}

func TestMatchPattern(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"*", "a", true}, {"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "acb", false},
		{"?", "", false}, {"?", "a", true}, {"a?c*", "abcd", true}, {"*a*b*", "xxaxxbxx", true}, {"*a*b", "ab a", false},
		{"", "", true}, {"", "a", false}, {"[h]:22", "[h]:22", true}, {strings.Repeat("*a", 50), strings.Repeat("a", 5000) + "b", false},
	} {
		if matchPattern(test.pattern, test.name) != test.want {
			t.Errorf("%q matches %.20q: want %t", test.pattern, test.name, test.want)
		}
	}
}

// shells are the ones that must take our quoting.
var shells = []string{"sh", "bash", "dash", "busybox", "tcsh", "fish", "zsh"}

// FuzzQuote: a shell makes of a quoted text the text.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a", "a b", `it's`, `\`, `\\`, `'\''`, "$HOME`id`", "!x", "*", "~", "-rf", "ü", `a\'b"c`, "#", ";&|<>(){}[]^%"} {
		f.Add(s)
	}
	var have [][]string
	for _, name := range shells {
		if path, err := exec.LookPath(name); err == nil && name == "busybox" {
			have = append(have, []string{path, "sh", "-c"})
		} else if err == nil {
			have = append(have, []string{path, "-c"})
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
			return // in no name
		}
		for _, shell := range have {
			cmd := exec.Command(shell[0], append(shell[1:], "printf %s "+quote(text))...)
			if out, err := cmd.Output(); err != nil || string(out) != text {
				t.Errorf("%s makes %q of %q, written %s: %v", shell, out, text, quote(text), err)
			}
		}
	})
}

func FuzzParseListing(f *testing.F) {
	for _, line := range []string{
		"total 8", "", "-rw-r--r-- 1 0 0 12 Nov 23 16:00 name", "-rw-r--r-- 1 0 0 12 Jan  1  2020  two  blanks ",
		"drwxr-xr-x    2 0        0             4096 Nov 23 16:00 dir", "crw-rw-rw- 1 0 0 1, 3 Nov 23 16:00 null",
		"lrwxrwxrwx 1 0 0 7 Nov 23 16:00 link -> name", "-rw-r--r-- 1 0 0 99999999999999999999 Nov 23 16:00 big", "-rw------- 1 0 0 -1 Nov 23 16:00 x",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		e, ok := parseListing(line)
		if ok && (e.size < 0 || !strings.HasSuffix(line, e.name)) {
			t.Errorf("%q is %+v", line, e)
		}
	})
}

func TestParseListing(t *testing.T) {
	for line, want := range map[string]entry{
		"-rw-r--r-- 1 0 0 12 Nov 23 16:00 name":               {"name", true, 12},
		"-rw-r--r--+ 1 0 0 0 Jan  1  2020  two  blanks ":      {" two  blanks ", true, 0},
		"drwxr-xr-x    2 0        0      4096 Nov 23 16:00 d": {"d", false, 4096},
	} {
		if got, ok := parseListing(line); !ok || got != want {
			t.Errorf("%q is %+v, %t, want %+v", line, got, ok, want)
		}
	}
	for _, line := range []string{"total 8", "", "crw-rw-rw- 1 0 0 1, 3 Nov 23 16:00 null", "-rw 1 0 0 x Nov 23 16:00 n"} {
		if e, ok := parseListing(line); ok {
			t.Errorf("%q is %+v", line, e)
		}
	}
}

// TestKnownHostsLike lets ssh-keygen write known_hosts, hashed and not.
func TestKnownHostsLike(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "known_hosts")
	if out, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, "key")).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	public, err := os.ReadFile(filepath.Join(dir, "key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(public)
	if err != nil {
		t.Fatal(err)
	}
	lines := "# comment\nbroken line\nh ssh-unknown AAAA\n[host.example]:2222,10.0.0.1 " + string(public) + "*.dom,!not.dom " + string(public)
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	found := func(host string, port int) []knownKey {
		h := &hostKeys{server: endpoint{host: host, port: port}}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		h.parse(file, text)
		return h.keys
	}
	for range 2 { // as it is, then hashed
		for _, test := range []struct {
			host string
			port int
			want int
		}{{"host.example", 2222, 1}, {"host.example", 22, 0}, {"10.0.0.1", 22, 1}, {"10.0.0.1", 23, 0}, {"a.dom", 22, 1}, {"not.dom", 22, 0}} {
			keys := found(test.host, test.port)
			if len(keys) != test.want || len(keys) > 0 && !bytes.Equal(keys[0].key.Marshal(), key.Marshal()) {
				t.Errorf("%s port %d has %d keys, want %d", test.host, test.port, len(keys), test.want)
			}
		}
		if out, err := exec.Command(keygen, "-H", "-f", file).CombinedOutput(); err != nil {
			t.Logf("ssh-keygen -H: %v\n%s", err, out)
		}
	}
}

func FuzzKnownHosts(f *testing.F) {
	f.Add([]byte("@cert-authority * ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDt3UTrd8kuDMQzEcQWigDsOr9irtQ4L5xAK/CpEkJP1"))
	f.Add([]byte("|1|AAAA|AAAA ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDt3UTrd8kuDMQzEcQWigDsOr9irtQ4L5xAK/CpEkJP1"))
	f.Add([]byte("h ssh-rsa AAAA\n\nh,!h x y z"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h := &hostKeys{server: endpoint{host: "h", port: 22}}
		h.parse("file", text)
		have := ssh.SupportedAlgorithms().HostKeys
		for _, name := range h.algorithms() {
			if !slices.Contains(have, name) {
				t.Errorf("%q is offered, which is not safe", name)
			}
		}
	})
}
