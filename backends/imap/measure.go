package imap

import (
	"errors"
	"io"
	"math"
	"strings"
	"sync"

	protocol "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// measureBatch is how many mails are measured at a time: so few that their
// commands don't fill what waits on a network.
const measureBatch = 50

// measure finds out the sizes of mails that don't tell them, once for each:
// from the end of their base64 or, where the lines of that are not Duplicity's,
// by counting. Mails that are gone keep -1.
func (t *target) measure(s *session, mails []mail) error {
	var unknown []*mail
	for i := range mails {
		if m := &mails[i]; m.size < 0 && !t.recall(s, m) {
			unknown = append(unknown, m)
		}
	}
	for len(unknown) > 0 {
		n := min(len(unknown), measureBatch)
		if err := t.measureSome(s, unknown[:n]); err != nil {
			return err
		}
		unknown = unknown[n:]
	}
	return nil
}

// recall sets a size that was found out before.
func (t *target) recall(s *session, m *mail) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	size, known := t.sizes[ref{s.validity, m.uid}]
	if known {
		m.size = size
	}
	return known
}

func (t *target) remember(s *session, m *mail) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sizes[ref{s.validity, m.uid}] = m.size
}

func (t *target) measureSome(s *session, mails []*mail) error {
	lengths, err := s.encodedLengths(mails)
	if err != nil {
		return err
	}
	tails, err := s.tails(mails, lengths)
	if err != nil {
		return err
	}
	for i, m := range mails {
		n, found := lengths[m.uid]
		if !found || n < 0 {
			continue
		}
		if size, ok := decodedLength(n, tails[i]); ok {
			m.size = size
		} else if m.size, err = s.count(m.uid); errors.Is(err, errReplaced) {
			continue
		} else if err != nil {
			return err
		}
		t.remember(s, m)
	}
	return nil
}

// encodedLengths returns how many bytes the first parts of mails have, as they
// are sent.
func (s *session) encodedLengths(mails []*mail) (map[uid]int64, error) {
	set := protocol.UIDSet{}
	for _, m := range mails {
		set.AddNum(m.uid)
	}
	lengths := make(map[uid]int64)
	cmd := s.client.Fetch(set, &protocol.FetchOptions{UID: true, BodyStructure: &protocol.FetchItemBodyStructure{}})
	for data := cmd.Next(); data != nil; data = cmd.Next() {
		var number uid
		for item := data.Next(); item != nil; item = data.Next() {
			switch item := item.(type) {
			case imapclient.FetchItemDataUID:
				number = item.UID
			case imapclient.FetchItemDataBodyStructure:
				lengths[number] = firstPart(item.BodyStructure)
			}
		}
	}
	if err := cmd.Close(); err != nil && !hasCode(err, codeExpunged) {
		return nil, cause(err)
	}
	return lengths, nil
}

// firstPart returns the length of the part that has the content, -1 if there
// is none or it is in no base64.
func firstPart(b protocol.BodyStructure) int64 {
	if whole, ok := b.(*protocol.BodyStructureMultiPart); ok && len(whole.Children) > 0 {
		b = whole.Children[0]
	}
	if part, ok := b.(*protocol.BodyStructureSinglePart); ok && strings.EqualFold(part.Encoding, "base64") {
		return int64(part.Size)
	}
	return -1
}

// tails returns the ends of the first parts of mails (see decodedLength), ""
// of those that are gone. All commands are sent at once; as servers answer them
// in their own order, all answers are read at once.
func (s *session) tails(mails []*mail, lengths map[uid]int64) ([]string, error) {
	tails := make([]string, len(mails))
	failed := make([]error, len(mails))
	var all sync.WaitGroup
	for i, m := range mails {
		if n := lengths[m.uid]; n > 0 {
			p := s.ask(m.uid, tailStart(n), n-tailStart(n))
			all.Go(func() { tails[i], failed[i] = p.text() })
		}
	}
	all.Wait()
	for _, err := range failed {
		if err != nil && !errors.Is(err, errReplaced) {
			return nil, err
		}
	}
	return tails, nil
}

// count returns the length of a mail's content, -1 if it is in no base64.
func (s *session) count(number uid) (int64, error) {
	p := s.ask(number, 0, math.MaxUint32)
	if err := p.begin(); err != nil {
		return -1, err
	}
	size, err := io.Copy(io.Discard, newDecoder(p))
	if err := p.end(); err != nil {
		return -1, err
	}
	if err != nil {
		return -1, nil
	}
	return size, nil
}
