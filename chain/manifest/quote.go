package manifest

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// special holds the bytes that force a string into quotes, where they are
// written as \xHH: ASCII white space, backslash and both quotes. All other
// bytes stand for themselves, whatever their encoding.
const special = " \t\n\r\f\v\\\"'"

// quote returns s as one word of a manifest.
func quote(s string) string {
	if !strings.ContainsAny(s, special) {
		return s
	}
	b := make([]byte, 0, len(s)+16)
	b = append(b, '"')
	for i := range len(s) {
		if c := s[i]; strings.IndexByte(special, c) >= 0 {
			b = fmt.Appendf(b, `\x%02x`, c)
		} else {
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// unquote undoes quote. Words that do not begin with a double quote stand for
// themselves.
func unquote(word string) (string, error) {
	if !strings.HasPrefix(word, `"`) {
		return word, nil
	}
	if len(word) < 2 || !strings.HasSuffix(word, `"`) {
		return "", fmt.Errorf("unquote %.80q: closing quote is missing", word)
	}
	body := word[1 : len(word)-1]
	b := make([]byte, 0, len(body))
	for len(body) > 0 {
		if body[0] != '\\' {
			b = append(b, body[0])
			body = body[1:]
			continue
		}
		if len(body) < 4 || body[1] != 'x' {
			return "", fmt.Errorf("unquote %.80q: bad escape %.4q", word, body)
		}
		c, err := hex.DecodeString(body[2:4])
		if err != nil {
			return "", fmt.Errorf("unquote %.80q: bad escape %.4q", word, body)
		}
		b = append(b, c[0])
		body = body[4:]
	}
	return string(b), nil
}
