package overlay

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"tklbam/pkg/sysfs"
)

// A Space is what a plan takes of one file system.
type Space struct {
	Path        string // a directory on it: of the plan, or that of the record
	Bytes, Free int64  // to be written, and available
	Inodes      uint64
	FreeInodes  uint64 // 0 on file systems that do not count them
}

// Short reports whether there is too little of it.
func (s Space) Short() bool {
	return s.Bytes > s.Free || s.FreeInodes > 0 && s.Inodes > s.FreeInodes
}

// Need returns what a plan takes, by file system, and changes nothing. Files
// that can be moved out of the extract take nothing; others what they occupy
// there. Nothing is gained by what is displaced: record, the directory of the
// rollback record or "" if there is none, keeps it, and takes a copy of what
// lies on another file system than itself. Of directories displaced only
// their own entry counts, and paths that Apply will refuse count nothing.
func Need(plan []Action, opts Options, record string) ([]Space, error) {
	quiet := opts
	quiet.Reporter, quiet.Fault = nil, nil
	a, err := newApplier(quiet)
	if err != nil {
		return nil, err
	}
	defer a.close()
	n := tally{applier: a, spaces: make(map[uint64]*Space)}
	if record != "" {
		var st unix.Stat_t
		if err := unix.Stat(record, &st); err != nil {
			return nil, fmt.Errorf("stat %q: %w", record, err)
		}
		var free unix.Statfs_t
		if err := unix.Statfs(record, &free); err != nil {
			return nil, fmt.Errorf("find the space at %q: %w", record, err)
		}
		n.recorded, n.spaces[st.Dev] = st.Dev, spaceOf(record, &free)
	}
	for _, act := range plan {
		if err := n.add(act); err != nil {
			return nil, err
		}
	}
	return n.list(), nil
}

type tally struct {
	*applier
	spaces   map[uint64]*Space
	recorded uint64 // device of the record, 0 if there is none
}

// blockSize is what a file takes beyond its content, at least.
const blockSize = 4096

func (n *tally) add(act Action) error {
	s := step{Action: act}
	now, err := n.find(&s)
	if err != nil || n.check(&s, now) != nil {
		return nil // Apply says why
	}
	dir, err := n.nearest(s.real)
	if err != nil {
		return err
	}
	dest := n.spaces[dir]
	switch act.Op {
	case OpPut:
		st, err := n.source(&s)
		if err != nil {
			return nil
		}
		if !n.opts.Consume || st.Dev != dir {
			dest.add(st.Blocks*512 + blockSize)
		}
	case OpPutBytes:
		dest.add(int64(len(act.Data)) + blockSize)
	case OpMakeDir:
		if now == nil {
			dest.add(blockSize)
		}
	}
	if n.recorded != 0 && now != nil && dir != n.recorded && s.displaces() {
		n.spaces[n.recorded].add(now.Blocks*512 + blockSize)
	}
	return nil
}

// nearest returns the device of the lowest directory there is on the way to a
// path, and takes it into spaces.
func (n *tally) nearest(real string) (uint64, error) {
	for {
		real, _ = sysfs.Split(real)
		fd, err := n.live.Dir(real)
		if sysfs.Gone(err) && real != "" {
			continue
		}
		if err != nil {
			return 0, err
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return 0, fmt.Errorf("stat %q: %w", real, err)
		}
		if n.spaces[st.Dev] == nil {
			var free unix.Statfs_t
			if err := unix.Fstatfs(fd, &free); err != nil {
				return 0, fmt.Errorf("find the space at %q: %w", real, err)
			}
			n.spaces[st.Dev] = spaceOf("/"+real, &free)
		}
		return st.Dev, nil
	}
}

func spaceOf(path string, free *unix.Statfs_t) *Space {
	return &Space{Path: path, Free: int64(free.Bavail) * free.Frsize, FreeInodes: free.Ffree}
}

func (s *Space) add(size int64) {
	s.Bytes += size
	s.Inodes++
}

// list returns what is needed, the largest first.
func (n *tally) list() []Space {
	var list []Space
	for _, s := range n.spaces {
		if s.Bytes > 0 {
			list = append(list, *s)
		}
	}
	slices.SortFunc(list, func(a, b Space) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Path, b.Path))
	})
	return list
}
