package chain

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tklbam/chain/manifest"
)

// A journal is what a session leaves on disk to be gone on with after it was
// interrupted: one line for the session, then one for each volume, written
// before the volume appears in the target. Beside it lie the layer of the
// session and its signatures, durable up to the mark of every volume listed.
//
// A crash leaves either no journal, or one whose last line may be cut off and
// whose last volume may be missing in the target; both are dropped on
// reading. What follows the last mark in the spools is cut off.
type journal struct {
	dir     string
	file    *os.File
	session journalSession
	volumes []journalVolume
}

// A journalSession identifies the session: only the same one is gone on with.
type journalSession struct {
	Version  int
	Full     bool
	Start    time.Time // end of the set before, of an incremental
	Full0    time.Time // of the chain
	End      time.Time
	Suffix   string
	Localdir []byte
	Check    []byte // sealed with the session's secret
}

// A journalVolume is a volume with the mark after it. Paths are kept as bytes:
// JSON would not keep names that are not UTF-8.
type journalVolume struct {
	Volume journalInfo
	Name   string
	Size   int64
	Mark   mark
}

type journalInfo struct {
	Number               int
	StartPath, EndPath   []byte
	StartPiece, EndPiece int
	Hashes               []manifest.Hash
}

func fromVolume(v manifest.Volume) journalInfo {
	return journalInfo{v.Number, []byte(v.Start.Path), []byte(v.End.Path), v.Start.Piece, v.End.Piece, v.Hashes}
}

func (i journalInfo) volume() manifest.Volume {
	return manifest.Volume{
		Number: i.Number,
		Start:  manifest.Position{Path: string(i.StartPath), Piece: i.StartPiece},
		End:    manifest.Position{Path: string(i.EndPath), Piece: i.EndPiece},
		Hashes: i.Hashes,
	}
}

const (
	journalVersion = 1
	journalName    = "journal"
	layerName      = "layer"
	signaturesName = "signatures"
)

// sessionDir is where an unfinished session keeps its journal.
func sessionDir(cache string) string { return filepath.Join(cache, "session") }

// createJournal starts a journal for a new session, replacing any other.
func createJournal(dir string, s journalSession) (*journal, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, journalName), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	s.Version = journalVersion
	j := &journal{dir: dir, file: f, session: s}
	return j, j.line(s)
}

// openJournal reads the journal of an interrupted session; fs.ErrNotExist
// when there is none that can be gone on with.
func openJournal(dir string) (*journal, error) {
	f, err := os.OpenFile(filepath.Join(dir, journalName), os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{dir: dir, file: f}
	if err := j.read(); err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

func (j *journal) read() error {
	r := bufio.NewReader(j.file)
	good := int64(0)
	for n := 0; ; n++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // a line without its end was being written
		}
		if err != nil {
			return err
		}
		if n == 0 {
			err = json.Unmarshal(line, &j.session)
		} else {
			var v journalVolume
			err = json.Unmarshal(line, &v)
			j.volumes = append(j.volumes, v)
		}
		if err != nil {
			return fmt.Errorf("read journal of the interrupted session: %w", err)
		}
		good += int64(len(line))
	}
	if j.session.Version != journalVersion {
		return fs.ErrNotExist
	}
	return j.cutAt(good)
}

func (j *journal) cutAt(size int64) error {
	if err := j.file.Truncate(size); err != nil {
		return err
	}
	_, err := j.file.Seek(size, io.SeekStart)
	return err
}

// keep drops all volumes but the first n.
func (j *journal) keep(n int) error {
	j.volumes = j.volumes[:n]
	if err := j.cutAt(0); err != nil {
		return err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	if err := enc.Encode(j.session); err != nil {
		return err
	}
	for _, v := range j.volumes {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	if _, err := j.file.Write(b.Bytes()); err != nil {
		return err
	}
	return j.file.Sync()
}

// add notes a volume that is about to appear in the target.
func (j *journal) add(v journalVolume) error {
	j.volumes = append(j.volumes, v)
	return j.line(v)
}

func (j *journal) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append(b, '\n')); err != nil {
		return err
	}
	return j.file.Sync()
}

// mark is where the session stood after the last volume.
func (j *journal) mark() mark {
	if len(j.volumes) == 0 {
		return mark{}
	}
	return j.volumes[len(j.volumes)-1].Mark
}

func (j *journal) Close() error { return j.file.Close() }

// remove forgets the session; the journal goes first, for it vouches for the
// rest.
func (j *journal) remove() error {
	if err := os.Remove(filepath.Join(j.dir, journalName)); err != nil {
		return err
	}
	return os.RemoveAll(j.dir)
}
