package webdav

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"tklbam/backends"
)

// errNoFile is a collection where a file was asked for; it is fs.ErrNotExist.
var errNoFile = fmt.Errorf("not a file: %w", fs.ErrNotExist)

// A statusError is an answer that is no success.
type statusError struct {
	method  string
	code    int
	message string // the server's own words, may be empty
}

func newStatusError(method string, res *http.Response) *statusError {
	return &statusError{method, res.StatusCode, message(res)}
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("the server answers %d to %s", e.code, e.method)
	if name := http.StatusText(e.code); name != "" {
		text = fmt.Sprintf("the server answers %d %s to %s", e.code, name, e.method)
	}
	if e.message != "" {
		text += fmt.Sprintf(": %q", e.message)
	}
	if e.method == "PROPFIND" && (e.code == http.StatusMethodNotAllowed || e.code == http.StatusNotImplemented) {
		text += " (no WebDAV at this address?)"
	}
	return text
}

// Is tells callers which of the errors they branch on it is. A conflict (409)
// is a missing parent: the collection is gone.
func (e *statusError) Is(err error) bool {
	switch e.code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return err == fs.ErrPermission
	case http.StatusNotFound, http.StatusGone, http.StatusConflict:
		return err == fs.ErrNotExist
	case http.StatusInsufficientStorage:
		return err == backends.ErrNoSpace
	case http.StatusRequestTimeout, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return err == backends.ErrUnavailable
	}
	return false
}

// statusOf returns the code of a statusError, 0 for other errors.
func statusOf(err error) int {
	if failed := (*statusError)(nil); errors.As(err, &failed) {
		return failed.code
	}
	return 0
}

// partsError returns the first failure in a multistatus answer to something
// else than PROPFIND, where it lists what could not be done (RFC 4918,
// section 9.6.1).
func partsError(method string, res *http.Response) error {
	return parseMultistatus(res.Body, func(r response) error {
		var version string
		var code int
		if _, err := fmt.Sscan(r.Status, &version, &code); err != nil {
			return errors.New("the server's multistatus answer has a response without status")
		}
		if code/100 == 2 {
			return nil
		}
		return &statusError{method: method, code: code}
	})
}
