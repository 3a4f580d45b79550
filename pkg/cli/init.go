package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"tklbam/pkg/atomicfile"
	"tklbam/pkg/backup"
	"tklbam/pkg/keypacket"
	"tklbam/pkg/registry"
	"tklbam/pkg/setup"
	"tklbam/pkg/term"
)

func initApplet() applet {
	return applet{
		name: "init", summary: "start here: make the encryption key, choose a profile",
		flags: []cli.Flag{&cli.BoolFlag{Name: "solo"}, &cli.BoolFlag{Name: "force"}, &cli.StringFlag{Name: "force-profile"}},
		run:   runInit,
	}
}

func runInit(a *app, c *cli.Context) error {
	if c.NArg() > 0 {
		return usagef("linking to the Hub with an API key is not supported yet: use --solo")
	}
	r, err := a.registry()
	if err != nil {
		return err
	}
	cf, err := a.conf(c)
	if err != nil {
		return err
	}
	made, err := setup.Init(r, rand.Reader)
	if err != nil {
		return err
	}
	p, err := backup.UpdateProfile(a.ctx, r, systemRoot, cf.ForceProfile, c.Bool("force"))
	if err != nil {
		return err
	}
	l := lines{w: a.stdout}
	if made {
		l.printf(`Generated the backup encryption key, in %s.

  Whoever has it can read the backups; without it nobody can. Save a copy
  somewhere safe with "tklbam-escrow KEYFILE", and protect the key itself with
  "tklbam-passphrase" if you like.
`, r.Path())
	} else {
		l.printf("The encryption key in %s is kept.", r.Path())
	}
	l.printf("The backup profile is %q.", p.ID)
	if !c.Bool("solo") {
		l.printf("This system is not linked to the TurnKey Hub: backups go to an --address of your own.")
	}
	return l.err
}

func passphraseApplet() applet {
	return applet{
		name: "passphrase", summary: "change the passphrase of the encryption key",
		flags: []cli.Flag{&cli.BoolFlag{Name: "random"}},
		run:   runPassphrase,
	}
}

func runPassphrase(a *app, c *cli.Context) error {
	if c.NArg() > 0 {
		return usagef("unexpected argument %q", c.Args().First())
	}
	r, err := a.registry()
	if err != nil {
		return err
	}
	if _, err := r.Secret(); errors.Is(err, fs.ErrNotExist) {
		return notInitialized(r)
	}
	var pass []byte
	if c.Bool("random") {
		pass, err = a.randomPassphrase()
	} else {
		pass, err = a.askNew("(For no passphrase, just press Enter)")
	}
	if err != nil {
		return err
	}
	if err := setup.SetPassphrase(r, pass, rand.Reader); err != nil {
		return err
	}
	done := "Updated"
	if len(pass) == 0 {
		done = "Removed"
	}
	_, err = fmt.Fprintln(a.stdout, done, "the passphrase.")
	return err
}

func notInitialized(r *registry.Registry) error {
	return fmt.Errorf("there is no key in %q: run \"tklbam-init --solo\" first", r.Path())
}

// randomPassphrase makes a passphrase and shows it, on standard output as
// ever, for scripts keep it from there.
func (a *app) randomPassphrase() ([]byte, error) {
	p, err := keypacket.RandomPassphrase(rand.Reader)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintln(a.stdout, p)
	return []byte(p), err
}

// askNew asks for a passphrase twice on a terminal; elsewhere it is the first
// line of standard input.
func (a *app) askNew(note string) ([]byte, error) {
	if term.IsTerminal(a.stdin) && note != "" {
		fmt.Fprintln(a.stderr, note)
	}
	return term.ReadPassphrase(a.ctx, a.stdin, a.stderr, "Passphrase: ", true)
}

func escrowApplet() applet {
	return applet{
		name: "escrow", summary: "save a copy of the encryption key",
		flags: []cli.Flag{
			&cli.BoolFlag{Name: "no-passphrase", Aliases: []string{"P"}},
			&cli.BoolFlag{Name: "random-passphrase", Aliases: []string{"R"}},
			&cli.StringFlag{Name: "format", Value: "tklbam"},
		},
		run: runEscrow,
	}
}

func runEscrow(a *app, c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("one argument is needed: the file to save the key to, or - for standard output")
	}
	if c.Bool("no-passphrase") && c.Bool("random-passphrase") {
		return usagef("--no-passphrase and --random-passphrase exclude each other")
	}
	format, err := setup.ParseFormat(c.String("format"))
	if err != nil {
		return &usageError{err}
	}
	r, err := a.registry()
	if err != nil {
		return err
	}
	secret, err := r.Secret()
	if errors.Is(err, fs.ErrNotExist) {
		return notInitialized(r)
	}
	if err != nil {
		return err
	}
	pass, err := a.escrowPassphrase(c)
	if err != nil {
		return err
	}
	key, err := setup.Escrow([]byte(secret), pass, format, rand.Reader)
	if err != nil {
		return err
	}
	path := c.Args().First()
	if path == "-" {
		_, err = fmt.Fprint(a.stdout, key)
		return err
	}
	return atomicfile.Write(path, []byte(key), 0o600)
}

func (a *app) escrowPassphrase(c *cli.Context) ([]byte, error) {
	switch {
	case c.Bool("no-passphrase"):
		return nil, nil
	case c.Bool("random-passphrase"):
		return a.randomPassphrase()
	}
	return a.askNew("")
}

// openKey reads an escrow file and asks for its passphrase if it has one.
func (a *app) openKey(ctx context.Context, path string, interactive bool) ([]byte, error) {
	data, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	key, err := keypacket.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%q is not a key made by tklbam-escrow: %w", path, err)
	}
	if !key.NeedsPassphrase() {
		return key.Secret(nil)
	}
	for {
		pass, err := term.ReadPassphrase(ctx, a.stdin, a.stderr, "Passphrase: ", false)
		if err != nil {
			return nil, err
		}
		secret, err := key.Secret(pass)
		if !errors.Is(err, keypacket.ErrPassphrase) || !interactive || !term.IsTerminal(a.stdin) {
			return secret, err
		}
		fmt.Fprintln(a.stderr, "Incorrect passphrase, try again")
	}
}

// firstLine is the secret in a file: its first line.
func firstLine(path string) ([]byte, error) {
	data, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimSpace(line); line == "" {
		return nil, fmt.Errorf("%q holds no secret", path)
	}
	return []byte(line), nil
}

// readSmall reads a file that is a key, and so small.
func readSmall(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > 1<<20 || st.IsDir() {
		return nil, fmt.Errorf("%q is no key file", path)
	}
	return os.ReadFile(path)
}
