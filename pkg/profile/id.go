package profile

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// An ID names a profile. It is one of
//
//	turnkey-<codename>-<release>-<arch>  the appliance it is for, see Appliance
//	debian-12, ubuntu-24.04, …           the distribution it is for
//	generic                              any system
//	empty                                nothing but what overrides list
//	custom:<name>                        the directory it was copied from
//
// and whatever else the Hub may call one.
type ID string

// The ids with a meaning of their own.
const (
	Generic ID = "generic"
	Empty   ID = "empty"
)

const customPrefix = "custom:"

// maxID is more than the length in bytes of any id: a custom one has a file's
// name in it.
const maxID = 300

// ParseID checks an id that comes from outside: one line, without a slash or
// white space at its ends.
func ParseID(s string) (ID, error) {
	if err := checkID(s); err != nil {
		return "", fmt.Errorf("profile id %q: %w", s[:min(len(s), maxID)], err)
	}
	return ID(s), nil
}

func checkID(s string) error {
	isControl := func(r rune) bool { return r < ' ' || r == 0x7f }
	switch {
	case s == "":
		return errors.New("it is empty")
	case len(s) > maxID:
		return fmt.Errorf("it is longer than %d bytes", maxID)
	case strings.ContainsFunc(s, isControl):
		return errors.New("it contains a control character")
	case strings.Contains(s, "/"):
		return errors.New("it contains a slash")
	case strings.TrimSpace(s) != s:
		return errors.New("it begins or ends with white space")
	}
	return nil
}

// customID returns the id of a profile that is copied from a directory.
func customID(dir string) (ID, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return ParseID(customPrefix + filepath.Base(dir))
}

// String returns the id in the form that ParseID reads.
func (id ID) String() string { return string(id) }

// Local reports whether the profile was made here, so that the Hub has no
// newer version of it.
func (id ID) Local() bool {
	return id == Empty || strings.HasPrefix(string(id), customPrefix)
}
