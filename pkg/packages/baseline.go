package packages

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"tklbam/chain/archive"
)

// An Answer says what a file is to the package manager.
type Answer uint8

const (
	// Foreign is a file that no installed package shipped.
	Foreign Answer = iota
	// Shipped is a file as its package shipped it.
	Shipped
	// Generated is a file that packages make when they are installed and
	// that holds nothing of a user's; see Baseline.
	Generated
	// Metadata is a file whose content is as with Shipped or Generated, but
	// whose owner or permissions are not what files have by default. dpkg
	// does not record what a package shipped there, so they may be the
	// package's or an administrator's. Where somebody gave a file that was
	// shipped with other ones the default, nothing tells.
	Metadata
	// Changed is a file that a package shipped and that now differs, or that
	// cannot be compared because dpkg does not record what it was.
	Changed
)

// String returns the answer in the words of a report.
func (a Answer) String() string {
	switch a {
	case Foreign:
		return "of no package"
	case Shipped:
		return "as shipped"
	case Generated:
		return "generated"
	case Metadata:
		return "owner or mode may differ"
	case Changed:
		return "changed since shipped"
	}
	return "unknown answer"
}

// A Baseline is the state of a machine as its packages made it: for a path,
// what was shipped there. It takes the place of a profile's index. Packages
// that were removed but not purged are none of it.
//
// What dpkg records decides: the conffiles' sums in its status, the other
// files' in md5sums, and lists of paths with neither type nor content. A
// directory is as shipped if a list has it, a symlink only if it leads to a
// file of the same name in the same package, a file without a sum never.
//
// Generated files have to meet a rule that leaves nothing of a user's out;
// what is in doubt is Foreign or Changed:
//
//   - /etc/ld.so.cache; /etc/.pwd.lock and files in /etc/apparmor.d/local if
//     empty; /etc/mtab if it is a link to the kernel's table
//   - /etc/profile and its like (see copies), if they equal the template of
//     their package
//   - files registered with ucf whose content is the maintainer's last
//     version and at the same time that of a file some package ships, which
//     leaves out those that scripts fill in, with passwords for example
//   - *.dpkg-dist and *.dpkg-new beside a conffile, if they are the shipped
//     version
//   - links of update-alternatives in automatic mode, to the best choice,
//     which a package ships
//   - links in /etc/ssl/certs to certificates that ca-certificates ships, and
//     their bundle if it holds those and no other
//   - links in /etc/rc?.d that start or kill a script as the script's header
//     says, if a package ships the script and it is unchanged
//   - links below /etc/systemd that deb-systemd-helper made on installation,
//     to a unit of a package, if no preset disables it: then an
//     administrator may have enabled it
//
// A Baseline may be used by several goroutines at once.
type Baseline struct {
	root       string
	files      map[string]shipped
	links      map[string]link     // symlinks that are what they should be
	expected   map[string][]Sum    // of files that are copies of shipped ones
	overridden map[string]bool     // by dpkg-statoverride
	absent     map[string]struct{} // see Deleted
}

// shipped is what the lists say of a path.
type shipped struct {
	sum  Sum
	kind kind
}

type kind uint8

const (
	isListed    kind = iota
	isFile           // there was a sum
	isAmbiguous      // there were different ones
	isDirectory      // there are paths below it
)

// A link is the text a symlink may have and the answer it gets then.
type link struct {
	text   string
	answer Answer
}

// LoadBaseline reads dpkg's database below root. Of the paths, which have no
// leading slash, only those are kept that keep accepts: it costs some 130
// bytes for each.
func LoadBaseline(root string, keep func(path string) bool) (*Baseline, error) {
	all, err := Read(root)
	if err != nil {
		return nil, err
	}
	l, err := newLoader(root, keep)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if !all[i].Unpacked() {
			continue
		}
		if err := l.add(&all[i]); err != nil {
			return nil, err
		}
	}
	if err := l.finish(); err != nil {
		return nil, err
	}
	return l.b, nil
}

