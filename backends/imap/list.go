package imap

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	protocol "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"tklbam/backends"
)

const (
	// pageSize is how many mails' headers are asked for at a time.
	pageSize = 1000

	// codeExpunged is in the answer to a command about mails of which some are
	// gone (RFC 5530, section 3).
	codeExpunged = "EXPUNGEISSUED"

	// maxTries is how often a file is looked for that is being replaced.
	maxTries = 10
)

// List implements backends.Reader. It goes through the mailbox from the newest
// mail to the oldest, so that of two with one name, which a Put that was cut
// off leaves, the newer one counts. Mails are numbered anew when others go, but
// only downwards: none is passed over.
func (t *target) List(ctx context.Context, fn func(name string, size int64) error) error {
	l := &listing{target: t, seen: make(map[string]struct{}), report: func(name string, size int64) error {
		if err := fn(name, size); err != nil {
			return &callerError{err}
		}
		return ctx.Err()
	}}
	err := l.run(ctx)
	if stop, ok := err.(*callerError); ok {
		return stop.err
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", t, err)
	}
	return nil
}

// A callerError is one of the function that a listing calls.
type callerError struct{ err error }

func (e *callerError) Error() string { return e.err.Error() }

// A listing is one call of List.
type listing struct {
	target *target
	report func(name string, size int64) error
	seen   map[string]struct{} // names reported
	newest uid                 // that the first page knew of
}

func (l *listing) run(ctx context.Context) error {
	for rest := ^uint32(0); rest > 0; {
		var page []mail
		err := l.target.with(ctx, func(s *session) (err error) {
			page, rest, err = l.page(s, rest)
			return err
		})
		if err != nil {
			return err
		}
		if err := l.give(page); err != nil {
			return err
		}
	}
	return l.catchUp(ctx)
}

// page returns the last files of the mailbox's first mails, and how many of
// these are before them.
func (l *listing) page(s *session, upTo uint32) (page []mail, rest uint32, err error) {
	all, err := s.mails()
	if upTo = min(upTo, all); err != nil || upTo == 0 {
		return nil, 0, err
	}
	first := upTo - min(upTo, pageSize) + 1
	set := protocol.SeqSet{}
	set.AddRange(first, upTo)
	found, err := s.headers(l.target.place.from, set)
	if err != nil {
		return nil, 0, err
	}
	l.newest = max(l.newest, found.newest)
	return found.files, first - 1, l.target.measure(s, found.files)
}

// catchUp reports files that were replaced while the listing was under way:
// their new mails came after its first page.
func (l *listing) catchUp(ctx context.Context) error {
	var found headers
	err := l.target.with(ctx, func(s *session) (err error) {
		set := protocol.UIDSet{}
		set.AddRange(l.newest+1, 0) // to the last, which is there in any case
		if found, err = s.headers(l.target.place.from, set); err != nil {
			return err
		}
		return l.target.measure(s, found.files)
	})
	if err != nil {
		return err
	}
	return l.give(found.files)
}

// give reports the files of a page that have not been, newest first.
func (l *listing) give(page []mail) error {
	for _, m := range slices.Backward(page) {
		if _, twice := l.seen[m.name]; twice || m.deleted || m.size < 0 {
			continue
		}
		l.seen[m.name] = struct{}{}
		if err := l.report(m.name, m.size); err != nil {
			return err
		}
	}
	return nil
}

// headers is what a server tells of some mails.
type headers struct {
	files  []mail // in the order of their numbers
	newest uid    // the highest number of all
	mails  int    // that there are
}

// headers asks for the headers of some mails, and returns the files among them.
// Mails that are gone are passed over.
func (s *session) headers(from string, set protocol.NumSet) (h headers, err error) {
	cmd := s.client.Fetch(set, &protocol.FetchOptions{UID: true, Flags: true, BodySection: []*protocol.FetchItemBodySection{
		{Specifier: protocol.PartSpecifierHeader, HeaderFields: headerFields[:], Peek: true},
	}})
	for data := cmd.Next(); data != nil; data = cmd.Next() {
		m, text, err := readMail(data)
		if err != nil {
			return headers{}, cause(err)
		}
		if m.uid == 0 || text == nil {
			continue
		}
		h.mails++
		h.newest = max(h.newest, m.uid)
		if m.parse(text, from) {
			h.files = append(h.files, m)
		}
	}
	if err := cmd.Close(); err != nil && !hasCode(err, codeExpunged) {
		return headers{}, cause(err)
	}
	slices.SortFunc(h.files, func(a, b mail) int { return cmp.Compare(a.uid, b.uid) })
	return h, nil
}

