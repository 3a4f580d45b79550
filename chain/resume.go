package chain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// open takes up the journal of an interrupted session, or starts one.
func (s *session) open(ctx context.Context) error {
	if err := s.takeUp(ctx); err != nil {
		return err
	}
	if s.journal == nil {
		if err := s.start(); err != nil {
			return fmt.Errorf("start session: %w", err)
		}
	}
	return s.openSpools()
}

// takeUp goes on with an interrupted session if it is the one this would be:
// of the same tree, on the same chain, under the same secret. Volumes that
// the target does not have as the journal says are made again.
func (s *session) takeUp(ctx context.Context) error {
	j, err := openJournal(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if finished(s.coll, j.session.End) {
		return errors.Join(j.Close(), j.remove()) // it was killed after its manifest was stored
	}
	if why := s.differs(j); why != "" {
		s.report.Note("the interrupted session of " + j.session.End.Format(time.RFC3339) + " is given up: " + why)
		err := s.discard(ctx, j.volumes)
		return errors.Join(err, j.Close(), j.remove())
	}
	s.name.End, s.journal, s.sum.Resumed = j.session.End, j, true
	return s.keep(ctx, s.stored(ctx, j))
}

// keep drops the volumes after the first n of the session, here and in the
// target.
func (s *session) keep(ctx context.Context, n int) error {
	dropped := s.journal.volumes[n:]
	if err := s.journal.keep(n); err != nil {
		return err
	}
	return s.discard(ctx, dropped)
}

// differs says why an interrupted session can't be gone on with, "" if it can.
func (s *session) differs(j *journal) string {
	is := j.session
	var start time.Time
	if len(s.chain) > 0 {
		start = s.chain[len(s.chain)-1].End
	}
	switch {
	case s.NoResume:
		return "resuming is disabled"
	case is.Full != s.name.Full:
		return "the next backup is of another kind"
	case string(is.Localdir) != s.Localdir:
		return "it was of " + string(is.Localdir)
	case is.Suffix != s.name.Suffix:
		return "it has another encryption"
	case !is.Start.Equal(start):
		return "the chain has changed since"
	case checkSealed(s.opener, bytes.NewReader(is.Check), s.enc) != nil:
		return "it has another secret"
	}
	return ""
}

// stored counts the leading volumes of a journal that the target has. A
// volume is journaled before it appears, so the last ones are compared with
// their hashes: what lies under their names could be older.
func (s *session) stored(ctx context.Context, j *journal) int {
	set := unfinished(s.coll, j.session.End)
	for i, v := range j.volumes {
		file, ok := set.Volume(v.Volume.Number)
		if !ok || file.File.Name != v.Name || file.File.Size != v.Size {
			return i
		}
		if i < len(j.volumes)-inFlight {
			continue
		}
		f := fetchVolume(ctx, s.Store, s.dir, v.Volume.volume(), set)
		f.close()
		if f.err != nil || f.damaged != nil {
			return i
		}
	}
	return len(j.volumes)
}

// discard removes volumes that nothing uses from the target.
func (s *session) discard(ctx context.Context, volumes []journalVolume) error {
	for _, v := range volumes {
		if err := s.remove(ctx, v.Name); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) start() error {
	var check bytes.Buffer
	err := s.seal(&check, s.enc, copyFrom([]byte("tklbam")))
	if err != nil {
		return err
	}
	s.journal, err = createJournal(s.dir, journalSession{
		Full: s.name.Full, Start: s.name.Start, End: s.name.End,
		Suffix: s.name.Suffix, Localdir: []byte(s.Localdir), Check: check.Bytes(),
	})
	return err
}

func (s *session) openSpools() (err error) {
	m := s.journal.mark()
	if s.layer, err = openSpool(filepath.Join(s.dir, layerName), m.Index); err != nil {
		return err
	}
	if s.sigs, err = openSpool(filepath.Join(s.dir, signaturesName), m.Signatures); err != nil {
		s.layer.Close()
		return err
	}
	s.refresh = filepath.Join(s.dir, "refresh")
	return nil
}

// rollBack takes the session back to where it had not yet begun the file it
// was interrupted in, for that has changed since.
func (s *session) rollBack(ctx context.Context) error {
	path := string(s.journal.mark().Path)
	n := len(s.journal.volumes)
	for n > 0 && s.journal.volumes[n-1].Mark.Piece > 0 && string(s.journal.volumes[n-1].Mark.Path) == path {
		n--
	}
	s.report.Note(fmt.Sprintf("%q changed since the interruption: %d volumes are made again", path, len(s.journal.volumes)-n))
	if err := s.keep(ctx, n); err != nil {
		return err
	}
	m := s.journal.mark()
	return errors.Join(s.layer.truncate(m.Index), s.sigs.truncate(m.Signatures))
}
