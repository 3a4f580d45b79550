package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/textproto"
	"strings"

	"github.com/jlaffaye/ftp"

	"tklbam/backends"
)

// A replyError is a server's answer that is no success (RFC 959, section 4.2).
type replyError struct{ reply *textproto.Error }

func (e *replyError) Error() string {
	return fmt.Sprintf("the server answers %d %q", e.reply.Code, strings.ToValidUTF8(e.reply.Msg, "?"))
}

func (e *replyError) Unwrap() error { return e.reply }

// isRefusal reports whether the command was refused. Other answers that are no
// success belong to another command: the server has said something twice.
func (e *replyError) isRefusal() bool { return e.reply.Code >= 400 }

// Is tells callers which of the errors they branch on it is. Codes say little:
// 550 is what is absent, refused, and a full disk as well, so that the words
// that servers have from their system decide first.
func (e *replyError) Is(err error) bool { return err == e.kind() }

func (e *replyError) kind() error {
	text := strings.ToLower(e.reply.Msg)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	switch code := e.reply.Code; {
	case !e.isRefusal():
		return backends.ErrUnavailable
	case code == 452 || code == 552 || has("no space", "disk full", "quota", "failure writing to local file"): // the last is vsftpd's
		return backends.ErrNoSpace
	case code == 530 && has("too many", "maximum", "limit"):
		return backends.ErrUnavailable
	case code/100 == 4:
		return backends.ErrUnavailable
	case code == 530 || code == 532 || code == 553 || has("permission", "denied", "not allowed", "not permitted"):
		return fs.ErrPermission
	case code == 550:
		return fs.ErrNotExist
	}
	return nil
}

// replyCode returns the code of a server's answer, 0 for other errors.
func replyCode(err error) int {
	if reply := (*textproto.Error)(nil); errors.As(err, &reply) {
		return reply.Code
	}
	return 0
}

// isReply reports whether an error is a server's answer after which it takes
// the next command.
func isReply(err error) bool {
	var reply *replyError
	var transfer *transferError
	return errors.As(err, &reply) && reply.isRefusal() && reply.reply.Code != 421 && !errors.As(err, &transfer)
}

// A transferError is one after which it is open what comes next on the control
// connection.
type transferError struct{ err error }

func (e *transferError) Error() string { return e.err.Error() }
func (e *transferError) Unwrap() error { return e.err }

// transferred returns what the end of a transfer means. The answer to a
// complete one is 226, which is no error here, or 250 (RFC 959, section 5.4).
func (s *session) transferred(err error) error {
	if s.lost() {
		return &transferError{s.cause(err)}
	}
	if err == nil {
		return nil
	}
	if all, ok := err.(interface{ Unwrap() []error }); ok && len(all.Unwrap()) == 1 {
		err = all.Unwrap()[0]
	}
	if reply, ok := err.(*textproto.Error); ok && reply.Code == ftp.StatusRequestedFileActionOK {
		return nil
	}
	return &transferError{s.cause(err)}
}

// cause returns what came of a command as callers of a backend know it.
func (s *session) cause(err error) error {
	known := cause(err)
	if !s.lost() || errors.Is(known, backends.ErrUnavailable) || isSettled(known) {
		return known
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
}

// cause returns an error of a connection as callers of a backend know it.
// Certificates that are not trusted stay so; all else of a network may pass.
func cause(err error) error {
	var reply *textproto.Error
	var known *replyError
	var op *net.OpError
	switch {
	case err == nil, isSettled(err), errors.Is(err, backends.ErrUnavailable), errors.As(err, &known):
		return err
	case errors.As(err, &reply):
		return &replyError{reply}
	case errors.As(err, &op), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
	}
	return err
}

// isSettled reports whether an error is no matter of the connection: a
// cancelled context, a certificate, a server that does not talk TLS.
func isSettled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(tls.RecordHeaderError))
}
