package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"tklbam/backends"
	"tklbam/chain"
	"tklbam/chain/collection"
	"tklbam/chain/seal"
	"tklbam/pkg/hooks"
	"tklbam/pkg/keypacket"
	"tklbam/pkg/pidlock"
	"tklbam/pkg/progress"
	"tklbam/pkg/restore"
)

// Exit codes. Every help text lists those its command can give.
const (
	exitOK         = 0
	exitFailure    = 1
	exitUsage      = 2
	exitIncomplete = 3  // done, but for files that are listed
	exitNoBackup   = 10 // status
	exitOther      = 10 // restore: the backup is of another appliance
	exitSecret     = 11 // wrong passphrase or secret; status: not linked
	exitSignal     = 130
)

// A usageError is a command line that can't be understood.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// An exitError is an outcome that has been told already.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// An incompleteError is an outcome that lacks something.
type incompleteError struct{ text string }

func (e *incompleteError) Error() string { return e.text }

// exit prints an error with what can be done about it and returns its code.
func (a *app) exit(err error) int {
	var usage *usageError
	var done *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &done):
		return done.code
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "error: %v\n", err)
		fmt.Fprintf(a.stderr, "Try \"%s --help\".\n", a.prog)
		return exitUsage
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.stderr, "interrupted: run the same command again to go on")
		return exitSignal
	}
	code, hint := advice(err)
	fmt.Fprintf(a.stderr, "error: %s\n", printable(err.Error()))
	if hint != "" {
		fmt.Fprintf(a.stderr, "hint: %s\n", hint)
	}
	return code
}

// advice is the one table of what an error means to a person.
func advice(err error) (code int, hint string) {
	var early *collection.TooEarlyError
	var full *chain.NoSpaceError
	var tight *restore.SpaceError
	var incomplete *incompleteError
	var refused *accessError
	switch {
	case errors.Is(err, chain.ErrWrongSecret):
		return exitSecret, "the backup was made with another secret: use the registry (TKLBAM_REGISTRY), --secretfile or --keyfile that belongs to it; " +
			"to start a new chain with this secret, back up with --full-backup=now"
	case errors.As(err, &incomplete):
		return exitIncomplete, ""
	case errors.Is(err, keypacket.ErrPassphrase):
		return exitSecret, "try again with the passphrase the key was made with"
	case errors.Is(err, seal.ErrNoMDC):
		return exitFailure, "such messages can be altered without trace; if you trust the storage, add --allow-unprotected"
	case errors.Is(err, pidlock.ErrLocked):
		return exitFailure, "another backup is running; wait for it to end"
	case errors.Is(err, backends.ErrNoSpace), errors.Is(err, syscall.ENOSPC), errors.As(err, &full), errors.As(err, &tight):
		return exitFailure, "make room, then run the same command again: what is stored already is used"
	case errors.Is(err, backends.ErrUnavailable):
		return exitFailure, "the storage does not answer now; run the same command again later: what is stored already is used"
	case errors.As(err, &early), errors.Is(err, collection.ErrEmpty):
		return exitFailure, "\"tklbam-status --address=...\" shows what a target holds"
	case errors.As(err, &refused):
		return exitFailure, "the server refuses: check user and password of the address, and what that user may do there"
	case errors.Is(err, hooks.ErrUnsafe):
		return exitFailure, "hooks run as you do: let nobody else write to them, with chown and chmod go-w"
	case errors.Is(err, fs.ErrPermission):
		return exitFailure, "run as the user that owns it, or as root"
	}
	return exitFailure, ""
}

// printable keeps outside text from steering the terminal.
func printable(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		for _, c := range line {
			if c < ' ' && c != '\t' || c == 0x7f || c == 0xfffd {
				lines[i] = progress.Escape(line)
				break
			}
		}
	}
	return strings.Join(lines, "\n")
}
