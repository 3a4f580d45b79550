package ftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jlaffaye/ftp"

	"tklbam/backends"
)

// List implements backends.Reader. The names are taken first, all of them: a
// server that waits for the reader of a listing closes the connection.
func (t *target) List(ctx context.Context, fn func(name string, size int64) error) error {
	var sizes map[string]int64
	err := t.with(ctx, func(s *session) (err error) {
		sizes, err = s.files()
		return err
	})
	if err != nil {
		return fmt.Errorf("list %s: %w", t, err)
	}
	for name, size := range sizes {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list %s: %w", t, err)
		}
		if err := fn(name, size); err != nil {
			return err
		}
	}
	return nil
}

// files returns the sizes of the files with valid names in the directory.
//
// MLSD (RFC 3659) is exact. LIST has no format: lines in another language or
// layout are not understood, names may lose a space at their beginning. So
// where there is no MLSD the names are those of NLST, and LIST only saves
// asking for the size of each.
func (s *session) files() (map[string]int64, error) {
	entries, err := s.entries()
	if err != nil {
		return nil, err
	}
	sizes := make(map[string]int64)
	for _, e := range entries {
		if e.Type == ftp.EntryTypeFile && backends.ValidName(e.Name) {
			sizes[e.Name] = int64(e.Size)
		}
	}
	if err := s.confirmEmpty(sizes); err != nil {
		return nil, err
	}
	if s.conn.IsTimePreciseInList() {
		return sizes, nil
	}
	names, err := s.names()
	if code := replyCode(err); (code == 500 || code == 502) && !s.lost() {
		return sizes, nil
	}
	if err != nil {
		return nil, err
	}
	return s.complete(names, entries, sizes)
}

// confirmEmpty asks for the sizes of files that seem to be empty: a listing may
// lack the size.
func (s *session) confirmEmpty(sizes map[string]int64) error {
	for name, size := range sizes {
		if size > 0 {
			continue
		}
		size, err := s.size(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			delete(sizes, name)
		case err == nil:
			sizes[name] = size
		case !errors.Is(err, errNoSize):
			return err
		}
	}
	return nil
}

// complete returns the sizes of the names that are files.
func (s *session) complete(names []string, entries []*ftp.Entry, listed map[string]int64) (map[string]int64, error) {
	folders := make(map[string]bool)
	for _, e := range entries {
		folders[e.Name] = folders[e.Name] || e.Type == ftp.EntryTypeFolder
	}
	sizes := make(map[string]int64)
	for _, name := range names {
		size, known := listed[name]
		if !known {
			if folders[name] {
				continue
			}
			var err error
			size, err = s.size(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // a directory, or deleted meanwhile
			}
			if err != nil {
				return nil, err
			}
		}
		sizes[name] = size
	}
	return sizes, nil
}

// entries returns what the server's better listing says of the directory.
func (s *session) entries() ([]*ftp.Entry, error) {
	entries, err := s.conn.List("")
	return entries, s.listed(err)
}

// hidden returns the same and hidden files: MLSD has them, LIST wants to be
// asked for them.
func (s *session) hidden() ([]*ftp.Entry, error) {
	option := "-a"
	if s.conn.IsTimePreciseInList() { // by MLSD, then
		option = ""
	}
	entries, err := s.conn.List(option)
	return entries, s.listed(err)
}

// names returns the valid names of NLST, some of whose servers put a path in
// front.
func (s *session) names() ([]string, error) {
	all, err := s.conn.NameList("")
	var names []string
	for _, name := range all {
		if name = name[strings.LastIndexByte(name, '/')+1:]; backends.ValidName(name) {
			names = append(names, name)
		}
	}
	return names, s.listed(err)
}

// listed returns what the end of a listing means: some servers say 450 or 550
// when there is nothing to list.
func (s *session) listed(err error) error {
	if code := replyCode(err); (code == 450 || code == 550) && !s.lost() {
		text := strings.ToLower(err.Error())
		if strings.Contains(text, "no files") || strings.Contains(text, "no such file") || strings.Contains(text, "not found") {
			return nil
		}
	}
	return s.transferred(err)
}
