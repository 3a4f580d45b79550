package swift

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Segments are named prefix, segmentsDir, the file's name, the upload's random
// name and a number, with slashes between. Listings pass them over: they are
// in a "directory", and a hidden one.
const segmentsDir = ".tklbam-segments/"

// staleAge is the age of an upload's youngest segment from which one that no
// manifest names is taken for a dead run's.
const staleAge = 24 * time.Hour

// segment is an entry of a manifest, in the form Swift's API for static large
// objects takes it.
type segment struct {
	Path string `json:"path"`
	ETag string `json:"etag"`
	Size int64  `json:"size_bytes"`
}

// listETag returns the ETag of a static large object: the MD5 sum of its
// segments' sums, in hexadecimal.
func listETag(segments []segment) string {
	h := md5.New()
	for _, s := range segments {
		h.Write([]byte(s.ETag))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// segmentsOf returns the paths of a file's segments, none if it is no large
// object; an absent file is fs.ErrNotExist. Those of Duplicity and of
// OpenStack's own client are known too. Objects that a manifest names anywhere
// else may belong to other files, and are not returned.
func (t *target) segmentsOf(ctx context.Context, name string) ([]string, error) {
	i, err := t.stat(ctx, name)
	if err != nil || !i.large() {
		return nil, err
	}
	all, err := t.dynamicSegments(ctx, i.dynamic)
	if i.static {
		all, err = t.staticSegments(ctx, name)
	}
	var own []string
	for _, path := range all {
		if t.owns(name, path) {
			own = append(own, path)
		}
	}
	return own, err
}

// owns reports whether a path is where segments of a file are stored.
func (t *target) owns(name, path string) bool {
	return strings.HasPrefix(path, t.object(t.prefix+segmentsDir+name+"/")) ||
		strings.HasPrefix(path, "/"+t.container+"_segments/"+t.prefix+name+"/")
}

// staticSegments reads the manifest of a static large object.
func (t *target) staticSegments(ctx context.Context, name string) ([]string, error) {
	res, err := t.client.do(ctx, request{
		method: http.MethodGet,
		path:   t.object(t.prefix + name),
		query:  url.Values{"multipart-manifest": {"get"}},
	})
	if err != nil {
		return nil, err
	}
	var manifest []struct{ Name string }
	if err := decode(ctx, res, &manifest); err != nil {
		return nil, fmt.Errorf("read the manifest of its segments: %w", err)
	}
	var paths []string
	for _, s := range manifest {
		paths = append(paths, s.Name)
	}
	return paths, nil
}

// dynamicSegments lists the segments of a dynamic large object, whose header
// gives their container and prefix, percent-encoded.
func (t *target) dynamicSegments(ctx context.Context, manifest string) ([]string, error) {
	decoded, err := url.PathUnescape(manifest)
	if err != nil {
		return nil, fmt.Errorf("the manifest %q of its segments: %w", manifest, err)
	}
	container, prefix, found := strings.Cut(decoded, "/")
	if !found || container == "" || prefix == "" {
		return nil, nil
	}
	var paths []string
	err = t.scan(ctx, container, prefix, "", func(e entry) error {
		paths = append(paths, "/"+container+"/"+e.Name)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return paths, err
}

// prepare, before the first Put of a backend, removes segments of dead runs
// and learns which files have segments.
func (t *target) prepare(ctx context.Context) error {
	t.preparing.Lock()
	defer t.preparing.Unlock()
	if t.large != nil {
		return nil
	}
	uploads, err := t.uploads(ctx)
	if err != nil {
		return err
	}
	large := make(map[string]bool)
	for _, u := range uploads {
		large[u.name] = true
		if time.Since(u.youngest) > staleAge {
			if err := t.sweep(ctx, u); err != nil {
				return err
			}
		}
	}
	t.large = large
	return nil
}

// stored is an upload whose segments a listing shows.
type stored struct {
	name     string // of the file
	paths    []string
	youngest time.Time
}

// uploads returns those whose segments are stored, by their paths but the
// number.
func (t *target) uploads(ctx context.Context) (map[string]*stored, error) {
	all := make(map[string]*stored)
	dir := t.prefix + segmentsDir
	err := t.scan(ctx, t.container, dir, "", func(e entry) error {
		parts := strings.Split(strings.TrimPrefix(e.Name, dir), "/")
		at, err := e.modified()
		if err != nil || len(parts) != 3 {
			return nil // not of ours
		}
		id := parts[0] + "/" + parts[1]
		if all[id] == nil {
			all[id] = &stored{name: parts[0]}
		}
		u := all[id]
		u.paths = append(u.paths, t.object(e.Name))
		if at.After(u.youngest) {
			u.youngest = at
		}
		return nil
	})
	return all, err
}

// sweep removes the segments of an upload if the file's manifest does not name
// them. What this user must not delete stays: it stops no Put.
func (t *target) sweep(ctx context.Context, u *stored) error {
	used, err := t.segmentsOf(ctx, u.name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	inUse := make(map[string]bool)
	for _, path := range used {
		inUse[path] = true
	}
	var unused []string
	for _, path := range u.paths {
		if !inUse[path] {
			unused = append(unused, path)
		}
	}
	err = t.removeAll(ctx, unused)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// replaced returns the segments that are of no use once a file is replaced.
func (t *target) replaced(ctx context.Context, name string) ([]string, error) {
	t.preparing.Lock()
	large := t.large[name]
	t.preparing.Unlock()
	if !large {
		return nil, nil
	}
	old, err := t.segmentsOf(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return old, err
}

// join makes the file of the segments. Its answer may be lost: then the file
// is looked up.
func (u *upload) join() error {
	t := u.target
	manifest, err := json.Marshal(u.segments)
	if err != nil {
		return err
	}
	t.preparing.Lock()
	t.large[u.name] = true
	t.preparing.Unlock()
	err = u.send(content{
		path:  t.object(t.prefix + u.name),
		query: url.Values{"multipart-manifest": {"put"}},
		from:  bytes.NewReader(manifest),
		size:  int64(len(manifest)),
		etag:  listETag(u.segments),
	})
	if err == nil || isDecided(err) {
		return err
	}
	u.inDoubt = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), cleanupTime)
	defer cancel()
	now, lookErr := t.staticSegments(ctx, u.name)
	if lookErr == nil && len(now) > 0 && now[0] == u.segments[0].Path {
		return nil
	}
	return err
}

// isDecided reports whether an error of a request says that it had no effect:
// a context's comes only from requests that were not sent whole.
func isDecided(err error) bool {
	var refused *statusError
	return errors.As(err, &refused) && refused.code < 500 ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
