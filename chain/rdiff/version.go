package rdiff

import (
	"fmt"
	"io"
	"math"
	"sort"
	"sync"
)

const (
	// A Version remembers the place of at most this many commands, 64 KiB.
	maxMarks = 4096

	// Commands, and literals shorter than this, are read in pieces of this
	// many bytes.
	versionBuffer = 4 << 10
)

// A SizedReaderAt is content with a known size, such as a *bytes.Reader, an
// *io.SectionReader or a *Version.
type SizedReaderAt interface {
	io.ReaderAt
	Size() int64
}

// A Version is the content a delta makes of a base, put together when it is
// read. The base may itself be a Version: a chain of deltas needs no file in
// between.
//
// Memory is under 100 KiB, whatever the sizes. A Version may be read by
// several goroutines if its base and delta may; they wait for each other.
type Version struct {
	base SizedReaderAt
	size int64

	mu    sync.Mutex // for what follows
	delta section
	marks marks
	cur   place
	cmd   command // at cur
	next  place   // of the command after cmd
}

// A place is where a command stands, in bytes of the content and of the delta.
type place struct{ content, delta int64 }

// OpenVersion reads the delta that delta holds in its first deltaSize bytes,
// literals excepted, and checks all of it. The errors are those of Patch, and
// one more for a content larger than an int64.
func OpenVersion(base SizedReaderAt, delta io.ReaderAt, deltaSize int64) (*Version, error) {
	v := &Version{base: base, delta: section{r: delta, size: deltaSize}, marks: marks{stride: 1}}
	header, err := v.delta.peek(0, magicLen)
	if err == nil {
		err = checkMagic(header)
	}
	if err != nil {
		return nil, fmt.Errorf("read delta: %w", err)
	}
	if err := v.survey(base.Size()); err != nil {
		return nil, err
	}
	return v, nil
}

// survey checks and marks all commands and leaves the cursor at the first.
func (v *Version) survey(baseSize int64) error {
	v.next.delta = magicLen
	for {
		if err := v.step(); err != nil {
			return err
		}
		if err := v.admit(baseSize); err != nil {
			return fmt.Errorf("read delta: command at byte %d: %w", v.cur.delta, err)
		}
		if v.cmd.kind == kindEnd {
			v.size = v.cur.content
			break
		}
		v.marks.add(v.cur)
	}
	v.next = place{delta: magicLen}
	return v.step()
}

// admit checks the command at the cursor against everything around it.
func (v *Version) admit(baseSize int64) error {
	if v.cmd.length > math.MaxInt64-v.cur.content {
		return fmt.Errorf("%w: the content is larger than any file", ErrCorrupt)
	}
	if v.next.delta > v.delta.size {
		return fmt.Errorf("%w: it ends inside a literal", ErrCorrupt)
	}
	return v.cmd.within(baseSize)
}

// step moves the cursor to the next command.
func (v *Version) step() error {
	at := v.next
	b, err := v.delta.peek(at.delta, maxCommandLen)
	if err != nil {
		return fmt.Errorf("read delta: %w", err)
	}
	c, n, err := parseCommand(b)
	if err != nil {
		return fmt.Errorf("read delta: command at byte %d: %w", at.delta, err)
	}
	v.cur, v.cmd = at, c
	v.next = place{content: at.content + c.length, delta: at.delta + int64(n)}
	if c.kind == kindLiteral {
		v.next.delta += min(c.length, math.MaxInt64-v.next.delta)
	}
	return nil
}

// Size returns the length of the content in bytes.
func (v *Version) Size() int64 { return v.size }

// ReadAt implements io.ReaderAt. Reads that go on where the last one ended
// cost no search.
func (v *Version) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read version: negative offset %d", off)
	}
	if off >= v.size {
		return 0, io.EOF
	}
	want := int(min(int64(len(p)), v.size-off))
	v.mu.Lock()
	defer v.mu.Unlock()
	for n := 0; n < want; {
		if err := v.seek(off + int64(n)); err != nil {
			return n, err
		}
		m, err := v.read(p[n:want], off+int64(n))
		n += m
		if err != nil {
			return n, err
		}
	}
	if want < len(p) {
		return want, io.EOF
	}
	return want, nil
}

// seek moves the cursor to the command that makes the byte at off.
func (v *Version) seek(off int64) error {
	if off < v.cur.content || off >= v.next.content {
		if m := v.marks.before(off); off < v.cur.content || m.content > v.next.content {
			v.next = m
			if err := v.step(); err != nil {
				return err
			}
		}
	}
	for off >= v.next.content {
		if v.cmd.kind == kindEnd {
			return fmt.Errorf("read version: %w: the delta has changed since it was opened", ErrCorrupt)
		}
		if err := v.step(); err != nil {
			return err
		}
	}
	return nil
}

// read fills p from off as far as the command at the cursor goes.
func (v *Version) read(p []byte, off int64) (int, error) {
	p = p[:min(int64(len(p)), v.next.content-off)]
	into := off - v.cur.content
	if v.cmd.kind == kindCopy {
		if err := readFull(v.base, p, v.cmd.start+into); err != nil {
			return 0, fmt.Errorf("read base at byte %d: %w", v.cmd.start+into, err)
		}
		return len(p), nil
	}
	at := v.next.delta - v.cmd.length + into
	if err := v.delta.read(p, at); err != nil {
		return 0, fmt.Errorf("read delta at byte %d: %w", at, err)
	}
	return len(p), nil
}

// marks are the places of every stride-th command.
type marks struct {
	places []place
	stride int64
	count  int64 // of commands
}

func (m *marks) add(p place) {
	if m.count%m.stride == 0 {
		if len(m.places) == maxMarks {
			m.thin()
		}
		m.places = append(m.places, p)
	}
	m.count++
}

// thin drops every second mark. The number of marks is even, so the next
// command is one to mark still.
func (m *marks) thin() {
	for i := range maxMarks / 2 {
		m.places[i] = m.places[2*i]
	}
	m.places = m.places[:maxMarks/2]
	m.stride *= 2
}

// before returns the last mark whose command starts at or before off. The
// first command has a mark and starts at 0.
func (m *marks) before(off int64) place {
	i := sort.Search(len(m.places), func(i int) bool { return m.places[i].content > off })
	return m.places[i-1]
}

// A section reads small pieces of r, mostly in order, through a buffer.
type section struct {
	r    io.ReaderAt
	size int64
	buf  []byte // bytes from off
	off  int64
}

// peek returns the n bytes at off, fewer only if the section ends before.
func (s *section) peek(off int64, n int) ([]byte, error) {
	n = int(max(0, min(int64(n), s.size-off)))
	if off < s.off || off+int64(n) > s.off+int64(len(s.buf)) {
		if err := s.fill(off); err != nil {
			return nil, err
		}
	}
	at := off - s.off
	return s.buf[at : at+int64(n)], nil
}

func (s *section) read(p []byte, off int64) error {
	if len(p) >= versionBuffer {
		return readFull(s.r, p, off)
	}
	b, err := s.peek(off, len(p))
	if err != nil {
		return err
	}
	if copy(p, b) < len(p) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (s *section) fill(off int64) error {
	n := int(max(0, min(versionBuffer, s.size-off)))
	s.buf, s.off = resize(s.buf[:0], n), off
	if err := readFull(s.r, s.buf, off); err != nil {
		s.buf = s.buf[:0]
		return err
	}
	return nil
}
