package profile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// maxRelease bounds what is read of a file that identifies a system, in bytes.
const maxRelease = 64 << 10

// Detect returns the id of the profile that fits the system below root: what
// /etc/turnkey_version says, else distribution and version by os-release, by
// lsb-release or by debian_version, else Generic. Below any root but "/",
// symbolic links must not lead outside of it.
func Detect(root string) (ID, error) {
	id, err := detectBelow(root)
	if err != nil {
		return "", fmt.Errorf("detect profile id of %q: %w", root, err)
	}
	return id, nil
}

func detectBelow(root string) (ID, error) {
	if filepath.Clean(root) == "/" {
		return detect(os.DirFS("/"))
	}
	dir, err := os.OpenRoot(root)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	return detect(dir.FS())
}

func detect(fsys fs.FS) (ID, error) {
	for _, source := range []struct {
		path string
		id   func(text string) string // "" when the text does not say
	}{
		{"etc/turnkey_version", firstLine},
		{"etc/os-release", fromOSRelease},
		{"usr/lib/os-release", fromOSRelease}, // where /etc/os-release leads, unless it is missing
		{"etc/lsb-release", fromLSBRelease},
		{"etc/debian_version", fromDebianVersion},
	} {
		text, err := readRelease(fsys, source.path)
		if err != nil {
			return "", err
		}
		if s := source.id(text); s != "" {
			id, err := ParseID(s)
			if err != nil {
				return "", fmt.Errorf("%s: %w", source.path, err)
			}
			return id, nil
		}
	}
	return Generic, nil
}

// readRelease reads the start of a regular file, which is "" if absent.
func readRelease(fsys fs.FS, path string) (string, error) {
	info, err := fs.Stat(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: it is not a regular file", path)
	}
	if err != nil {
		return "", err
	}
	f, err := fsys.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRelease))
	return string(text), err
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}

func fromOSRelease(text string) string {
	values := parseRelease(text)
	return join(values["ID"], values["VERSION_ID"])
}

func fromLSBRelease(text string) string {
	values := parseRelease(text)
	return join(strings.ToLower(values["DISTRIB_ID"]), values["DISTRIB_RELEASE"])
}

// join needs both parts: Debian testing has no VERSION_ID.
func join(distribution, version string) string {
	if distribution == "" || version == "" {
		return ""
	}
	return distribution + "-" + version
}

// parseRelease reads name=value lines, with values in quotes or not.
func parseRelease(text string) map[string]string {
	values := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(name, "#") {
			values[name] = unquote(value)
		}
	}
	return values
}

func unquote(s string) string {
	if n := len(s); n >= 2 && s[0] == s[n-1] && (s[0] == '"' || s[0] == '\'') {
		return s[1 : n-1]
	}
	return s
}

var majorVersion = regexp.MustCompile(`^([0-9]+)\.`)

// fromDebianVersion reads "12.5" as debian-12 and the "trixie/sid" of a release
// to come as debian-trixie_sid.
func fromDebianVersion(text string) string {
	version := firstLine(text)
	if m := majorVersion.FindStringSubmatch(version); m != nil {
		return "debian-" + m[1]
	}
	if strings.Contains(version, "/") {
		return "debian-" + strings.ReplaceAll(version, "/", "_")
	}
	return ""
}
