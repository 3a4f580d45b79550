package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"

	sftplib "github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"tklbam/backends"
)

// Status codes of later versions of SFTP, which some servers send in version 3
// as well (draft-ietf-secsh-filexfer-13, section 9.1).
const (
	statusFailure       = 4
	statusNoConnection  = 6
	statusLost          = 7
	statusNoSpace       = 14
	statusQuotaExceeded = 15
)

// errNoFile is an entry that is there and no regular file.
var errNoFile = errors.New("not a regular file")

// errNotDir is a target that is no directory.
var errNotDir = errors.New("not a directory")

// cause returns an error of the connection as callers of a backend know it.
func cause(err error) error {
	var status *sftplib.StatusError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status):
		return statusCause(status)
	case isBroken(err):
		return fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
	}
	return err
}

// statusCause translates what a server answers. Version 3 has one code for
// most of what can go wrong, so that a full disk has to be looked for: see
// sftpFiles.spaceCause.
func statusCause(err *sftplib.StatusError) error {
	switch err.Code {
	case statusNoConnection, statusLost:
		return fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
	case statusNoSpace, statusQuotaExceeded:
		return fmt.Errorf("%w: %w", backends.ErrNoSpace, err)
	}
	return err
}

// isBroken reports whether an error says that a connection did not come about
// or is lost.
func isBroken(err error) bool {
	var netErr net.Error
	var exitMissing *ssh.ExitMissingError
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		return !dns.IsNotFound
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, sftplib.ErrSSHFxConnectionLost) || errors.Is(err, io.ErrClosedPipe) ||
		errors.As(err, &netErr) && !errors.Is(err, context.Canceled) || errors.As(err, &exitMissing)
}

// await makes a call that knows no context. When the context ends first it
// returns, and what the call gives later goes to discard, if that is not nil.
func await[T any](ctx context.Context, call func() (T, error), discard func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := call()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, cause(r.err)
	case <-ctx.Done():
	}
	go func() {
		if r := <-done; r.err == nil && discard != nil {
			discard(r.value)
		}
	}()
	var none T
	return none, ctx.Err()
}

// awaitError is await for a call without a value.
func awaitError(ctx context.Context, call func() error) error {
	_, err := await(ctx, func() (struct{}, error) { return struct{}{}, call() }, nil)
	return err
}

// messageCause finds the reason in what a program wrote to standard error, in
// the C locale.
func messageCause(message string) error {
	message = printable(strings.TrimSpace(message))
	known := []struct {
		text string
		err  error
	}{
		{"No such file or directory", fs.ErrNotExist},
		{"Permission denied", fs.ErrPermission},
		{"Operation not permitted", fs.ErrPermission},
		{"Read-only file system", fs.ErrPermission},
		{"No space left on device", backends.ErrNoSpace},
		{"Disk quota exceeded", backends.ErrNoSpace},
		{"quota exceeded", backends.ErrNoSpace},
	}
	for _, k := range known {
		if strings.Contains(message, k.text) {
			return fmt.Errorf("%w: %q", k.err, message)
		}
	}
	return fmt.Errorf("the server says %q", message)
}

// printable returns the beginning of a text of the server, without control
// characters.
func printable(text string) string {
	const limit = 500
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}
