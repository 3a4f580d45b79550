package restore

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tklbam/pkg/extras"
	"tklbam/pkg/packages"
	"tklbam/pkg/rollback"
	"tklbam/pkg/sysfs"
)

// beforeDir, in a rollback record, is a record of its own: of the files that
// installing packages, and purging them, may change. A rollback undoes it last.
const beforeDir = "before-packages"

// A before records what was there before packages were installed. The nil one
// records nothing.
type before struct {
	s       *System
	root    *sysfs.Root
	journal *rollback.Journal
	began   time.Time
}

// beforePackages records the user database, which packages add to.
func (s *System) beforePackages() (*before, error) {
	if s.Journal == nil {
		return nil, nil
	}
	root, err := sysfs.Open(s.Root)
	if err != nil {
		return nil, err
	}
	b := &before{s: s, root: root, began: time.Now()}
	b.journal, err = rollback.Begin(filepath.Join(s.Journal.Dir(), beforeDir), rollback.Options{Root: s.Root, Now: s.Now, Copy: true, Fault: s.Fault})
	if err != nil {
		root.Close()
		return nil, err
	}
	for _, path := range extras.UserFiles() {
		for _, path := range []string{path, path + "-"} {
			if err := b.journal.Preserve(root, strings.TrimPrefix(path, "/")); err != nil {
				return nil, errors.Join(err, b.close(nil))
			}
		}
	}
	return b, nil
}

// close records, of the packages that were installed, the configuration files
// that were there before: to purge the packages would remove them.
func (b *before) close(installed []string) error {
	if b == nil {
		return nil
	}
	defer b.root.Close()
	err := b.conffiles(installed)
	return errors.Join(err, b.journal.Complete(), b.journal.Close())
}

func (b *before) conffiles(installed []string) error {
	if len(installed) == 0 {
		return nil
	}
	all, err := packages.Read(b.s.Root)
	if err != nil {
		return err
	}
	for i := range all {
		p := &all[i]
		if !slices.Contains(installed, p.Name) && !slices.Contains(installed, p.Name+":"+p.Architecture) {
			continue
		}
		for _, c := range p.Conffiles {
			if err := b.conffile(c.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

// conffile keeps one that dpkg left alone, as it does with those it finds.
func (b *before) conffile(path string) error {
	path = strings.TrimPrefix(path, "/")
	var st unix.Stat_t
	dir, name, err := b.root.Parent(path)
	if err == nil {
		err = sysfs.Lstatat(dir, name, &st)
	}
	switch {
	case sysfs.Gone(err):
		return nil
	case err != nil:
		return fmt.Errorf("look for configuration files that were there before: %w", err)
	case !time.Unix(st.Ctim.Unix()).Before(b.began):
		return nil
	}
	return b.journal.Preserve(b.root, path)
}
