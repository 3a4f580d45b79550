package packages

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A SourceFile is a file of apt's that names package sources other than the
// distribution's own. Paths have no leading slash.
type SourceFile struct {
	Path     string
	URIs     []string // of the other sources, without user and password
	Keyrings []string // files with the keys these are verified with
}

// Sources returns the files of apt's configuration below root that name
// sources elsewhere, sorted by path. A source is the distribution's own if
// it is on one of the distribution's hosts or signed by its keyring, so that
// a mirror is one if its entry says Signed-By; entries that are switched off
// do not count. A source without Signed-By may be verified with any keyring
// in trusted.gpg.d, so all of those come with it that no package brought.
func Sources(root string) ([]SourceFile, error) {
	names, err := sourceNames(root)
	if err != nil {
		return nil, err
	}
	var files []SourceFile
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(root, name))
		if errors.Is(err, fs.ErrNotExist) && name == sourcesList {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read apt's sources: %w", err)
		}
		f, unsigned := thirdParty(name, parseSources(name, string(text)))
		if len(f.URIs) == 0 {
			continue
		}
		if unsigned {
			trusted, err := trustedKeyrings(root)
			if err != nil {
				return nil, err
			}
			f.Keyrings = append(f.Keyrings, trusted...)
		}
		slices.Sort(f.Keyrings)
		f.Keyrings = slices.Compact(f.Keyrings)
		files = append(files, f)
	}
	return files, nil
}

const (
	aptDir      = "etc/apt"
	sourcesList = aptDir + "/sources.list"
	sourceParts = aptDir + "/sources.list.d"
	trustedKeys = aptDir + "/trusted.gpg"
	trustedDir  = aptDir + "/trusted.gpg.d"
)

// sourceNames returns the files that apt reads, sorted.
func sourceNames(root string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(root, aptDir)); err != nil {
		return nil, fmt.Errorf("look for apt's sources: %w", err)
	}
	entries, err := os.ReadDir(filepath.Join(root, sourceParts))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list apt's sources: %w", err)
	}
	names := []string{sourcesList}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".list" || ext == ".sources") {
			names = append(names, sourceParts+"/"+e.Name())
		}
	}
	return names, nil
}

// A source is one entry of a file of sources.
type source struct {
	uris     []string
	keyrings []string // absolute paths
	signed   bool     // it says which keys it trusts, be they in files or in the entry itself
}

func parseSources(name, text string) []source {
	if filepath.Ext(name) == ".sources" {
		return parseDeb822(text)
	}
	var all []source
	for line := range strings.Lines(text) {
		if s, ok := parseSourceLine(line); ok {
			all = append(all, s)
		}
	}
	return all
}

// parseSourceLine takes the one-line form of sources.list(5):
// "deb [ option=value ... ] uri suite component ...".
func parseSourceLine(line string) (source, bool) {
	line, _, _ = strings.Cut(line, "#")
	kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if kind != "deb" && kind != "deb-src" {
		return source{}, false
	}
	var s source
	rest = strings.TrimSpace(rest)
	if options, after, ok := strings.Cut(rest, "]"); ok && strings.HasPrefix(options, "[") {
		rest = after
		for _, option := range strings.Fields(options[1:]) {
			if name, value, _ := strings.Cut(option, "="); strings.EqualFold(name, "signed-by") {
				s.sign(strings.ReplaceAll(value, ",", " "))
			}
		}
	}
	words := strings.Fields(rest)
	if len(words) == 0 || strings.HasPrefix(rest, "[") {
		return source{}, false
	}
	s.uris = words[:1]
	return s, true
}

// sign takes the value of Signed-By: paths of keyrings and fingerprints, or a
// whole key.
func (s *source) sign(value string) {
	words := strings.Fields(value)
	s.signed = len(words) > 0
	for _, word := range words {
		if strings.HasPrefix(word, "/") && !strings.Contains(value, "-----BEGIN") {
			s.keyrings = append(s.keyrings, word)
		}
	}
}

