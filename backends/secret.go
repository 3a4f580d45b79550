package backends

import (
	"fmt"
	"io"
)

// redacted stands for a secret in everything that is printed.
const redacted = "[redacted]"

// A Secret is text that must not be printed: in any format, and in JSON, it
// shows as "[redacted]". The zero Secret is none and shows as nothing.
type Secret struct {
	// A pointer, because fmt prints unexported fields of a structure
	// without asking their methods: then it shows an address.
	text *string
}

// NewSecret wraps text; empty text is no secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal returns the text itself, "" if there is none.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String returns the stand-in.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return redacted
}

// Format prints the stand-in for every verb.
func (s Secret) Format(f fmt.State, _ rune) {
	io.WriteString(f, s.String())
}

// MarshalText gives encoders, encoding/json among them, the stand-in.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
