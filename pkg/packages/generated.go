package packages

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"tklbam/chain/archive"
)

// copies are files that a package's script copies from the package's own
// template and leaves alone afterwards.
var copies = [...]struct{ path, template string }{
	{"etc/inputrc", "usr/share/readline/inputrc"},
	{"etc/motd", "usr/share/base-files/motd"},
	{"etc/nsswitch.conf", "usr/share/base-files/nsswitch.conf"},
	{"etc/nsswitch.conf", "usr/share/libc-bin/nsswitch.conf"},
	{"etc/profile", "usr/share/base-files/profile"},
	{"root/.bashrc", "usr/share/base-files/dot.bashrc"},
	{"root/.profile", "usr/share/base-files/dot.profile"},
}

// rules is what the rules for generated files know before the packages are
// read, and collect while they are.
type rules struct {
	alternatives []alternative
	units        []unitLink
	presets      []string            // patterns of units that are disabled
	ucf          map[string][]string // hexadecimal sum -> registered paths
	owners       map[string]string   // registered path -> package
	verbatim     map[string]bool     // keys of ucf that are the sum of a shipped file
	installed    map[string]bool
}

// sawSum takes the sum of every file of every package, in hexadecimal.
func (r *rules) sawSum(digest []byte) {
	if _, ok := r.ucf[string(digest)]; ok {
		r.verbatim[string(digest)] = true
	}
}

// meaningless reports whether a regular file holds nothing of anybody's.
func meaningless(e *archive.Entry) bool {
	switch {
	case e.Path == "etc/ld.so.cache":
		return true
	case e.Path == "etc/.pwd.lock", path.Dir(e.Path) == "etc/apparmor.d/local":
		return e.Size == 0
	}
	return false
}

// generatedSums returns the sums one of which a generated file has.
func (b *Baseline) generatedSums(p string) []Sum {
	for _, suffix := range []string{".dpkg-dist", ".dpkg-new"} {
		base, ok := strings.CutSuffix(p, suffix)
		if s := b.files[base]; ok && s.kind == isFile {
			return []Sum{s.sum}
		}
	}
	return b.expected[p]
}

// readRules prepares the rules and notes which paths they will ask about.
func (l *loader) readRules() error {
	l.rules.verbatim, l.rules.installed = map[string]bool{}, map[string]bool{}
	for _, c := range copies {
		l.support[c.template] = true
	}
	return errors.Join(l.readUCF(), l.readAlternatives(), l.readUnits())
}

// finish applies the rules, once all packages were added.
func (l *loader) finish() error {
	for _, c := range copies {
		if s := l.b.files[c.template]; s.kind == isFile {
			l.b.expected[c.path] = append(l.b.expected[c.path], s.sum)
		}
	}
	if text, ok := l.res.link("etc/mtab"); ok && l.keep("etc/mtab") {
		if t := within("etc", text); t == "proc/mounts" || t == "proc/self/mounts" {
			l.b.links["etc/mtab"] = link{text, Generated}
		}
	}
	l.expectUCF()
	l.proveAlternatives()
	l.proveUnits()
	return errors.Join(l.proveCertificates(), l.proveRunlevels())
}

// readUCF reads what ucf(1) keeps of the files it looks after: in hashfile
// the sum of the version the maintainer provided last, in registry the
// package, each before the path.
func (l *loader) readUCF() error {
	sums, err := l.pairs("var/lib/ucf/hashfile")
	if err != nil {
		return err
	}
	l.rules.ucf = map[string][]string{}
	for p, digest := range sums {
		l.rules.ucf[digest] = append(l.rules.ucf[digest], p)
	}
	l.rules.owners, err = l.pairs("var/lib/ucf/registry")
	return err
}

// pairs reads lines of a word and a path below the root; it returns the words
// by path.
func (l *loader) pairs(name string) (map[string]string, error) {
	text, err := admin(l.b.root).read(name)
	words := map[string]string{}
	for line := range strings.Lines(string(text)) {
		word, p, ok := strings.Cut(strings.TrimSpace(line), " ")
		if p = strings.TrimLeft(p, " \t"); ok && strings.HasPrefix(p, "/") {
			words[p] = word
		}
	}
	return words, err
}

func (l *loader) expectUCF() {
	for digest := range l.rules.verbatim {
		for _, p := range l.rules.ucf[digest] {
			if l.rules.installed[l.rules.owners[p]] {
				place := l.res.path(strings.TrimPrefix(p, "/"))
				l.b.expected[place] = append(l.b.expected[place], parseSum(digest))
			}
		}
	}
}

// names lists a directory below the root; an absent one is empty.
func (l *loader) names(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(l.b.root, dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list %q: %w", dir, err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// hasFile reports whether a package shipped a file at the path, which must
// be among those kept or asked for by a rule.
func (b *Baseline) hasFile(p string) bool {
	s, ok := b.files[p]
	return ok && s.kind != isDirectory
}
