package mysqlfs

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Escape returns the file name for an identifier: the identifier itself,
// except that a slash, a NUL, the dots of "." and ".." and a percent sign
// that would read as an escape become a percent sign and two hexadecimal
// digits. An identifier has 64 characters of up to three bytes, so the name
// fits any file system.
func Escape(name string) string {
	dots := name == "." || name == ".."
	return escape(name, func(i int) bool {
		switch name[i] {
		case '/', 0:
			return true
		case '.':
			return dots
		case '%':
			return i+2 < len(name) && hexDigit(name[i+1]) && hexDigit(name[i+2])
		}
		return false
	})
}

// escapeCase is Escape that leaves no upper-case letter of ASCII, for file
// systems that hold only one of "a" and "A". Letters beyond ASCII differ in
// case there as well, so all that is beyond is escaped, as far as it fits.
func escapeCase(name string) string {
	escaped := escape(name, func(i int) bool {
		c := name[i]
		return 'A' <= c && c <= 'Z' || c == '%' || c == '/' || c == 0 || c >= 0x80
	})
	if len(escaped) > maxName {
		return Escape(name)
	}
	return escaped
}

// maxName is the longest file name in bytes.
const maxName = 255

func escape(name string, must func(i int) bool) string {
	var b strings.Builder
	for i := range len(name) {
		if must(i) {
			fmt.Fprintf(&b, "%%%02x", name[i])
		} else {
			b.WriteByte(name[i])
		}
	}
	return b.String()
}

// Unescape returns the identifier that a file is named after. It undoes
// Escape; a name that Escape does not return stands for itself where it can.
func Unescape(file string) string {
	var b strings.Builder
	for i := 0; i < len(file); i++ {
		if file[i] == '%' && i+2 < len(file) {
			if c, err := hex.DecodeString(file[i+1 : i+3]); err == nil {
				b.WriteByte(c[0])
				i += 2
				continue
			}
		}
		b.WriteByte(file[i])
	}
	return b.String()
}

func hexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