// readMail takes what a server tells of one mail: of one that is gone no text.
// After an error the client has gone on, and its command is not to be touched.
func readMail(data *imapclient.FetchMessageData) (m mail, text []byte, err error) {
	for item := data.Next(); item != nil; item = data.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataUID:
			m.uid = item.UID
		case imapclient.FetchItemDataFlags:
			m.deleted = slices.Contains(item.Flags, protocol.FlagDeleted)
		case imapclient.FetchItemDataBodySection:
			if item.Literal == nil {
				continue
			}
			want := min(item.Literal.Size(), maxHeader)
			text, err = io.ReadAll(io.LimitReader(item.Literal, want))
			if err == nil && int64(len(text)) < want {
				err = io.ErrUnexpectedEOF
			}
			if err != nil {
				return m, nil, err
			}
		}
	}
	return m, text, nil
}

// search returns the numbers of the mails that match.
func (s *session) search(criteria *protocol.SearchCriteria) ([]uid, error) {
	data, err := s.client.UIDSearch(criteria, nil).Wait()
	if err != nil {
		return nil, cause(err)
	}
	return numbers(data), nil
}

// numbers returns what a search found.
func numbers(data *protocol.SearchData) []uid {
	set, _ := data.All.(protocol.UIDSet)
	found, _ := set.Nums() // fails only for a set with no end, which nothing can be made of
	return found
}

// byName matches the mails whose subject has a name in it.
func byName(name string) *protocol.SearchCriteria {
	return &protocol.SearchCriteria{
		Header:  []protocol.SearchCriteriaHeaderField{{Key: "Subject", Value: name}},
		NotFlag: []protocol.Flag{protocol.FlagDeleted},
	}
}

// named returns the mails of a file in the order of their numbers: none if it
// is absent. One that is replaced in between is looked for again.
func (s *session) named(from, name string) ([]mail, error) {
	for range maxTries {
		found, err := s.search(byName(name))
		if err != nil || len(found) == 0 {
			return nil, err
		}
		mails, gone, err := s.exactly(from, name, found)
		if err != nil || len(mails) > 0 || !gone {
			return mails, err
		}
		if err := s.refresh(); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: it is being replaced", backends.ErrUnavailable)
}

// exactly returns those of the mails found whose subject is the name, not only
// has it in it. gone is whether some have been deleted since they were found.
func (s *session) exactly(from, name string, found []uid) (mails []mail, gone bool, err error) {
	all, err := s.headers(from, protocol.UIDSetNum(found...))
	if err != nil {
		return nil, false, err
	}
	gone = all.mails < len(found)
	for _, m := range all.files {
		switch {
		case m.name != name:
		case m.deleted:
			gone = true
		default:
			mails = append(mails, m)
		}
	}
	return mails, gone, nil
}

// remove deletes mails, and no others. Where a server can only expunge all that
// are marked, it does so if all are files of the target; else they stay, marked
// and no longer files, until somebody expunges the mailbox.
func (s *session) remove(from string, mails []mail) error {
	if len(mails) == 0 {
		return nil
	}
	set := protocol.UIDSet{}
	for _, m := range mails {
		set.AddNum(m.uid)
	}
	mark := &protocol.StoreFlags{Op: protocol.StoreFlagsAdd, Silent: true, Flags: []protocol.Flag{protocol.FlagDeleted}}
	if err := s.client.Store(set, mark, nil).Close(); err != nil && !hasCode(err, codeExpunged) {
		return cause(err)
	}
	if s.caps.Has(protocol.CapUIDPlus) {
		return cause(s.client.UIDExpunge(set).Close())
	}
	marked, err := s.search(&protocol.SearchCriteria{Flag: []protocol.Flag{protocol.FlagDeleted}})
	if err != nil || len(marked) == 0 {
		return err
	}
	own, err := s.headers(from, protocol.UIDSetNum(marked...))
	if err != nil || len(own.files) < len(marked) {
		return err
	}
	return cause(s.client.Expunge().Close())
}
