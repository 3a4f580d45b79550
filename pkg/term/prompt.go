package term

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// ReadPassphrase returns a passphrase: what is typed without echo when in is a
// terminal, else the first line of in, without its end (LF or CRLF). On a
// terminal it writes prompt to out first and, to confirm, asks for it a second
// time, all over until both agree. From elsewhere it writes and confirms
// nothing. The passphrase is empty when the line is.
//
// An input that ends before any line is io.ErrUnexpectedEOF; more than 64 KiB
// in a line is an error. Nothing is read beyond the line. The end of the
// context, an interrupt, a quit or a termination signal ends the wait, with the
// terminal as it was before, and with the context's error (context.Canceled
// for the signals).
func ReadPassphrase(ctx context.Context, in io.Reader, out io.Writer, prompt string, confirm bool) ([]byte, error) {
	s := newSource(in)
	passphrase, err := []byte(nil), error(nil)
	switch {
	case !IsTerminal(in):
		passphrase, err = s.line(ctx)
	case confirm:
		passphrase, err = s.agreed(ctx, out, prompt)
	default:
		passphrase, err = s.secret(ctx, out, prompt)
	}
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	return passphrase, nil
}

// agreed asks for a passphrase until it is typed twice the same.
func (s *source) agreed(ctx context.Context, out io.Writer, prompt string) ([]byte, error) {
	for {
		first, err := s.secret(ctx, out, prompt)
		if err != nil {
			return nil, err
		}
		second, err := s.secret(ctx, out, "Confirm passphrase: ")
		if err != nil {
			return nil, err
		}
		same := bytes.Equal(first, second)
		clear(second)
		if same {
			return first, nil
		}
		clear(first)
		if _, err := fmt.Fprintln(out, "Sorry, passphrases do not match"); err != nil {
			return nil, err
		}
	}
}

// secret asks once, without echo.
func (s *source) secret(ctx context.Context, out io.Writer, prompt string) (line []byte, err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer stop()
	restore, err := s.hide()
	if err != nil {
		return nil, err
	}
	defer func() {
		if failure := restore(err); err == nil {
			err = failure
		}
	}()
	if _, err := io.WriteString(out, prompt); err != nil {
		return nil, err
	}
	line, err = s.line(ctx)
	// The newline was not shown either, if there was one.
	if _, failure := io.WriteString(out, "\n"); err == nil {
		err = failure
	}
	return line, err
}

// ReadLine writes prompt to out and returns the next line of in without the
// space around it. Ends of input and context are as in [ReadPassphrase];
// signals are left alone.
func ReadLine(ctx context.Context, in io.Reader, out io.Writer, prompt string) (string, error) {
	if _, err := io.WriteString(out, prompt); err != nil {
		return "", fmt.Errorf("write prompt: %w", err)
	}
	line, err := newSource(in).line(ctx)
	if err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	return strings.TrimSpace(string(line)), nil
}

// Confirm asks a question ("Do you want to continue?") until something is
// answered, and reports whether that is one of the words that mean yes, in any
// case; "yes" and "y" if none are given. All other answers are no. The errors
// are those of [ReadLine].
func Confirm(ctx context.Context, in io.Reader, out io.Writer, question string, yes ...string) (bool, error) {
	if len(yes) == 0 {
		yes = []string{"yes", "y"}
	}
	for {
		answer, err := ReadLine(ctx, in, out, question+" [yes/no] ")
		if err != nil {
			return false, err
		}
		if answer != "" {
			return slices.Contains(yes, strings.ToLower(answer)), nil
		}
	}
}