// Compare says what the file e, whose path has no leading slash, is to the
// package manager. It calls open at most once, for a regular file whose
// content must be compared.
func (b *Baseline) Compare(e *archive.Entry, open func() (io.ReadCloser, error)) (Answer, error) {
	s, listed := b.files[e.Path]
	unproven := Foreign
	if listed {
		unproven = Changed
	}
	switch e.Type {
	case archive.Symlink:
		if l, ok := b.links[e.Path]; ok && l.text == e.Linkname {
			return l.answer, nil
		}
	case archive.Directory:
		if listed && (s.kind == isListed || s.kind == isDirectory) {
			return b.plain(e, Shipped, 0o755), nil
		}
	case archive.Regular:
		return b.compareFile(e, s, unproven, open)
	}
	return unproven, nil
}

// compareFile answers for a regular file.
func (b *Baseline) compareFile(e *archive.Entry, s shipped, unproven Answer, open func() (io.ReadCloser, error)) (Answer, error) {
	if meaningless(e) {
		return Generated, nil
	}
	expected := b.generatedSums(e.Path)
	switch {
	case e.Path == bundlePath:
		same, err := b.sameCertificates(open)
		if err != nil || !same {
			return unproven, err
		}
		return b.plain(e, Generated, 0o644), nil
	case s.kind != isFile && len(expected) == 0:
		return unproven, nil
	}
	sum, mode, err := sumOf(e.Path, open)
	switch {
	case err != nil:
		return unproven, err
	case s.kind == isFile && sum == s.sum:
		return b.plain(e, Shipped, mode), nil
	case slices.Contains(expected, sum):
		return b.plain(e, Generated, mode), nil
	}
	return unproven, nil
}

// plain is answer if root owns e, it has the given permissions and no
// statoverride was registered for it, else Metadata.
func (b *Baseline) plain(e *archive.Entry, answer Answer, mode uint32) Answer {
	if e.UID == 0 && e.GID == 0 && e.Mode == mode && !b.overridden[e.Path] {
		return answer
	}
	return Metadata
}

// sumOf reads a file and also returns the permissions that files with such
// content are shipped with: for scripts and programs they include execution.
// An administrator may have taken it away to keep a script from running.
func sumOf(path string, open func() (io.ReadCloser, error)) (Sum, uint32, error) {
	f, err := open()
	if err != nil {
		return Sum{}, 0, fmt.Errorf("open %q: %w", path, err)
	}
	defer f.Close()
	start := make([]byte, 4)
	n, err := io.ReadFull(f, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return Sum{}, 0, fmt.Errorf("read %q: %w", path, err)
	}
	h := md5.New()
	h.Write(start[:n])
	if _, err := io.Copy(h, f); err != nil {
		return Sum{}, 0, fmt.Errorf("read %q: %w", path, err)
	}
	mode := uint32(0o644)
	if bytes.HasPrefix(start, []byte("#!")) || bytes.Equal(start, []byte("\x7fELF")) {
		mode = 0o755
	}
	return Sum(h.Sum(nil)), mode, nil
}

// Paths returns what the baseline has, sorted: the paths that installed
// packages shipped, and those of Deleted.
func (b *Baseline) Paths() []string {
	all := slices.Collect(maps.Keys(b.files))
	for path := range b.absent {
		if !b.Owned(path) {
			all = append(all, path)
		}
	}
	slices.Sort(all)
	return all
}

// Owned reports whether an installed package shipped the path.
func (b *Baseline) Owned(path string) bool {
	_, ok := b.files[path]
	return ok
}

// Deleted returns the paths, sorted, that packages put on the disk and that
// somebody removed since: conffiles, whose absence dpkg preserves, and the
// links that deb-systemd-helper made to enable a unit that is still there.
func (b *Baseline) Deleted() ([]string, error) {
	var gone []string
	for _, path := range slices.Sorted(maps.Keys(b.absent)) {
		_, err := os.Lstat(filepath.Join(b.root, path))
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			gone = append(gone, path)
		case err != nil:
			return nil, fmt.Errorf("look for a shipped file: %w", err)
		}
	}
	return gone, nil
}

// open opens a file below the root for a comparison.
func (b *Baseline) open(path string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(filepath.Join(b.root, path)) }
}

// unchanged reports whether the file below the root has the content that its
// package shipped there.
func (b *Baseline) unchanged(path string) bool {
	s := b.files[path]
	if s.kind != isFile {
		return false
	}
	sum, _, err := sumOf(path, b.open(path))
	return err == nil && sum == s.sum
}
