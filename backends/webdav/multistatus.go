package webdav

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// propfindBody asks for the properties of RFC 4918 section 15 that a listing
// needs.
const propfindBody = `<?xml version="1.0" encoding="utf-8"?>` +
	`<D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/><D:getcontentlength/><D:getlastmodified/></D:prop></D:propfind>`

// maxElement bounds the bytes of one response in a multistatus document.
const maxElement = 1 << 20

// An entry is what a multistatus document says of one resource.
type entry struct {
	dir        string // decoded path up to and with the last slash, as the server writes it
	name       string // decoded
	collection bool
	size       int64         // -1 if not given
	age        time.Duration // since its last change, by the server's clock; 0 if not given
}

// propfind calls fn for the resources of a PROPFIND's answer as they arrive.
// final is the URL that answered, after redirections.
func (t *target) propfind(ctx context.Context, u *url.URL, depth string, fn func(entry) error) (final *url.URL, err error) {
	res, err := t.client.do(ctx, request{
		method: "PROPFIND",
		url:    u,
		header: http.Header{"Depth": {depth}, "Content-Type": {`application/xml; charset="utf-8"`}},
		body:   textBody(propfindBody),
	})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	err = parseMultistatus(res.Body, func(r response) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !r.found() {
			return nil
		}
		return fn(r.entry(res.Request.URL, serverTime(res)))
	})
	return res.Request.URL, t.client.cause(err)
}

// serverTime is the server's clock when it answered.
func serverTime(res *http.Response) time.Time {
	if now, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		return now
	}
	return time.Now()
}

// A response is an element of that name in a multistatus document (RFC 4918,
// section 14.24).
type response struct {
	Href     string `xml:"DAV: href"`
	Status   string `xml:"DAV: status"`
	Propstat []struct {
		Status string `xml:"DAV: status"`
		Prop   struct {
			Length   string    `xml:"DAV: getcontentlength"`
			Modified string    `xml:"DAV: getlastmodified"`
			Type     *struct { // nil where it is not given
				Collection *struct{} `xml:"DAV: collection"`
			} `xml:"DAV: resourcetype"`
		} `xml:"DAV: prop"`
	} `xml:"DAV: propstat"`
}

// parseMultistatus calls fn for every response in a multistatus document. A
// document that ends early is an error.
func parseMultistatus(r io.Reader, fn func(response) error) error {
	bounded := &elementReader{r: r}
	d := xml.NewDecoder(bounded)
	seen := false
	for {
		bounded.left = maxElement
		token, err := d.Token()
		if err == io.EOF && seen {
			return nil
		}
		if err == io.EOF {
			return errors.New("the answer to PROPFIND is no multistatus document")
		}
		if err != nil {
			return fmt.Errorf("parse the answer to PROPFIND: %w", err)
		}
		start, ok := token.(xml.StartElement)
		switch {
		case !ok:
		case start.Name == xml.Name{Space: "DAV:", Local: "multistatus"}:
			seen = true
		case !seen || start.Name != xml.Name{Space: "DAV:", Local: "response"}:
			err = d.Skip()
		default:
			var one response
			if err = d.DecodeElement(&one, &start); err == nil {
				if err := fn(one); err != nil {
					return err
				}
			}
		}
		if err != nil {
			return fmt.Errorf("parse the answer to PROPFIND: %w", err)
		}
	}
}

// elementReader ends a document whose elements are longer than the memory they
// may take.
type elementReader struct {
	r    io.Reader
	left int
}

func (e *elementReader) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, fmt.Errorf("an element is longer than %d bytes", maxElement)
	}
	n, err := e.r.Read(p[:min(len(p), e.left)])
	e.left -= n
	return n, err
}

// found reports whether the server has the resource: some list what it is
// refused to look at, with a status of its own.
func (r response) found() bool { return r.Status == "" || isOK(r.Status) }

// isOK reports whether a status line, such as "HTTP/1.1 200 OK", is a success.
func isOK(line string) bool {
	fields := strings.Fields(line)
	return len(fields) > 1 && strings.HasPrefix(fields[1], "2")
}

// entry returns what a response to a request for a URL says. The type of a
// resource may be missing; then it is a collection if its href ends in a slash.
func (r response) entry(base *url.URL, now time.Time) entry {
	dir, name, slash := splitHref(strings.TrimSpace(r.Href), base)
	e := entry{dir: dir, name: name, collection: slash, size: -1}
	for _, p := range r.Propstat {
		if p.Status != "" && !isOK(p.Status) {
			continue
		}
		if p.Prop.Type != nil {
			e.collection = e.collection || p.Prop.Type.Collection != nil
		}
		if size, err := strconv.ParseInt(strings.TrimSpace(p.Prop.Length), 10, 64); err == nil && size >= 0 {
			e.size = size
		}
		if modified, err := http.ParseTime(strings.TrimSpace(p.Prop.Modified)); err == nil {
			e.age = now.Sub(modified)
		}
	}
	return e
}

// splitHref takes an href apart: a URL, an absolute path or a relative one, of
// which the empty one is that of the request.
// The parts are decoded after they are cut, as a name may hold a coded slash.
// What is no percent code stands for itself: some servers write none.
func splitHref(href string, base *url.URL) (dir, name string, slash bool) {
	if _, rest, found := strings.Cut(href, "://"); found && !strings.HasPrefix(href, "/") {
		_, href, _ = strings.Cut(rest, "/")
		href = "/" + href
	}
	if href == "" {
		href = base.EscapedPath()
	}
	if !strings.HasPrefix(href, "/") {
		href = path.Dir(base.EscapedPath()+"x") + "/" + strings.TrimPrefix(href, "./")
	}
	trimmed := strings.TrimRight(href, "/")
	i := strings.LastIndexByte(trimmed, '/')
	return decodePath(trimmed[:i+1]), decodePath(trimmed[i+1:]), trimmed != href
}

func decodePath(s string) string {
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	return s
}

// foldSlashes makes one slash of several, which count as one in a path.
func foldSlashes(s string) string {
	for strings.Contains(s, "//") {
		s = strings.ReplaceAll(s, "//", "/")
	}
	return s
}