// parseDeb822 takes the form of stanzas with fields.
func parseDeb822(text string) []source {
	var all []source
	fields := map[string]string{}
	field := ""
	for line := range strings.Lines(text + "\n\n") {
		switch {
		case line[0] == '#':
		case strings.TrimSpace(line) == "":
			if s, ok := sourceOf(fields); ok {
				all = append(all, s)
			}
			clear(fields)
		case line[0] == ' ' || line[0] == '\t':
			fields[field] += line
		default:
			name, value, _ := strings.Cut(line, ":")
			field = strings.ToLower(strings.TrimSpace(name))
			fields[field] = value
		}
	}
	return all
}

func sourceOf(fields map[string]string) (source, bool) {
	switch strings.ToLower(strings.TrimSpace(fields["enabled"])) {
	case "no", "false", "without", "off", "disable", "0":
		return source{}, false
	}
	s := source{uris: strings.Fields(fields["uris"])}
	s.sign(fields["signed-by"])
	return s, len(s.uris) > 0
}

// thirdParty makes a SourceFile of those entries that point elsewhere. It
// also reports whether one of them does not say which keys it trusts.
func thirdParty(name string, entries []source) (SourceFile, bool) {
	f, unsigned := SourceFile{Path: name}, false
	for _, s := range entries {
		var foreign []string
		for _, uri := range s.uris {
			if !ownHost(uri) && !slices.ContainsFunc(s.keyrings, ownKeyring) {
				foreign = append(foreign, withoutUser(uri))
			}
		}
		if len(foreign) == 0 {
			continue
		}
		f.URIs = append(f.URIs, foreign...)
		unsigned = unsigned || !s.signed
		for _, k := range s.keyrings {
			f.Keyrings = append(f.Keyrings, strings.TrimPrefix(k, "/"))
		}
	}
	return f, unsigned
}

// withoutUser takes what is before an "@" out of the host of a URI.
func withoutUser(uri string) string {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return uri
	}
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + rest[strings.LastIndexByte(host, '@')+1:]
}

// ownHosts are the distributions' domains.
var ownHosts = [...]string{"debian.org", "ubuntu.com", "turnkeylinux.org"}

func ownHost(uri string) bool {
	if strings.HasPrefix(uri, "cdrom:") {
		return true
	}
	_, rest, ok := strings.Cut(withoutUser(uri), "://")
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	return ok && slices.ContainsFunc(ownHosts[:], func(own string) bool {
		return host == own || strings.HasSuffix(host, "."+own)
	})
}

// ownKeyring reports whether a keyring is one that a distribution's package
// brings for the distribution's archive.
func ownKeyring(path string) bool {
	switch path {
	case "/usr/share/keyrings/debian-archive-keyring.gpg",
		"/usr/share/keyrings/debian-archive-keyring.pgp",
		"/usr/share/keyrings/ubuntu-archive-keyring.gpg":
		return true
	}
	return false
}

// trustedKeyrings returns the keyrings that apt trusts for every source and
// that no installed package ships.
func trustedKeyrings(root string) ([]string, error) {
	owned := func(string) bool { return false }
	b, err := LoadBaseline(root, func(p string) bool { return filepath.Dir(p) == trustedDir })
	switch {
	case err == nil:
		owned = b.Owned
	case !errors.Is(err, fs.ErrNotExist): // a backup's extract has no dpkg
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(root, trustedDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list apt's keyrings: %w", err)
	}
	var names []string
	if st, err := os.Stat(filepath.Join(root, trustedKeys)); err == nil && st.Size() > 0 {
		names = append(names, trustedKeys)
	}
	for _, e := range entries {
		name, ext := trustedDir+"/"+e.Name(), filepath.Ext(e.Name())
		if (ext == ".gpg" || ext == ".asc") && !owned(name) {
			names = append(names, name)
		}
	}
	return names, nil
}
