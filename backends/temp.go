package backends

import (
	"crypto/rand"
	"strings"
)

// Temporary files are named tempPrefix, 26 random letters and digits,
// tempSuffix. A leading dot is in no name that CheckName accepts.
const (
	tempPrefix = ".tklbam-"
	tempSuffix = ".tmp"
	tempLen    = len(tempPrefix) + 26 + len(tempSuffix)
)

// TempName returns a name for a file on its way into a target, which no other
// file ever gets.
func TempName() string { return tempPrefix + rand.Text() + tempSuffix }

// IsTemp reports whether a name is one that TempName returns: of any driver, so
// that whichever comes to a target later knows what a dead run left.
func IsTemp(name string) bool {
	return len(name) == tempLen && strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}
