package livefs

import (
	"fmt"

	"golang.org/x/sys/unix"

	"tklbam/pkg/sysfs"
)

// A SyncSet collects the file systems that were written to. The zero value is
// empty.
type SyncSet struct{ dirs map[uint64]int }

// Add takes in the file system of the directory that dir is a descriptor of.
func (s *SyncSet) Add(dir int) error {
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return fmt.Errorf("stat a directory: %w", err)
	}
	if _, ok := s.dirs[st.Dev]; ok {
		return nil
	}
	fd, err := sysfs.OpenRead(dir, ".", unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("open a directory to sync it: %w", err)
	}
	if s.dirs == nil {
		s.dirs = make(map[uint64]int)
	}
	s.dirs[st.Dev] = fd
	return nil
}

// Sync waits until all that was written to those file systems is stored.
func (s *SyncSet) Sync(c Calls) error {
	for _, fd := range s.dirs {
		if err := c.step("sync", func() error { return unix.Syncfs(fd) }); err != nil {
			return fmt.Errorf("sync a file system: %w", err)
		}
	}
	return nil
}

// Close empties the set.
func (s *SyncSet) Close() {
	for _, fd := range s.dirs {
		unix.Close(fd)
	}
	s.dirs = nil
}
