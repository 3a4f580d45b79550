package imap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	protocol "github.com/emersion/go-imap/v2"

	"tklbam/backends"
)

// A replyError is a server's answer that is no success (RFC 3501, section
// 7.1, with the codes of RFC 5530).
type replyError struct{ reply *protocol.Error }

func (e *replyError) Error() string {
	code := ""
	if e.reply.Code != "" {
		code = fmt.Sprintf("[%s] ", e.reply.Code)
	}
	hint := ""
	if e.reply.Code == protocol.ResponseCodeTooBig {
		hint = ", which a smaller volume size avoids"
	}
	return fmt.Sprintf("the server answers %s %q%s", e.reply.Type, strings.ToValidUTF8(code+e.reply.Text, "?"), hint)
}

// Is tells callers which of the errors they branch on it is.
func (e *replyError) Is(err error) bool { return err == e.kind() }

func (e *replyError) kind() error {
	switch e.reply.Code {
	case protocol.ResponseCodeNonExistent, protocol.ResponseCodeTryCreate:
		return fs.ErrNotExist
	case protocol.ResponseCodeOverQuota:
		return backends.ErrNoSpace
	case protocol.ResponseCodeAuthenticationFailed, protocol.ResponseCodeAuthorizationFailed, protocol.ResponseCodeExpired,
		protocol.ResponseCodeNoPerm, protocol.ResponseCodePrivacyRequired:
		return fs.ErrPermission
	case protocol.ResponseCodeUnavailable, protocol.ResponseCodeInUse, protocol.ResponseCodeLimit, protocol.ResponseCodeServerBug:
		return backends.ErrUnavailable
	}
	switch {
	case e.reply.Type == protocol.StatusResponseTypeBye:
		return backends.ErrUnavailable
	case strings.Contains(strings.ToLower(e.reply.Text), "quota"): // of servers without codes
		return backends.ErrNoSpace
	}
	return nil
}

// hasCode reports whether an error is a server's answer with a code.
func hasCode(err error, code protocol.ResponseCode) bool {
	reply := (*protocol.Error)(nil)
	known := (*replyError)(nil)
	return errors.As(err, &known) && known.reply.Code == code || errors.As(err, &reply) && reply.Code == code
}

// isBroken reports whether an error leaves a connection useless: it has ended,
// or an answer is still to come.
func isBroken(err error) bool {
	reply := (*replyError)(nil)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return true
	case errors.As(err, &reply):
		return reply.reply.Type == protocol.StatusResponseTypeBye
	}
	return errors.Is(err, backends.ErrUnavailable)
}

// cause returns an error of a connection as callers of a backend know it.
// Certificates that are not trusted stay so; all else of a network may pass.
func cause(err error) error {
	var reply *protocol.Error
	var known *replyError
	var unverified *tls.CertificateVerificationError
	var clear tls.RecordHeaderError
	switch {
	case err == nil, isFinal(err), errors.As(err, &known), errors.As(err, &unverified), errors.As(err, &clear):
		return err
	case errors.As(err, &reply):
		return &replyError{reply}
	}
	return fmt.Errorf("%w: %w", backends.ErrUnavailable, err)
}

// isFinal reports whether an error is one of the kinds that callers know.
func isFinal(err error) bool {
	for _, kind := range []error{
		context.Canceled, context.DeadlineExceeded, errReplaced, fs.ErrClosed, fs.ErrInvalid, fs.ErrNotExist, fs.ErrPermission,
		backends.ErrNoSpace, backends.ErrUnavailable, errTooBig, errContent,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// loginCause is the cause of a login that failed. A refusal without a code is
// one of user or password, and what it says may hold them.
func loginCause(err error, password backends.Secret) error {
	reply := (*protocol.Error)(nil)
	if !errors.As(err, &reply) {
		return cause(err)
	}
	hidden := *reply
	if text := password.Reveal(); text != "" {
		hidden.Text = strings.ReplaceAll(hidden.Text, text, "[redacted]")
	}
	if hidden.Code == "" && hidden.Type == protocol.StatusResponseTypeNo {
		return fmt.Errorf("%w: %w", fs.ErrPermission, &replyError{&hidden})
	}
	return &replyError{&hidden}
}
