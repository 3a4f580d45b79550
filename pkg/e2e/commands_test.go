package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// small makes a tree of a few files, quick to back up.
func small(t testing.TB, seed uint64) *gardener {
	g := newGardener(t, seed)
	g.file("a/one", g.content(1000))
	g.file("a/two", g.content(100000))
	g.file("b/three", g.content(5))
	return g
}

func TestHelp(t *testing.T) {
	b := newBox(t)
	tklbam := func(args ...string) result {
		cmd := b.command("init", args...) // any of the links
		cmd.Path = filepath.Join(built, "tklbam")
		cmd.Args[0] = "tklbam"
		return run(t, cmd)
	}
	overview := tklbam()
	b.says(overview, 0, append(commands, "Usage: tklbam COMMAND")...)
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}} {
		if r := tklbam(args...); r != overview {
			t.Errorf("tklbam %q: %+v", args, r)
		}
	}
	version := tklbam("--version")
	b.says(version, 0, "tklbam ")
	for _, c := range commands {
		help := b.must(c, "--help")
		b.says(help, 0, "Usage: tklbam", "Exit status:", "--help", "Example")
		for _, r := range []result{b.must(c, "-h"), tklbam(c, "--help"), tklbam("help", c)} {
			if r != help {
				t.Errorf("another help of %s: %+v", c, r)
			}
		}
		b.says(b.must(c, "--version"), 0, "tklbam-"+c, strings.Fields(version.stdout)[1])
	}
	b.says(tklbam("nothing"), 2, `no command "nothing"`)
}

// TestUsageErrors: a command line that makes no sense is refused with 2, a
// word about what is wrong, and nothing done.
func TestUsageErrors(t *testing.T) {
	b := newBox(t)
	src, to := "--raw-upload="+b.path("home"), address(b.storage)
	down := "--raw-download=" + b.path("out")
	for _, c := range []struct {
		command string
		args    []string
		word    string
	}{
		{"backup", []string{src}, "--address"},
		{"backup", []string{"--dump=" + b.path("out"), to}, "--address"},
		{"backup", []string{src, to, "--nonsense"}, "--nonsense"},
		{"backup", []string{src, to, "-x"}, "-x"},
		{"backup", []string{src, "--address"}, "needs a value"},
		{"backup", []string{src, to, "--quiet=yes"}, "takes no value"},
		{"backup", []string{src, to, "extra"}, "extra"},
		{"backup", []string{src, to, "--", "-/etc"}, "-/etc"},
		{"backup", []string{src, to, "--s"}, "not unique"},
		{"backup", []string{src, to, "--volsize=0"}, "volsize"},
		{"backup", []string{src, to, "--volsize=x"}, "volsize"},
		{"backup", []string{src, to, "--encryption=rot13"}, "encryption"},
		{"backup", []string{src, to, "--full-backup=often"}, "full-backup"},
		{"backup", []string{src, to, "--resume", "--simulate"}, "--resume"},
		{"restore", []string{down}, "--address"},
		{"restore", nil, "--address"},
		{"restore", []string{b.path("home")}, "extract"},
		{"restore", []string{down, to, "--time=yesterday"}, "yesterday"},
		{"restore", []string{down, to, "--limits='/a"}, "--limits"},
		{"restore", []string{down, to, "12"}, "12"},
		{"status", []string{to, "extra"}, "extra"},
		{"cleanup", nil, "--address"},
		{"init", []string{"APIKEY"}, "--solo"},
		{"restore-rollback", []string{"extra"}, "extra"},
		{"escrow", nil, "argument"},
		{"escrow", []string{"a", "b"}, "argument"},
		{"escrow", []string{"-P", "-R", "a"}, "exclude"},
		{"escrow", []string{"-P", "--format=zip", "a"}, "zip"},
		{"passphrase", []string{"secret"}, "secret"},
	} {
		r := b.fails(2, []string{"error: ", c.word, "Try \"tklbam-" + c.command + " --help\"."}, c.command, c.args...)
		if r.stdout != "" {
			t.Errorf("%s %q prints %q", c.command, c.args, r.stdout)
		}
	}
	for _, name := range []string{"storage", "out", "a"} {
		if _, err := os.Lstat(b.path(name)); err == nil {
			t.Errorf("%s was made", name)
		}
	}
}

