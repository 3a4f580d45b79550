package swift

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tklbam/backends"
)

// maxPage bounds the bytes of a page: 10,000 entries, Swift's default, with the
// longest names in JSON's longest form.
const maxPage = 128 << 20

// entry is an object in a listing, or what a delimiter folds into one.
type entry struct {
	Name         string
	Bytes        int64
	Subdir       string
	LastModified string `json:"last_modified"`
}

// modified returns when the object was stored, to the second.
func (e entry) modified() (time.Time, error) {
	at, _, _ := strings.Cut(e.LastModified, ".") // UTC, without saying so
	return time.Parse("2006-01-02T15:04:05", at)
}

// List implements backends.Reader. A page of the listing is read before its
// files are reported, so that a function that takes minutes keeps no
// connection waiting. A Swift cluster's listings may lag behind its objects.
func (t *target) List(ctx context.Context, fn func(name string, size int64) error) error {
	var stop error // fn's own, which is returned as it is
	err := t.check(ctx)
	if err == nil {
		err = t.scan(ctx, t.container, t.prefix, "/", func(e entry) error {
			name := strings.TrimPrefix(e.Name, t.prefix)
			if e.Subdir != "" || !backends.ValidName(name) {
				return nil
			}
			size, err := t.listedSize(ctx, name, e)
			if err != nil || size < 0 {
				return err
			}
			stop = fn(name, size)
			return stop
		})
	}
	if err == nil || stop != nil {
		return stop
	}
	return fmt.Errorf("list %s: %w", t, err)
}

// listedSize returns the length of a listed file; -1 is one that was deleted
// meanwhile. Listings give that of static large objects, and 0 for dynamic
// ones, as Duplicity makes them.
func (t *target) listedSize(ctx context.Context, name string, e entry) (int64, error) {
	if e.Bytes > 0 {
		return e.Bytes, nil
	}
	i, err := t.stat(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	return i.size, err
}

// scan calls fn for each entry of a container whose name begins with prefix,
// page by page. It asks for no number of entries, because more than a service
// gives is an error, and ends at an empty page.
func (t *target) scan(ctx context.Context, container, prefix, delimiter string, fn func(entry) error) error {
	marker := ""
	for {
		page, err := t.page(ctx, container, url.Values{"prefix": {prefix}, "delimiter": {delimiter}, "marker": {marker}})
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		for _, e := range page {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := fn(e); err != nil {
				return err
			}
		}
		last := page[len(page)-1]
		if next := last.Name + last.Subdir; next > marker {
			marker = next
		} else {
			return fmt.Errorf("%w: the server lists the same page again", backends.ErrUnavailable)
		}
	}
}

func (t *target) page(ctx context.Context, container string, query url.Values) (page []entry, err error) {
	query.Set("format", "json")
	for name, values := range query {
		if values[0] == "" {
			query.Del(name)
		}
	}
	res, err := t.client.do(ctx, request{method: http.MethodGet, path: "/" + container, query: query})
	if err != nil || res.StatusCode == http.StatusNoContent {
		return nil, err
	}
	return page, decode(ctx, res, &page)
}

// decode reads an answer in JSON.
func decode(ctx context.Context, res *http.Response, value any) error {
	err := json.NewDecoder(io.LimitReader(res.Body, maxPage)).Decode(value)
	if ctx.Err() != nil {
		err = ctx.Err()
	} else if err != nil {
		err = cause(fmt.Errorf("read the server's answer: %w", err))
	}
	return errors.Join(err, cause(drain(res)))
}
