package rclone

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"tklbam/backends"
)

// userName is the name that goes with the password of a server.
const userName = "tklbam"

// params are the parameters of a call. That the file system ("fs") is the
// target need not be said.
type params map[string]any

// call runs a command of rclone's remote control, and decodes its answer to out
// if that is not nil.
func (s *server) call(ctx context.Context, command string, in params, out any) error {
	in = maps.Clone(in)
	if in["srcFs"] == nil {
		in["fs"] = remoteName
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	res, err := s.do(ctx, http.MethodPost, "/"+command, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, res.Body)
	} else {
		err = json.NewDecoder(res.Body).Decode(out)
	}
	return s.lost(ctx, err)
}

// do sends a request and returns the answer, if it is one of success.
func (s *server) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(userName, s.password)
	req.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return nil, s.lost(ctx, err)
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		return nil, newCallError(res)
	}
	return res, nil
}

// file returns the path of a file in a request for its content.
func file(name string) string { return "/[" + remoteName + "]/" + url.PathEscape(name) }

// A callError is what rclone says of a call that it could not do.
type callError struct {
	code    int
	message string
}

// newCallError reads an error: in JSON for a command, plain for a file.
func newCallError(res *http.Response) *callError {
	const limit = 64 << 10
	text, err := io.ReadAll(io.LimitReader(res.Body, limit))
	if err != nil && len(text) == 0 {
		text = []byte(err.Error())
	}
	var answer struct{ Error string }
	if json.Unmarshal(text, &answer) == nil && answer.Error != "" {
		text = []byte(answer.Error)
	}
	return &callError{res.StatusCode, string(text)}
}

func (e *callError) Error() string { return fmt.Sprintf("rclone says %q", printable(e.message)) }

// kinds are texts in rclone's messages, lower case, most of them of its
// backends and of the services behind them. The first that fits counts.
var kinds = []struct {
	text string
	err  error
}{
	{"object not found", fs.ErrNotExist},
	{"directory not found", fs.ErrNotExist},
	{"no such file or directory", fs.ErrNotExist},
	{"rate limit", backends.ErrUnavailable},
	{"ratelimit", backends.ErrUnavailable},
	{"quota metric", backends.ErrUnavailable}, // Google's, of requests
	{"no space left", backends.ErrNoSpace},
	{"quota", backends.ErrNoSpace},
	{"insufficient storage", backends.ErrNoSpace},
	{"insufficient_space", backends.ErrNoSpace},
	{"permission denied", fs.ErrPermission},
	{"operation not permitted", fs.ErrPermission},
	{"read-only file system", fs.ErrPermission},
	{"accessdenied", fs.ErrPermission},
	{"access denied", fs.ErrPermission},
	{"unauthorized", fs.ErrPermission},
	{"forbidden", fs.ErrPermission},
	{"login incorrect", fs.ErrPermission},
	{"unable to authenticate", fs.ErrPermission},
	{"invalid_grant", fs.ErrPermission},
	{"corrupted on transfer", backends.ErrUnavailable},
	{"connection refused", backends.ErrUnavailable},
	{"connection reset", backends.ErrUnavailable},
	{"broken pipe", backends.ErrUnavailable},
	{"timeout", backends.ErrUnavailable},
	{"timed out", backends.ErrUnavailable},
	{"unexpected eof", backends.ErrUnavailable},
	{"network is unreachable", backends.ErrUnavailable},
	{"no route to host", backends.ErrUnavailable},
	{"temporary failure in name resolution", backends.ErrUnavailable},
	{"too many requests", backends.ErrUnavailable},
	{"slowdown", backends.ErrUnavailable},
	{"service unavailable", backends.ErrUnavailable},
	{"bad gateway", backends.ErrUnavailable},
	{"internal server error", backends.ErrUnavailable},
	{"internal error", backends.ErrUnavailable},
}

// Is tells callers which of the errors they branch on it is. The code of an
// answer is little more than that something was wrong.
func (e *callError) Is(err error) bool {
	message := strings.ToLower(e.message)
	for _, k := range kinds {
		if strings.Contains(message, k.text) {
			return err == k.err
		}
	}
	return e.code == http.StatusNotFound && err == fs.ErrNotExist
}

// printable returns the beginning of a message.
func printable(message string) string {
	const limit = 500
	message = strings.TrimSpace(message)
	if len(message) > limit {
		return strings.ToValidUTF8(message[:limit], "") + "…"
	}
	return message
}

// Open implements backends.Reader.
func (t *target) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := backends.CheckName(name); err != nil {
		return nil, err
	}
	res, err := t.server.do(ctx, http.MethodGet, file(name), nil)
	if err == nil && res.ContentLength < 0 {
		// Where it ends could not be told from where it breaks off.
		err = errors.Join(errors.New("rclone does not tell the file's length"), res.Body.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("open %q in %s: %w", name, t, err)
	}
	return &reader{ctx, t.server, res.Body}, nil
}

// reader is the body of an answer, whose length is known.
type reader struct {
	ctx    context.Context
	server *server
	body   io.ReadCloser
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.body.Read(p)
	return n, r.server.lost(r.ctx, err)
}

func (r *reader) Close() error { return r.body.Close() }
