package cli

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestArrange(t *testing.T) {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "address"},
		&cli.StringFlag{Name: "raw-upload", Aliases: []string{"upload-raw"}},
		&cli.StringFlag{Name: "raw-download"},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}},
		&cli.BoolFlag{Name: "simulate"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}},
		&cli.BoolFlag{Name: "full"},
		&cli.StringFlag{Name: "full-backup"},
	}
	for _, c := range []struct{ in, want string }{
		{"", "--"},
		{"1 --address=x", "--address=x -- 1"},
		{"--address x 1 --simulate 2", "--address=x --simulate -- 1 2"},
		{"--address= 1", "--address= -- 1"},
		{"--address --simulate", "--address=--simulate --"},
		{"-q -- -/etc --x -q", "--quiet -- -/etc --x -q"},
		{"-qo file", "--quiet --output=file --"},
		{"-ofile -", "--output=file -- -"},
		{"--sim --addr=x", "--simulate --address=x --"},
		{"--upload-raw=/x", "--upload-raw=/x --"},
		{"--full --full-backup=now", "--full --full-backup=now --"},
		{"--full-b 2W", "--full-backup=2W --"},
	} {
		got, err := arrange(flags, strings.Fields(c.in))
		if err != nil || !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("%q: %q, %v; want %q", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{"--raw=x", "--nothing", "-x", "-/etc", "--simulate=yes", "--address", "-o"} {
		var usage *usageError
		if got, err := arrange(flags, strings.Fields(in)); !errors.As(err, &usage) {
			t.Errorf("%q: %q, %v; want a usage error", in, got, err)
		}
	}
}

// FuzzArrange: any words give options that all come before "--", or an error.
func FuzzArrange(f *testing.F) {
	f.Add("--address x -- y")
	f.Add("-q -ofile --full-backup=now a b")
	flags := backupApplet().flags
	f.Fuzz(func(t *testing.T, line string) {
		got, err := arrange(flags, strings.Fields(line))
		if err != nil {
			return
		}
		end := slices.Index(got, "--")
		if end < 0 || slices.ContainsFunc(got[:end], func(s string) bool { return !strings.HasPrefix(s, "--") }) {
			t.Errorf("%q became %q", line, got)
		}
	})
}

// TestHelp holds the help texts, the only documentation of the commands,
// against the options there are.
func TestHelp(t *testing.T) {
	for _, a := range allApplets() {
		raw, err := helpTexts.ReadFile("help/" + a.name + ".txt")
		if err != nil {
			t.Error(err)
			continue
		}
		text := string(raw)
		for _, f := range a.flags {
			if name := "--" + f.Names()[0]; !strings.Contains(text, "  "+name) && !strings.Contains(text, ", "+name) {
				t.Errorf("%s: the help text lacks %s", a.name, name)
			}
		}
		for _, line := range strings.Split(text, "\n") {
			if len(line) > 82 {
				t.Errorf("%s: line of %d characters: %s", a.name, len(line), line)
			}
			if word := strings.TrimSpace(line); strings.HasPrefix(word, "--") && strings.HasPrefix(line, "  --") {
				name, _, _ := strings.Cut(strings.Fields(strings.TrimPrefix(word, "--"))[0], "=")
				if !knows(a.flags, strings.TrimSuffix(name, ",")) {
					t.Errorf("%s: the help text has --%s, which is no option", a.name, name)
				}
			}
		}
		for _, part := range []string{"Usage: ", "Options:\n", "Example", "Exit status:\n  0 "} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: the help text has no %q", a.name, part)
			}
		}
	}
}

// allApplets are the applets and their commands, which go by both names.
func allApplets() []applet {
	all := applets()
	for _, a := range applets() {
		for _, cmd := range a.commands {
			cmd.name = a.name + "-" + cmd.name
			all = append(all, cmd)
		}
	}
	return all
}

func knows(flags []cli.Flag, name string) bool {
	return name == "version" || name == "help" ||
		slices.ContainsFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
}
