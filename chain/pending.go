package chain

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"tklbam/chain/rdiff"
	"tklbam/chain/state"
)

// Deltas that wait for what they build on lie one after another in a scratch
// file, each behind a header that says where the next newer delta of the same
// file is. A waiting item's Signature is where its oldest delta begins, header
// included, and how long it is without.
const deltaHeader = 16

// A deltaSink keeps a delta until its base is found.
type deltaSink struct {
	x     *extraction
	item  state.Item
	newer state.Ref
	start int64
	size  int64
}

func newDeltaSink(x *extraction, item state.Item, waiting bool) (sink, error) {
	if x.deltas == nil {
		f, err := x.Target.Temp()
		if err != nil {
			return nil, fmt.Errorf("make scratch file: %w", err)
		}
		x.deltas = f
	}
	start, err := x.deltas.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	s := &deltaSink{x: x, item: item, start: start}
	if waiting {
		s.newer = item.Signature
	}
	head := binary.BigEndian.AppendUint64(nil, uint64(s.newer.Offset))
	head = binary.BigEndian.AppendUint64(head, uint64(s.newer.Length))
	_, err = x.deltas.Write(head)
	return s, err
}

func (s *deltaSink) path() string { return s.item.Path }

func (s *deltaSink) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	return s.x.deltas.Write(p)
}

func (s *deltaSink) done() error {
	if s.size == 0 {
		return lost(s.x.report, s.item.Path, errors.New("its delta is empty"))
	}
	s.item.Signature = state.Ref{Offset: s.start, Length: s.size}
	return s.x.fresh.add(&s.item)
}

func (s *deltaSink) drop() {}

// A baseSink takes the content that waiting deltas build on, and then writes
// the file they make of it.
type baseSink struct {
	x     *extraction
	item  state.Item
	file  *os.File
	size  int64
	doubt error
}

func newBaseSink(x *extraction, item state.Item, doubt error) (sink, error) {
	f, err := x.Target.Temp()
	if err != nil {
		return nil, fmt.Errorf("make scratch file: %w", err)
	}
	return &baseSink{x: x, item: item, file: f, doubt: doubt}, nil
}

func (s *baseSink) path() string { return s.item.Path }

func (s *baseSink) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	return s.file.Write(p)
}

func (s *baseSink) drop() { s.file.Close() }

func (s *baseSink) done() error {
	defer s.file.Close()
	version, err := s.x.version(section{s.file, 0, s.size}, s.item.Signature)
	if err != nil {
		return lost(s.x.report, s.item.Path, fmt.Errorf("apply its deltas: %w", err))
	}
	if size := s.item.Size; size >= 0 && version.Size() != size {
		return lost(s.x.report, s.item.Path, fmt.Errorf("its deltas make %d bytes where %d were backed up", version.Size(), size))
	}
	out := newFileSink(s.x.restorer, &s.item.Entry, s.doubt)
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, io.NewSectionReader(version, 0, version.Size()), s.x.copy)
	if err != nil {
		out.drop()
		return lost(s.x.report, s.item.Path, fmt.Errorf("apply its deltas: %w", err))
	}
	return out.done()
}

// version lays the deltas of a file, the oldest of which is at ref, over its
// base.
func (r *restorer) version(base rdiff.SizedReaderAt, ref state.Ref) (rdiff.SizedReaderAt, error) {
	for ref.Length > 0 {
		var head [deltaHeader]byte
		if _, err := r.deltas.ReadAt(head[:], ref.Offset); err != nil {
			return nil, err
		}
		v, err := rdiff.OpenVersion(base, section{r.deltas, ref.Offset + deltaHeader, ref.Length}, ref.Length)
		if err != nil {
			return nil, err
		}
		base = v
		ref = state.Ref{
			Offset: int64(binary.BigEndian.Uint64(head[:8])),
			Length: int64(binary.BigEndian.Uint64(head[8:])),
		}
	}
	return base, nil
}

// A section is a part of a file with its size.
type section struct {
	f            *os.File
	offset, size int64
}

func (s section) Size() int64 { return s.size }

func (s section) ReadAt(p []byte, off int64) (int, error) {
	return io.NewSectionReader(s.f, s.offset, s.size).ReadAt(p, off)
}
