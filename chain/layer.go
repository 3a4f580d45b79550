package chain

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tklbam/chain/archive"
	"tklbam/chain/seal"
	"tklbam/chain/state"
)

// openStored opens a file of the chain and unseals it as its name says.
func openStored(ctx context.Context, store Reader, opener *seal.Opener, name string) (io.ReadCloser, error) {
	enc, err := encodingOf(name)
	if err != nil {
		return nil, err
	}
	raw, err := store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	plain, err := opener.Open(raw, enc)
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("open %q: %w", name, wrongSecret(err))
	}
	return &stored{plain: plain, raw: raw, name: name}, nil
}

// wrongSecret turns the envelope's word for it into the chain's.
func wrongSecret(err error) error {
	if errors.Is(err, seal.ErrWrongSecret) {
		return fmt.Errorf("%w (%w)", ErrWrongSecret, err)
	}
	return err
}

// A stored is an unsealed file whose errors name it.
type stored struct {
	plain, raw io.ReadCloser
	name       string
}

func (s *stored) Read(p []byte) (int, error) {
	n, err := s.plain.Read(p)
	if err != nil && err != io.EOF {
		err = named(s.name, wrongSecret(err))
	}
	return n, err
}

// A storedError is what is wrong with a file of the chain.
type storedError struct {
	name string
	err  error
}

func (e *storedError) Error() string { return fmt.Sprintf("read %q: %v", e.name, e.err) }
func (e *storedError) Unwrap() error { return e.err }

// named says which file an error is about, unless it does that already.
func named(name string, err error) error {
	if _, ok := errors.AsType[*storedError](err); ok || err == nil {
		return err
	}
	return &storedError{name, err}
}

func (s *stored) Close() error {
	return errors.Join(s.plain.Close(), s.raw.Close())
}

// readSigtar adds the items of a set's signature file to layer and appends
// the signatures themselves to sigs, if that is not nil.
func readSigtar(r io.Reader, set int, layer *state.Writer, sigs io.Writer) error {
	tr := archive.NewReader(r)
	offset := int64(0)
	for {
		rec, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return drain(r)
		}
		if err != nil {
			return senseless(err)
		}
		item := state.Item{Entry: *rec.Entry, Set: set, Deleted: rec.Kind == archive.Deleted}
		switch rec.Kind {
		case archive.Signature:
			item.Signature = state.Ref{Offset: offset, Length: rec.Size}
			if sigs != nil {
				if _, err := tr.WriteTo(sigs); err != nil {
					return err
				}
			}
			offset += rec.Size
		case archive.Diff:
			return senseless(fmt.Errorf("entry %q: a diff in a signature file", rec.Entry.Path))
		}
		if err := layer.Add(&item); err != nil {
			return err
		}
	}
}

// senseless makes an error of a tar's content one of damage: not every
// envelope notices before what is in it is read. Errors of reading stay.
func senseless(err error) error {
	if _, ok := errors.AsType[*storedError](err); ok {
		return err
	}
	return fmt.Errorf("%w: %w", seal.ErrDamaged, err)
}

// drain reads to the end, where an envelope says whether all was genuine.
func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// readVolume adds the items of a volume to layer: what a set without its
// signature file still tells. last is the path the volume before ended with,
// whose further pieces are not items of their own.
func readVolume(r io.Reader, set int, last string, layer *state.Writer) (string, error) {
	tr := archive.NewReader(r)
	for {
		rec, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return last, drain(r)
		}
		if err != nil {
			return last, err
		}
		if rec.Piece > 1 && rec.Entry.Path == last {
			continue
		}
		item := state.Item{Entry: *rec.Entry, Set: set, Deleted: rec.Kind == archive.Deleted}
		if err := layer.Add(&item); err != nil {
			return last, err
		}
		last = rec.Entry.Path
	}
}

// writeSigtar writes the layer of a session as its signature file.
func writeSigtar(w io.Writer, layer state.Stream, sigs io.ReaderAt) error {
	out, buf := archive.NewWriter(w), make([]byte, 64<<10)
	for {
		item, err := layer.Next()
		if errors.Is(err, io.EOF) {
			_, err := w.Write(archive.Footer)
			return err
		}
		if err != nil {
			return err
		}
		if err := out.BeginSignature(signatureRecord(item)); err != nil {
			return err
		}
		if _, err := io.CopyBuffer(out, io.NewSectionReader(sigs, item.Signature.Offset, item.Signature.Length), buf); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

func signatureRecord(item *state.Item) archive.Record {
	rec := archive.Record{Kind: archive.Snapshot, Entry: &item.Entry}
	switch {
	case item.Deleted:
		rec.Kind = archive.Deleted
	case item.Type == archive.Regular:
		rec.Kind, rec.Size = archive.Signature, item.Signature.Length
	}
	return rec
}
