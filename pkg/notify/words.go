package notify

import (
	"errors"
	"strings"
)

// splitWords cuts a line into words by the quoting rules of a shell: single
// quotes take everything as it stands, double quotes everything but a
// backslash before another or a double quote, and a backslash outside of both
// quotes the next byte.
func splitWords(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	open := false // a word has begun
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(s) && (quote == 0 || s[i+1] == '"' || s[i+1] == '\\'):
			i++
			word.WriteByte(s[i])
			open = true
		case c == '\\' && quote == 0:
			return nil, errors.New("nothing follows the backslash at the end")
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, open = c, true
		case quote == 0 && strings.IndexByte(" \t\r\n", c) >= 0:
			if open {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteByte(c)
			open = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}
