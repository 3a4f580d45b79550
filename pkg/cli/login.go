package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/jdx/go-netrc"

	"tklbam/backends"
	"tklbam/pkg/term"
)

// passwordVariables are those that have the password for addresses of a
// scheme, which TLS makes no other one of. Duplicity has FTP_PASSWORD for all
// but its newer ones.
var passwordVariables = map[string][]string{
	"ftp":    {"FTP_PASSWORD"},
	"webdav": {"WEBDAV_PASSWORD", "FTP_PASSWORD"},
	"imap":   {"IMAP_PASSWORD"},
	"rsync":  {"RSYNC_PASSWORD", "FTP_PASSWORD"},
}

func (a *app) passwordOf(scheme string) backends.Secret {
	return a.password(passwordVariables[scheme]...)
}

// login fills in what an address and the environment leave out: from a netrc
// file, or by asking, where it names a user and somebody is there. Other
// schemes have ways of their own.
func (a *app) login(address backends.Address) (backends.Address, error) {
	scheme := strings.TrimSuffix(address.Scheme, "s")
	if address.Password.Reveal() != "" || passwordVariables[scheme] == nil || a.passwordOf(scheme).Reveal() != "" ||
		scheme == "rsync" && !address.Daemon {
		return address, nil
	}
	user, password, err := a.netrc(address.Host, address.User)
	if err != nil || password != "" {
		address.User, address.Password = user, backends.NewSecret(password)
		return address, err
	}
	if ask := a.asker(); ask != nil && address.User != "" {
		address.Password, err = ask(a.ctx, fmt.Sprintf("Password of %s at %s: ", address.User, address.Host))
	}
	return address, err
}

// netrc looks up the user, who may be given, and the password for a host.
func (a *app) netrc(host, user string) (login, password string, err error) {
	path := a.getenv("NETRC")
	if path == "" {
		path = a.home(".netrc")
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return user, "", nil
	}
	if err != nil {
		return user, "", err
	}
	file, err := netrc.ParseString(string(text))
	if err != nil { // which may quote the file
		return user, "", fmt.Errorf("read %q: it is no netrc file", path)
	}
	for _, m := range file.Machines() {
		if (m.Name == host || m.IsDefault) && (user == "" || m.Get("login") == user) {
			return m.Get("login"), m.Get("password"), nil
		}
	}
	return user, "", nil
}

// asker asks a person, if there is one.
func (a *app) asker() func(context.Context, string) (backends.Secret, error) {
	if !term.IsTerminal(a.stdin) {
		return nil
	}
	return func(ctx context.Context, question string) (backends.Secret, error) {
		answer, err := term.ReadPassphrase(ctx, a.stdin, a.stderr, question, false)
		return backends.NewSecret(string(answer)), err
	}
}
