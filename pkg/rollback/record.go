package rollback

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrDamaged says that lines of a journal are lost which were durable once.
var ErrDamaged = errors.New("rollback journal is damaged")

// A Record is what a restore left to undo it with.
type Record struct {
	dir      string
	started  time.Time
	complete bool
	damaged  bool
	mark     string
	notes    map[string][]string
	old      bool // of a release before this program

	file    *os.File // the journal
	changes []span   // its lines about paths, in order
	void    map[int]bool
}

// A span is where in the journal a line is, its newline included.
type span struct{ start, end int64 }

// read reads the record in exactly that directory.
func read(dir string) (*Record, error) {
	r := &Record{dir: dir, notes: make(map[string][]string), void: make(map[int]bool)}
	f, err := os.Open(filepath.Join(dir, journalFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, r.readOld()
	}
	if err != nil {
		return nil, err
	}
	r.file = f
	if err := r.scan(bufio.NewReaderSize(f, maxLine)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

// maxLine is more than a line with two quoted paths can take, in bytes.
const maxLine = 64 << 10

// scan goes through the journal once. What follows a bad line is what a crash
// left of lines that no change was made after, unless a window line says that
// all before it was durable.
func (r *Record) scan(in *bufio.Reader) error {
	var at int64
	var tail []func() // what lines after a bad one would do
	bad := false
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return fmt.Errorf("read rollback journal: %w", err)
		}
		if len(line) == 0 && err == io.EOF {
			return nil
		}
		where := span{at, at + int64(len(line))}
		at = where.end
		e, lineErr := parseLine(strings.TrimSuffix(string(line), "\n"))
		if err != nil {
			lineErr = errLine // no newline: torn
		}
		switch {
		case lineErr != nil:
			bad = true
		case !bad:
			r.take(e, where)
		default:
			tail = append(tail, func() { r.take(e, where) })
			if e.kind == kindWindow {
				r.damaged, bad = true, false
				for _, f := range tail {
					f()
				}
				tail = nil
			}
		}
	}
}

func (r *Record) take(e *entry, where span) {
	switch e.kind {
	case kindBegin:
		r.started, r.mark = time.Unix(e.time.Unix()), e.path
	case kindComplete:
		r.complete = true
	case kindNote:
		r.notes[e.label] = append(r.notes[e.label], e.path)
	case kindVoid:
		r.void[e.void] = true
	case kindWindow:
	default:
		r.changes = append(r.changes, where)
	}
}

// entry reads a line again.
func (r *Record) entry(at span) (*entry, error) {
	line := make([]byte, at.end-at.start)
	if _, err := r.file.ReadAt(line, at.start); err != nil {
		return nil, fmt.Errorf("read rollback journal: %w", err)
	}
	return parseLine(strings.TrimSuffix(string(line), "\n"))
}

// Dir returns the record's directory.
func (r *Record) Dir() string { return r.dir }

// Started returns when the restore began.
func (r *Record) Started() time.Time { return r.started }

// Complete reports whether the restore came to its end. Records of earlier
// releases do not tell and count as complete.
func (r *Record) Complete() bool { return r.complete || r.old }

// Notes returns the names recorded under a kind, in the order of recording.
func (r *Record) Notes(kind string) []string { return r.notes[kind] }

// Empty reports whether there is nothing to undo.
func (r *Record) Empty() bool {
	if r.damaged || len(r.changes) > 0 || len(r.notes) > 0 || r.old && !r.oldEmpty() {
		return false
	}
	for _, name := range []string{MyFS, PgFS} {
		if _, err := os.Lstat(filepath.Join(r.dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// Close releases the record, which stays.
func (r *Record) Close() {
	if r.file != nil {
		r.file.Close() // only read
	}
}

// Remove removes the record, because everything in it is undone or not wanted
// any more. Records that were put aside for it stay: the next Open finds the
// newest of those.
func (r *Record) Remove() error {
	r.Close()
	err := errors.Join(removeTree(r.dir+ending), discard(r.dir))
	if err != nil {
		return fmt.Errorf("remove rollback record %q: %w", r.dir, err)
	}
	return nil
}
