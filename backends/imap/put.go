package imap

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	protocol "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"tklbam/backends"
	"tklbam/backends/spool"
)

// errTooBig is a mail that the server does not take.
var errTooBig = errors.New("the mail is longer than the server takes")

// Put implements backends.Backend: the content waits until its length is known,
// a longer one in a temporary file, and APPEND stores it as a whole or not at all. Then the
// mail's size is looked at, and the mails that had the name before are deleted.
// A crash in between leaves both, of which the newer one counts; the next Put
// deletes the older. Whether a stored mail outlives a crash of the server is
// the server's matter.
func (t *target) Put(ctx context.Context, name string, write func(w io.Writer) error) error {
	if err := backends.CheckName(name); err != nil {
		return err
	}
	if err := t.store(ctx, name, write); err != nil {
		return fmt.Errorf("store %q in %s: %w", name, t, err)
	}
	return nil
}

func (t *target) store(ctx context.Context, name string, write func(w io.Writer) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	content := spool.NewContent(ctx, t.tempDir)
	defer func() { err = errors.Join(err, content.Close()) }()
	if err := write(content); err != nil {
		return err
	}
	s, err := t.take(ctx)
	if err != nil {
		return err
	}
	err = s.deliver(ctx, t.place, name, content)
	t.put(s, err)
	return err
}

// deliver stores a mail and settles it. Once all of it is sent no cancelling
// interrupts: what came of it could not be told.
func (s *session) deliver(ctx context.Context, p place, name string, content *spool.Content) error {
	m := newMessage(p.from, name, content.Size(), time.Now())
	text, err := content.Reader()
	if err != nil {
		return err
	}
	length, err := m.length()
	if err != nil {
		return fmt.Errorf("compose the mail: %w", err)
	}
	err = s.bound(ctx, func() error { return s.fits(p.mailbox, length) })
	if err != nil {
		return err
	}
	cmd, err := s.send(ctx, p.mailbox, m, length, text)
	if err != nil {
		return err
	}
	data, err := finishAppend(cmd)
	if err != nil {
		return cause(err)
	}
	return s.settle(p.from, name, &sent{uid: data.UID, id: m.id, length: length})
}

// fits asks for the longest mail a mailbox takes (RFC 7889), and compares.
func (s *session) fits(mailbox string, length int64) error {
	limit, ok := s.caps.AppendLimit()
	if !ok {
		return nil
	}
	if limit == nil && s.limit == nil {
		status, err := s.client.Status(mailbox, &protocol.StatusOptions{AppendLimit: true}).Wait()
		if err != nil {
			return fmt.Errorf("ask for the longest mail: %w", cause(err))
		}
		s.limit = status.AppendLimit
	}
	if limit == nil {
		limit = s.limit
	}
	if limit != nil && length > int64(*limit) {
		return fmt.Errorf("%w: %d bytes of at most %d: choose a smaller volume size", errTooBig, length, *limit)
	}
	return nil
}

// send sends all of an APPEND but the end of its line, without which a server
// stores nothing.
func (s *session) send(ctx context.Context, mailbox string, m *message, length int64, content io.Reader) (*imapclient.AppendCommand, error) {
	release := s.tie(ctx)
	cmd := s.client.Append(mailbox, length, &protocol.AppendOptions{Flags: []protocol.Flag{protocol.FlagSeen}})
	buffered := bufio.NewWriterSize(cmd, bufferSize)
	err := m.write(buffered, content)
	if err == nil {
		err = buffered.Flush()
	}
	if release() && err == nil {
		return cmd, nil
	}
	s.broken = true // in the middle of a command
	s.abort()
	_ = cmd.Close()
	_, waitErr := cmd.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if reply := (*protocol.Error)(nil); errors.As(waitErr, &reply) {
		err = waitErr // why the server let the rest go by
	}
	return nil, cause(err)
}

// finishAppend ends the line of an APPEND, and waits for its answer.
func finishAppend(cmd *imapclient.AppendCommand) (*protocol.AppendData, error) {
	closeErr := cmd.Close()
	data, err := cmd.Wait()
	return data, errors.Join(err, closeErr)
}

// A sent is a mail that the server says it has stored.
type sent struct {
	uid    uid // 0 if the server does not say
	id     string
	length int64
}

// settle verifies a mail and deletes those that had the name before. If it is
// gone already, a later one of that name has done so.
func (s *session) settle(from, name string, m *sent) error {
	if m.uid == 0 {
		if err := s.locate(m); err != nil {
			return err
		}
	}
	refreshing := s.client.Noop()
	looking := s.client.Fetch(protocol.UIDSetNum(m.uid), &protocol.FetchOptions{UID: true, RFC822Size: true})
	searching := s.client.UIDSearch(byName(name), nil)
	size, sizeErr := readSize(looking)
	data, searchErr := searching.Wait()
	for _, err := range []error{refreshing.Wait(), sizeErr, searchErr} {
		if err != nil {
			return fmt.Errorf("verify the upload: %w", cause(err))
		}
	}
	found := slices.DeleteFunc(numbers(data), func(n uid) bool { return n == m.uid })
	var others []mail
	if len(found) > 0 {
		var err error
		if others, _, err = s.exactly(from, name, found); err != nil {
			return err
		}
	}
	return s.replace(from, m, size, others)
}

// replace deletes the older ones of the mails with a name, if the new one has
// its length, and else that. A server may put in fields of its own. Where there
// is a newer one yet, ours is being deleted, and the server may say anything.
func (s *session) replace(from string, m *sent, size int64, others []mail) error {
	older := slices.DeleteFunc(others, func(o mail) bool { return o.uid > m.uid })
	switch {
	case len(older) < len(others):
	case size < 0:
		return fmt.Errorf("%w: verify the upload: the mail is not there", backends.ErrUnavailable)
	case size < m.length:
		err := fmt.Errorf("%w: verify the upload: the server stored %d bytes of %d", backends.ErrUnavailable, size, m.length)
		return errors.Join(err, s.remove(from, []mail{{uid: m.uid}}))
	}
	return s.remove(from, older)
}

// locate finds a mail of which the server has not told the number.
func (s *session) locate(m *sent) error {
	if err := s.refresh(); err != nil {
		return err
	}
	found, err := s.search(&protocol.SearchCriteria{Header: []protocol.SearchCriteriaHeaderField{{Key: "Message-ID", Value: m.id}}})
	if err != nil {
		return fmt.Errorf("verify the upload: %w", err)
	}
	if len(found) == 0 {
		return fmt.Errorf("%w: verify the upload: the mail is not there", backends.ErrUnavailable)
	}
	m.uid = found[len(found)-1]
	return nil
}

// readSize returns the length of a mail, -1 if it is gone.
func readSize(cmd *imapclient.FetchCommand) (int64, error) {
	size := int64(-1)
	for data := cmd.Next(); data != nil; data = cmd.Next() {
		for item := data.Next(); item != nil; item = data.Next() {
			if item, ok := item.(imapclient.FetchItemDataRFC822Size); ok {
				size = item.Size
			}
		}
	}
	err := cmd.Close()
	if hasCode(err, codeExpunged) {
		err = nil
	}
	return size, err
}