// TestDebugShell: a person looks around before anything is stored, and may
// say no.
func TestDebugShell(t *testing.T) {
	b := newBox(t)
	shell := b.path("shell")
	ok(t, os.WriteFile(shell, []byte("#!/bin/sh\npwd\nread answer\nexit $answer\n"), 0o755))
	for answer, code := range map[string]int{"0\n": 0, "1\n": 1} {
		cmd := b.command("backup", "--debug", "--raw-upload="+b.path("home"), address(b.path("storage"+answer[:1])))
		cmd.Env = append(cmd.Env, "SHELL="+shell)
		cmd.Stdin = strings.NewReader(answer)
		r := run(t, cmd)
		b.says(r, code, "This is a shell in ", b.path("home")+"\n")
		if stored, err := filepath.Glob(b.path("storage"+answer[:1]) + "/*manifest*"); err != nil || (len(stored) > 0) != (code == 0) {
			t.Errorf("answered %q: stored %q, %v", answer, stored, err)
		}
	}
}

func TestFailures(t *testing.T) {
	b := newBox(t)
	g := small(t, 60)
	b.backup(g.root)
	to := address(b.storage)
	b.write(b.path("file"), "")
	ok(t, os.Mkdir(b.path("full"), 0o755))
	b.write(b.path("full/file"), "mine")
	for _, c := range []struct {
		command string
		args    []string
		words   []string
	}{
		{"backup", []string{"--raw-upload=" + b.path("nowhere"), to}, []string{"nowhere"}},
		{"backup", []string{"--raw-upload=" + b.path("file"), to}, []string{"not a directory"}},
		{"backup", []string{"--raw-upload=" + g.root, "--address=gopher://host/x"}, []string{"gopher"}},
		{"backup", []string{"--raw-upload=" + g.root, to, "--secretfile=" + b.path("nowhere")}, []string{"nowhere"}},
		{"backup", []string{"--raw-upload=" + g.root, to, "--secretfile=" + b.path("file")}, []string{"holds no secret"}},
		{"backup", []string{"--resume"}, []string{"no interrupted backup"}},
		{"restore", []string{"--raw-download=" + b.path("full"), to}, []string{"not an empty directory", "--force"}},
		{"restore", []string{"--raw-download=" + b.path("out"), address(b.path("nowhere"))}, []string{"nowhere"}},
		{"restore", []string{"--raw-download=" + b.path("out"), address(b.path("conf"))}, []string{"no backup"}},
		{"restore", []string{"--raw-download=" + b.path("out"), to, "--time=1999-01-01"}, []string{"no backup as old as 1999-01-01"}},
		{"restore", []string{"--raw-download=" + b.path("out"), to, "--keyfile=" + b.path("full/file")}, []string{"not a key"}},
		{"restore", []string{"--raw-download=" + b.path("out"), to, "--keyfile=" + b.path("nowhere")}, []string{"nowhere"}},
	} {
		b.fails(1, append(c.words, "error: "), c.command, c.args...)
	}
	if content, err := os.ReadFile(b.path("full/file")); string(content) != "mine" {
		t.Errorf("a refused restore changed a file: %q, %v", content, err)
	}
	b.write(b.path("conf/conf"), "volsize many\n")
	b.fails(1, []string{"volsize", b.path("conf/conf")}, "backup", "--raw-upload="+g.root, to)
}

// TestOptionsAnywhere: values follow "=" or come as the next word, options
// stand in any order, long ones may be cut.
func TestOptionsAnywhere(t *testing.T) {
	b := newBox(t)
	g := small(t, 61)
	b.must("backup", "-q", "--address", "file://"+b.storage, "--volsize", "1", "--raw-upload="+g.root)
	want := look(t, g.root)
	for i, args := range [][]string{
		{"--raw-download=OUT", "--address", "file://" + b.storage, "--silent"},
		{"--address=file://" + b.storage, "--raw-download", "OUT", "-q"},
		{"--addr", "file://" + b.storage, "--raw-d=OUT", "--noninter"},
		{"-q", "--raw-download", "OUT", address(b.storage), "--"},
		{"--limits", "/a /b", "--raw-download", "OUT", address(b.storage)},
		{"--limits=", "--raw-download", "OUT", address(b.storage)},
	} {
		out := b.path("out" + string(rune('0'+i)))
		for j := range args {
			args[j] = strings.ReplaceAll(args[j], "OUT", out)
		}
		b.must("restore", args...)
		same(t, strings.Join(args, " "), look(t, out), want, exact)
	}
}

