package packages

import (
	"bufio"
	"bytes"
	"fmt"
	"path"
	"path/filepath"
	"strings"
)

// A loader fills a Baseline package by package.
type loader struct {
	b     *Baseline
	admin admin
	res   *resolver
	div   diversions
	keep  func(path string) bool

	rules   rules
	support map[string]bool // paths that rules ask for besides those kept

	// Of the package being added, to be used again for the next one.
	mine    map[string]string // path as shipped -> path on disk, if wanted
	targets map[string]string // target of a listed symlink -> the symlink
}

func newLoader(root string, keep func(string) bool) (*loader, error) {
	l := &loader{
		b: &Baseline{
			root:       root,
			files:      map[string]shipped{},
			links:      map[string]link{},
			expected:   map[string][]Sum{},
			overridden: map[string]bool{},
			absent:     map[string]struct{}{},
		},
		admin:   admin(filepath.Join(root, adminDir)),
		res:     newResolver(root),
		keep:    keep,
		support: map[string]bool{},
		mine:    map[string]string{},
		targets: map[string]string{},
	}
	if err := l.readPaths(); err != nil {
		return nil, err
	}
	return l, l.readRules()
}

// readPaths reads what administrators and packages told dpkg to do with
// single paths.
func (l *loader) readPaths() error {
	text, err := l.admin.read("diversions")
	if err != nil {
		return err
	}
	if l.div, err = parseDiversions(string(text)); err != nil {
		return err
	}
	text, err = l.admin.read("statoverride")
	for line := range strings.Lines(string(text)) {
		// user, group, mode and path; only the path may have spaces
		if words := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4); len(words) == 4 {
			l.b.overridden[l.res.path(strings.TrimPrefix(words[3], "/"))] = true
		}
	}
	return err
}

// supporting are directories that rules look into.
var supporting = [...]string{certificateDir + "/", "etc/init.d/"}

func (l *loader) wants(p string) bool {
	if l.keep(p) || l.support[p] {
		return true
	}
	for _, dir := range supporting {
		if strings.HasPrefix(p, dir) {
			return true
		}
	}
	return false
}

// add takes over what p shipped.
func (l *loader) add(p *Package) error {
	clear(l.mine)
	clear(l.targets)
	l.rules.installed[p.Name] = true
	if err := l.addList(p); err != nil {
		return err
	}
	if err := l.addSums(p); err != nil {
		return err
	}
	for _, c := range p.Conffiles {
		l.addConffile(p, c)
	}
	return l.addLinks(p)
}

// info returns the name of one of p's files in the database. Those of
// packages that may be installed for several architectures carry it.
func info(p *Package, suffix string) string {
	if p.SameName {
		return "info/" + p.Name + ":" + p.Architecture + suffix
	}
	return "info/" + p.Name + suffix
}

// place returns where a path that p ships lies on the disk.
func (l *loader) place(p *Package, shipped string) string {
	return l.res.path(l.div.path(shipped, p.Name))
}

// addList takes the list of the paths that p shipped.
func (l *loader) addList(p *Package) error {
	return l.eachListed(p, func(name string) {
		place := l.place(p, name)
		l.parent(place)
		if !l.wants(place) {
			return
		}
		l.mine[name] = place
		if _, ok := l.b.files[place]; !ok {
			l.b.files[place] = shipped{}
		}
	})
}

// eachListed calls f with the paths in p's list, which are absolute there,
// one per line, directories included and before what they hold.
func (l *loader) eachListed(p *Package, f func(name string)) error {
	text, err := l.admin.read(info(p, ".list"))
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		name := bytes.TrimPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("/"))
		if len(name) > 0 && string(name) != "." {
			f(string(name))
		}
	}
	return nil
}

// parent notes that the path lies in a directory.
func (l *loader) parent(p string) {
	dir := path.Dir(p)
	if s, ok := l.b.files[dir]; ok && s.kind == isListed {
		s.kind = isDirectory
		l.b.files[dir] = s
	}
}

// addLinks looks for the targets of p's symlinks among p's other paths.
func (l *loader) addLinks(p *Package) error {
	for _, place := range l.mine {
		if l.b.files[place].kind != isListed {
			continue
		}
		if text, ok := l.res.link(place); ok {
			l.targets[l.res.target(place, text)] = place
		}
	}
	if len(l.targets) == 0 {
		return nil
	}
	return l.eachListed(p, func(name string) {
		place := l.place(p, name)
		from, ok := l.targets[place]
		if ok && from != place && path.Base(from) == path.Base(place) {
			l.prove(from, Shipped, func(string) bool { return true })
		}
	})
}

// prove reads the symlink at p and, if what it leads to holds, notes that
// the answer for it is known.
func (l *loader) prove(p string, answer Answer, holds func(target string) bool) {
	text, ok := l.res.link(p)
	if ok && l.keep(p) && holds(l.res.target(p, text)) {
		l.b.links[p] = link{text, answer}
	}
}

// addSums reads the sums of p's files other than conffiles: "sum  path", the
// path without a leading slash. Sums of files that dpkg took from p's list,
// because another package replaced them, do not count.
func (l *loader) addSums(p *Package) error {
	f, err := l.admin.open(info(p, ".md5sums"))
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		digest, name, _ := bytes.Cut(lines.Bytes(), []byte("  "))
		l.rules.sawSum(digest)
		if place, ok := l.mine[string(name)]; ok {
			l.setSum(place, parseSum(string(digest)))
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read sums of package %q: %w", p.Name, err)
	}
	return nil
}

// addConffile takes a conffile that p still ships; others are left to be
// listed without a sum.
func (l *loader) addConffile(p *Package, c Conffile) {
	place := l.place(p, strings.TrimPrefix(c.Path, "/"))
	if c.Obsolete || c.Removed || c.Sum == (Sum{}) || !l.wants(place) {
		return
	}
	l.setSum(place, c.Sum)
	if l.keep(place) {
		l.b.absent[place] = struct{}{}
	}
}

// setSum notes the sum of a file. A path that two packages ship with
// different content has none.
func (l *loader) setSum(place string, sum Sum) {
	old := l.b.files[place]
	switch {
	case sum == Sum{} || old.kind == isAmbiguous:
	case old.kind == isFile && old.sum != sum:
		l.b.files[place] = shipped{kind: isAmbiguous}
	default:
		l.b.files[place] = shipped{sum: sum, kind: isFile}
	}
}
