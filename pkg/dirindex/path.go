package dirindex

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// MaxPath bounds a path in bytes. It is many times what system calls take, but
// a tree can be deeper than that.
const MaxPath = 64 << 10

// A tab or a newline in a name would end the field or the line that it stands
// in. Such a path begins with escapeMark, in which the rest is written with
// "\t", "\n" and "\\" for tab, newline and backslash; a target in the same line
// is written so too. No other path begins with the mark, since paths are clean,
// and nothing else is escaped: every line without a tab or newline in a name
// has the form it always had, backslashes included. To a reader that does not
// know the mark it is a path that does not exist.
const escapeMark = "/."

func isEscaped(field string) bool { return strings.HasPrefix(field, escapeMark+"/") }

func mustEscape(s string) bool { return strings.ContainsAny(s, "\t\n") }

// FormatPath returns a path as it stands in a line of an index, a delta or a
// list of paths: the path itself, unless it contains a tab or a newline.
func FormatPath(path string) string {
	if !mustEscape(path) {
		return path
	}
	return string(appendPath(nil, path, true))
}

// ParsePath reads what FormatPath returns. A path that is not absolute and
// clean, contains a zero byte or is longer than MaxPath is an error.
func ParsePath(field string) (string, error) {
	p := field
	if isEscaped(field) {
		var err error
		if p, err = unescape(field[len(escapeMark):]); err != nil {
			return "", err
		}
	}
	return p, checkPath(p)
}

func checkPath(p string) error {
	switch {
	case len(p) > MaxPath:
		return fmt.Errorf("path %q is longer than %d bytes", clip(p), MaxPath)
	case strings.IndexByte(p, 0) >= 0:
		return fmt.Errorf("path %q contains a zero byte", clip(p))
	case !strings.HasPrefix(p, "/") || path.Clean(p) != p:
		return fmt.Errorf("path %q is not absolute and clean", clip(p))
	}
	return nil
}

func appendPath(b []byte, p string, escaped bool) []byte {
	if !escaped {
		return append(b, p...)
	}
	return appendEscaped(append(b, escapeMark...), p)
}

func appendEscaped(b []byte, s string) []byte {
	for i := range len(s) {
		switch s[i] {
		case '\t':
			b = append(b, `\t`...)
		case '\n':
			b = append(b, `\n`...)
		case '\\':
			b = append(b, `\\`...)
		default:
			b = append(b, s[i])
		}
	}
	return b
}

func unescape(s string) (string, error) {
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(s, `\`)
		b.WriteString(plain)
		if !found {
			return b.String(), nil
		}
		if rest == "" {
			return "", errors.New("nothing follows the backslash at the end")
		}
		i := strings.IndexByte(`tn\`, rest[0])
		if i < 0 {
			return "", fmt.Errorf("%q is not an escape", `\`+rest[:1])
		}
		b.WriteByte("\t\n\\"[i])
		s = rest[1:]
	}
}