func TestInitKeepsKey(t *testing.T) {
	b := newBox(t)
	secret, err := os.ReadFile(b.path("registry/secret"))
	ok(t, err)
	if !regexp.MustCompile(`^[A-Za-z0-9+/]{27}\n$`).Match(secret) {
		t.Errorf("secret %q", secret)
	}
	for _, args := range [][]string{{"--solo"}, {"--solo", "--force"}} {
		b.says(b.must("init", args...), 0, "kept")
		again, err := os.ReadFile(b.path("registry/secret"))
		ok(t, err)
		if string(again) != string(secret) {
			t.Error("init made a new secret")
		}
	}
	for _, name := range []string{"registry/secret", "registry/key"} {
		if info, err := os.Stat(b.path(name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if info, err := os.Stat(b.path("registry")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("registry: %v, %v", info.Mode(), err)
	}
}

// TestKeyFiles restores on another system with every form of a saved key.
func TestKeyFiles(t *testing.T) {
	b := newBox(t)
	g := small(t, 62)
	b.backup(g.root)
	want := look(t, g.root)
	key := b.path("key")
	other := newBox(t)
	other.storage = b.storage
	check := func(what, passphrase string) {
		t.Helper()
		out := filepath.Join(tempDir(t), "out")
		args := []string{"--raw-download=" + out, address(b.storage), "--keyfile=" + key}
		r := other.runWith(passphrase+"\n", "restore", args...)
		if r.code != 0 {
			t.Fatalf("%s: exit status %d\n%s", what, r.code, r.output())
		}
		same(t, what, look(t, out), want, exact)
		if passphrase == "" {
			return
		}
		out = filepath.Join(tempDir(t), "out")
		args[0] = "--raw-download=" + out
		other.says(other.runWith("wrong\n", "restore", args...), 11, "error: ", "hint: ")
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: a restore with a wrong passphrase made its directory", what)
		}
		other.says(other.runWith("", "restore", args...), 1, "read passphrase")
	}
	for _, format := range []string{"tklbam", "age"} {
		f := "--format=" + format
		b.must("escrow", f, "--no-passphrase", key)
		check(format+" without passphrase", "")
		r := b.must("escrow", f, "--random-passphrase", key)
		if !regexp.MustCompile(`^([A-Z2-7]{4}-){3}[A-Z2-7]{4}\n$`).MatchString(r.stdout) {
			t.Fatalf("a random passphrase: %q", r.stdout)
		}
		check(format+" with a random passphrase", strings.TrimSpace(r.stdout))
		if r := b.runWith("hunter 2\nsecond line\n", "escrow", f, key); r.code != 0 {
			t.Fatal(r.output())
		}
		check(format+" with a passphrase", "hunter 2")
		if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("key file %v, %v", info.Mode(), err)
		}
	}
	b.write(key, b.must("escrow", "-P", "-").stdout)
	check("from standard output", "")

	// The registry's own packet is one too, and follows the passphrase.
	key = b.path("registry/key")
	check("the registry's", "")
	b.says(b.runWith("new one\n", "passphrase"), 0, "Updated the passphrase.")
	check("the registry's with a passphrase", "new one")
	random := b.must("passphrase", "--random")
	check("the registry's with a random passphrase", strings.Fields(random.stdout)[0])
	b.says(b.runWith("\n", "passphrase"), 0, "Removed the passphrase.")
	check("the registry's without it again", "")
	b.backup(g.root) // which needed no passphrase at any time
}

// TestStockAgeOpensEscrow reads an escrow file with the age program.
func TestStockAgeOpensEscrow(t *testing.T) {
	needs(t, "age", "script")
	b := newBox(t)
	r := b.must("escrow", "-R", "--format=age", b.path("key"))
	cmd := exec.Command("script", "-qec", "age -d -o "+b.path("plain")+" "+b.path("key"), "/dev/null")
	cmd.Stdin = strings.NewReader(r.stdout)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sameBytes(t, b.path("plain"), b.path("registry/secret"))
}

// TestWrongSecret: neither a backup nor a restore under another secret does
// anything.
func TestWrongSecret(t *testing.T) {
	for _, encryption := range []string{"age", "gpg"} {
		t.Run(encryption, func(t *testing.T) {
			b := newBox(t, "encryption "+encryption)
			g := small(t, 63)
			b.backup(g.root)
			g.file("new", []byte("x"))
			b.backup(g.root)
			before := stored(t, b.storage)
			other := newBox(t, "encryption "+encryption)
			g.file("newer", []byte("x"))
			backup := []string{"--raw-upload=" + g.root, address(b.storage)}
			other.fails(11, []string{"error: ", "--full-backup=now"}, "backup", backup...)
			b.fails(11, []string{"error: "}, "backup", append(backup, other.secretFile("another"))...)
			b.fails(11, []string{"error: "}, "backup", append(backup, other.secretFile("another"), "--full-backup=0m")...)
			if after := stored(t, b.storage); !maps.Equal(before, after) {
				t.Errorf("stored %v, before %v", after, before)
			}
			out := b.path("out")
			other.fails(11, []string{"error: ", "--keyfile"}, "restore", "--raw-download="+out, address(b.storage))
			if entries, err := os.ReadDir(out); len(entries) > 0 {
				t.Errorf("%d files in the target: %v", len(entries), err)
			}
			other.fails(11, []string{"error: "}, "status", address(b.storage), other.secretFile("another"))
			other.storage = b.storage
			st := other.status(0)
			if st.Checked || len(st.Chains) != 1 {
				t.Errorf("status by names: %+v", st)
			}
			if sum := b.backup(g.root); sum.Type != "incremental" || sum.New != 1 {
				t.Errorf("the next backup: %+v", sum)
			}
		})
	}
}

func TestStatusCodes(t *testing.T) {
	b := newBox(t)
	g := small(t, 64)
	ok(t, os.Mkdir(b.storage, 0o755))
	to := address(b.storage)
	b.fails(10, []string{"no complete backup"}, "status", to)
	b.fails(10, []string{"no backup"}, "status", "--short", to)
	if st := b.status(10); len(st.Chains) != 0 {
		t.Errorf("%+v", st)
	}
	b.fails(11, []string{"NOT LINKED"}, "status")
	b.backup(g.root)
	b.says(b.must("status", to), 0, "Chain of", "full", "1 volume", ".zst.age")
	b.says(b.must("status", "--short", to), 0, "ok, 1 set")
	for name := range stored(t, b.storage) {
		if strings.Contains(name, ".vol1.") {
			ok(t, os.Remove(filepath.Join(b.storage, name)))
		}
	}
	b.fails(3, []string{"DAMAGED"}, "status", to)
	fresh := &box{t: t, dir: tempDir(t)}
	fresh.fails(11, []string{"NOT INITIALIZED"}, "status")
	fresh.fails(1, []string{"tklbam-init"}, "backup", "--raw-upload="+g.root, to)
	fresh.fails(1, []string{"tklbam-init"}, "escrow", "-P", "-")
	fresh.fails(1, []string{"tklbam-init"}, "passphrase", "--random")
}

func TestSimulate(t *testing.T) {
	b := newBox(t)
	g := small(t, 65)
	backup := []string{"--raw-upload=" + g.root, address(b.storage), "--simulate"}
	r := b.must("backup", backup...)
	b.says(r, 0, "Full backup (simulated)", "6 new")
	if _, err := os.Stat(b.storage); err == nil {
		t.Error("a simulation made the target")
	}
	b.backup(g.root)
	before, cache := stored(t, b.storage), look(t, b.path("cache"))
	g.edit("a/two", g.flip)
	_, sum := events(t, b.must("backup", append(backup, "--json")...))
	if sum.Type != "incremental" || sum.Changed != 1 || sum.StoredBytes == 0 {
		t.Errorf("%+v", sum)
	}
	if after := stored(t, b.storage); !maps.Equal(before, after) {
		t.Errorf("a simulation stored %v", after)
	}
	same(t, "cache", look(t, b.path("cache")), cache, contents)
	if sum := b.backup(g.root); sum.Changed != 1 {
		t.Errorf("the backup after it: %+v", sum)
	}
}

func TestOutput(t *testing.T) {
	b := newBox(t)
	g := small(t, 66)
	all, sum := events(t, b.must("backup", "--json", "--raw-upload="+g.root, address(b.storage)))
	for _, e := range all {
		if e["event"] == nil || e["time"] == nil {
			t.Errorf("event %v", e)
		}
	}
	if len(all) < 3 || sum.Type != "full" || sum.New != 6 || sum.Files != 6 || sum.SourceBytes != 101005 || sum.Volumes != 1 || sum.NextFull.IsZero() {
		t.Errorf("%d events, %+v", len(all), sum)
	}
	r := b.must("backup", "--quiet", "--raw-upload="+g.root, address(b.storage))
	if !strings.HasPrefix(r.stdout, "Incremental backup of "+g.root) || strings.Contains(r.stdout, "backing up") {
		t.Errorf("--quiet prints %q", r.stdout)
	}
	b.says(b.must("backup", "--raw-upload="+g.root, address(b.storage)), 0, "backing up", "Incremental backup of", "Next full")
	all, sum = events(t, b.must("restore", "--json", "--raw-download="+b.path("out"), address(b.storage)))
	if len(all) < 3 || sum.Sets != 3 || sum.Files != 3 || sum.Lost != 0 {
		t.Errorf("%d events, %+v", len(all), sum)
	}
	if r := b.must("restore", "--silent", "--raw-download="+b.path("out2"), address(b.storage)); r.stdout != "" {
		t.Errorf("--silent prints %q", r.stdout)
	}
	log, err := os.ReadFile(b.path("log"))
	ok(t, err)
	for _, word := range []string{"--- backup of " + g.root, "Incremental backup", "--- restore to " + b.path("out")} {
		if !strings.Contains(string(log), word) {
			t.Errorf("no %q in the log", word)
		}
	}
	if strings.Contains(string(log), b.secret()) {
		t.Error("the secret is in the log")
	}
}

// TestChains: a full backup starts a chain of its own, in the encoding that
// is configured then, and leaves the old one restorable.
func TestChains(t *testing.T) {
	b := newBox(t)
	g := small(t, 67)
	g.subtle = true
	var points []point
	for i, c := range []struct{ args, kind, encoding string }{
		{"--encryption=gpg", "full", ".gpg"},
		{"--encryption=none", "incremental", ".gpg"},
		{"--encryption=none --full-backup=now", "full", ".gz"},
		{"--encryption=age --full-backup=1h", "incremental", ".gz"},
		{"--full-backup=now", "full", ".zst.age"},
	} {
		if i > 0 {
			g.change(20)
		}
		r := b.must("backup", append(strings.Fields(c.args), "--json", "--raw-upload="+g.root, address(b.storage))...)
		if says := strings.Contains(r.stdout, "is not encrypted"); says != (c.encoding == ".gz" && c.kind != "full") {
			t.Errorf("%s: %s", c.args, r.stdout)
		}
		_, sum := events(t, r)
		points = append(points, point{sum.Time, look(t, g.root)})
		st := b.status(0)
		last := st.Chains[len(st.Chains)-1]
		set := last.Sets[len(last.Sets)-1]
		if sum.Type != c.kind || set.Type != c.kind || set.Encoding != c.encoding || len(last.Unfit) > 0 {
			t.Errorf("%s: %+v, %+v", c.args, sum, last)
		}
	}
	for i, p := range points {
		same(t, "point "+string(rune('0'+i)), b.restore(p.timeArg()), p.tree, exact)
	}
}

// TestCleanup: what cleanup deletes is unfinished, and nothing else.
func TestCleanup(t *testing.T) {
	b := newBox(t)
	g := small(t, 68)
	b.backup(g.root)
	want := look(t, g.root)
	g.file("new", g.content(100))
	b.backup(g.root)
	b.write(filepath.Join(b.storage, "foreign"), "of somebody else")
	var unfinished []string
	for name := range stored(t, b.storage) {
		switch {
		case strings.HasPrefix(name, "duplicity-inc.") && strings.Contains(name, "manifest"):
			ok(t, os.Remove(filepath.Join(b.storage, name)))
		case strings.HasPrefix(name, "duplicity-inc."), strings.HasPrefix(name, "duplicity-new-"):
			unfinished = append(unfinished, name)
		}
	}
	before := stored(t, b.storage)
	b.says(b.must("status", address(b.storage)), 0, "Not usable", "1 file of others")
	r := b.must("cleanup", "--simulate", address(b.storage))
	b.says(r, 0, append(unfinished, "would be deleted")...)
	if after := stored(t, b.storage); !maps.Equal(before, after) {
		t.Errorf("a simulation left %v of %v", after, before)
	}
	b.says(b.must("cleanup", address(b.storage)), 0, append(unfinished, "2 files", "deleted")...)
	maps.DeleteFunc(before, func(name string, _ int64) bool { return slices.Contains(unfinished, name) })
	if after := stored(t, b.storage); !maps.Equal(before, after) {
		t.Errorf("cleanup left %v, want %v", after, before)
	}
	b.says(b.must("cleanup", address(b.storage)), 0, "0 files")
	same(t, "what remains", b.restore(), want, exact)
}
