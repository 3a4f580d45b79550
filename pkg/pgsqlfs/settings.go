package pgsqlfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// settings are those of a postgresql.conf, by name in lower case. The last
// one counts.
type settings map[string]string

// Bounds on what is read: a file that includes itself ends there.
const (
	maxDepth = 10
	maxConf  = 4 << 20 // bytes
)

// read adds the settings of a file and of those it includes. Paths in them
// are below root or relative to the file.
func (s settings) read(root, path string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("read %q: files include each other", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConf))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	for line := range bytes.Lines(data) {
		name, value, ok := parseSetting(string(line))
		if !ok {
			continue
		}
		if err := s.set(root, path, name, value, depth); err != nil {
			return err
		}
	}
	return nil
}

func (s settings) set(root, path, name, value string, depth int) error {
	target := filepath.Join(filepath.Dir(path), value)
	if filepath.IsAbs(value) {
		target = filepath.Join(root, value)
	}
	switch name {
	case "include":
		return s.read(root, target, depth+1)
	case "include_if_exists":
		if err := s.read(root, target, depth+1); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	case "include_dir":
		return s.readDir(root, target, depth+1)
	default:
		s[name] = value
	}
	return nil
}

// readDir reads the files of a directory that a server reads: NAME.conf, in
// order, none that is hidden.
func (s settings) readDir(root, dir string, depth int) error {
	found, err := filepath.Glob(filepath.Join(dir, "[^.]*.conf"))
	if err != nil {
		return err
	}
	slices.Sort(found)
	for _, path := range found {
		if err := s.read(root, path, depth); err != nil {
			return err
		}
	}
	return nil
}

// parseSetting reads a line "name = value" or "name value", the value perhaps
// in single quotes, where two are one. Nothing else is a setting.
func parseSetting(line string) (name, value string, ok bool) {
	line = strings.TrimSpace(line)
	end := strings.IndexAny(line, " \t=#'")
	if end <= 0 || line[end] == '#' {
		return "", "", false
	}
	name, rest := strings.ToLower(line[:end]), strings.TrimSpace(line[end:])
	rest = strings.TrimSpace(strings.TrimPrefix(rest, "="))
	if !strings.HasPrefix(rest, "'") {
		value, _, _ = strings.Cut(rest, "#")
		return name, strings.TrimSpace(value), true
	}
	value, ok = unquote(rest[1:])
	return name, value, ok
}

// unquote reads up to the closing quote.
func unquote(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch next := i + 1; {
		case s[i] == '\'' && next < len(s) && s[next] == '\'', s[i] == '\\' && next < len(s):
			i = next
		case s[i] == '\'':
			return b.String(), true
		}
		b.WriteByte(s[i])
	}
	return "", false
}
