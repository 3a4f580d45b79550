package swift

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"strings"

	"tklbam/backends"
)

// statusRateLimit is what Swift's ratelimit middleware answers in place of 429.
const statusRateLimit = 498

// maxMessage caps a server's own explanation in an error.
const maxMessage = 300

// A statusError is an answer that is no success.
type statusError struct {
	what    string // a method, or what the request is for
	code    int
	message string // the server's own words, may be empty
	after   string // its Retry-After, may be empty
}

func newStatusError(method string, res *http.Response) *statusError {
	head, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		head = nil // the status is what counts
	}
	return &statusError{method, res.StatusCode, words(string(head)), res.Header.Get("Retry-After")}
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("the server answers %d", e.code)
	if name := http.StatusText(e.code); name != "" {
		text += " " + name
	}
	text += " to " + e.what
	if e.message != "" {
		text += fmt.Sprintf(": %q", e.message)
	}
	if e.after != "" {
		text += fmt.Sprintf(" (retry after %q)", e.after)
	}
	return text
}

// Is tells callers which of the errors they branch on it is. 413 is a quota,
// because nothing is sent that Swift has no room for otherwise; with a
// Retry-After it is Rackspace's rate limit. 422 is content that arrived with
// another MD5 sum.
func (e *statusError) Is(err error) bool {
	switch e.code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return err == fs.ErrPermission
	case http.StatusNotFound, http.StatusGone:
		return err == fs.ErrNotExist
	case http.StatusRequestEntityTooLarge:
		if e.after != "" {
			return err == backends.ErrUnavailable
		}
		return err == backends.ErrNoSpace
	case http.StatusInsufficientStorage:
		return err == backends.ErrNoSpace
	case http.StatusRequestTimeout, http.StatusUnprocessableEntity, http.StatusTooManyRequests, statusRateLimit,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return err == backends.ErrUnavailable
	}
	return false
}

var (
	htmlHeading = regexp.MustCompile(`(?s)<(head|title|h1|style)\b.*?</(head|title|h1|style)>`)
	htmlTag     = regexp.MustCompile(`<[^<>]*>`)
)

// words returns what a server says in the body of an error: the message of
// Keystone's and Rackspace's JSON ({"error": {"message": …}}), or the text of
// Swift's pages, whose headings repeat the status.
func words(body string) string {
	body = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(body), ":"))
	if strings.HasPrefix(body, "{") {
		var all map[string]struct{ Message string }
		if json.Unmarshal([]byte(body), &all) != nil {
			return ""
		}
		body = ""
		for _, one := range all {
			body = one.Message
		}
	}
	body = htmlTag.ReplaceAllString(htmlHeading.ReplaceAllString(body, " "), " ")
	body = strings.Join(strings.Fields(strings.ToValidUTF8(body, "?")), " ")
	return strings.ToValidUTF8(body[:min(len(body), maxMessage)], "")
}
