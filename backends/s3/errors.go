package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"

	"tklbam/backends"
)

// cause returns an error of a request as callers of a backend know it. URLs
// go: what is done to which file of which target the caller says.
func (t *target) cause(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return networkError(err)
	}
	said := fmt.Errorf("the server answers %.100q: %.300q", answer.Code, answer.Message)
	class := classify(answer)
	if isExpired(answer) && t.renewable {
		t.credentials.Expire()
		class = backends.ErrUnavailable
	}
	if class == nil {
		return said
	}
	return fmt.Errorf("%w: %w", class, said)
}

// isExpired reports whether temporary credentials have ended earlier than
// they said, as they do by a clock that is wrong.
func isExpired(answer minio.ErrorResponse) bool {
	return answer.Code == "ExpiredToken" || answer.Code == "ExpiredTokenException"
}

// classify returns what kind of error an answer is, nil if callers have no
// name for it. The codes are those of Amazon's reference, of Ceph and MinIO.
func classify(answer minio.ErrorResponse) error {
	switch answer.Code {
	case "InvalidObjectState": // in an archive class: a 403 that is none
		return nil
	case "NoSuchKey", "NoSuchBucket":
		return fs.ErrNotExist
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled", "AccountProblem",
		"ExpiredToken", "ExpiredTokenException", "InvalidToken", "BucketAlreadyExists":
		return fs.ErrPermission
	case "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientCapacity":
		return backends.ErrNoSpace
	case "BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentSHA256Mismatch", // damaged on the way
		"SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "OperationAborted", "InternalError",
		"NoSuchUpload", "InvalidPart": // parts that something else removed
		return backends.ErrUnavailable
	}
	return classifyStatus(answer.StatusCode)
}

func classifyStatus(status int) error {
	switch {
	case status == http.StatusNotFound:
		return fs.ErrNotExist
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fs.ErrPermission
	case status == http.StatusInsufficientStorage:
		return backends.ErrNoSpace
	case status == http.StatusNotImplemented:
		return nil
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		return backends.ErrUnavailable
	}
	return nil
}

// networkError classes what went wrong before there was an answer, or in the
// middle of one.
func networkError(err error) error {
	request := (*url.Error)(nil)
	isRequest := errors.As(err, &request)
	if isRequest {
		err = request.Err
	}
	isConn := isRequest || errors.As(err, new(net.Error)) || errors.Is(err, io.ErrUnexpectedEOF)
	if !isConn || isSettled(err) {
		return err
	}
	text := err.Error()
	if strings.HasPrefix(text, "Connection closed by foreign host") { // the client's text for an EOF, with the URL
		text = "the server closes the connection"
	}
	// As text: a timeout of net/http would pass for the context's.
	return fmt.Errorf("%w: %s", backends.ErrUnavailable, text)
}

// isSettled reports whether a connection fails for a reason that lasts: a
// certificate, a server that does not talk TLS, a host that does not exist.
func isSettled(err error) bool {
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		return dns.IsNotFound
	}
	return errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(tls.RecordHeaderError)) ||
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// answerCode returns the server's code in an error of the client, "" if it is
// none.
func answerCode(err error) string {
	var answer minio.ErrorResponse
	errors.As(err, &answer)
	return answer.Code
}
