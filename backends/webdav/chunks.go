package webdav

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"tklbam/backends"
)

// support is what is known of a server's ability.
type support int

const (
	unknown support = iota
	present
	missing
)

// takesChunks reports whether the server stores a body of unknown length
// (chunked transfer coding). Many answer 411 or 501, and some, such as a PHP
// behind FastCGI, store an empty file: so a small file is tried, once, before
// a content is at stake that may be producible only once.
func (t *target) takesChunks(ctx context.Context) (bool, error) {
	t.trying.Lock()
	defer t.trying.Unlock()
	if t.chunks == unknown {
		found, err := t.tryChunks(ctx, backends.TempName())
		if err != nil {
			return false, fmt.Errorf("try an upload of unknown length: %w", err)
		}
		t.chunks = found
	}
	return t.chunks == present, nil
}

func (t *target) tryChunks(ctx context.Context, name string) (support, error) {
	const content = "tklbam"
	err := t.store(ctx, name, chunkedText(content))
	if failed := (*statusError)(nil); errors.As(err, &failed) {
		return failed.chunkSupport()
	}
	if err != nil {
		return unknown, err
	}
	size, err := t.size(ctx, name)
	switch {
	case errors.Is(err, backends.ErrUnavailable), ctx.Err() != nil:
		return unknown, err
	case err != nil || size != int64(len(content)):
		return missing, t.remove(ctx, name)
	}
	return present, t.remove(ctx, name)
}

// chunkSupport tells a refusal of the transfer coding from other errors. A
// server that fails at it in a way of its own gets the content with a length,
// and shows then what else is wrong.
func (e *statusError) chunkSupport() (support, error) {
	switch e.code {
	case http.StatusBadRequest, http.StatusLengthRequired, http.StatusRequestEntityTooLarge, http.StatusExpectationFailed,
		http.StatusInternalServerError, http.StatusNotImplemented:
		return missing, nil
	}
	return unknown, e
}

// chunkedText is a text that is sent as if its length were unknown.
type chunkedText string

func (b chunkedText) open() (io.ReadCloser, error) { return textBody(b).open() }
func (b chunkedText) length() int64                { return -1 }
func (b chunkedText) repeats() bool                { return true }
