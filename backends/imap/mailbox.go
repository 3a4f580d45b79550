package imap

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	protocol "github.com/emersion/go-imap/v2"

	"tklbam/backends"
)

// inbox is the mailbox that every user has (RFC 3501, section 5.1).
const inbox = "INBOX"

// A place says which mails are a target's.
type place struct {
	mailbox string // in the server's spelling
	from    string // what their From header says
}

// find selects the mailbox of a target. It makes it if it is absent and create
// is set.
func (s *session) find(shared, path string, create bool) (place, error) {
	p, err := s.placeOf(shared, path)
	if err != nil {
		return place{}, err
	}
	err = s.enter(p.mailbox)
	if errors.Is(err, fs.ErrNotExist) && shared == "" {
		stock := place{mailbox: inbox, from: p.from}
		if held, heldErr := s.holds(stock); held || heldErr != nil {
			return stock, heldErr
		}
	}
	if errors.Is(err, fs.ErrNotExist) && create {
		err = s.create(p.mailbox)
	}
	if err != nil {
		return place{}, fmt.Errorf("select mailbox %q: %w", p.mailbox, err)
	}
	return p, nil
}

// placeOf returns where the mails of a path are: in the mailbox of that name
// or, if there is one, in the shared one.
func (s *session) placeOf(shared, path string) (place, error) {
	name := path
	if shared != "" {
		name = shared
	}
	mailbox, err := s.mailboxName(name)
	if err != nil {
		return place{}, err
	}
	if path == "" {
		path = inbox
	}
	return place{mailbox: mailbox, from: path}, nil
}

// mailboxName returns the server's spelling of a path: with its delimiter
// between the parts, below the user's own mailboxes.
func (s *session) mailboxName(path string) (string, error) {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	if len(parts) == 0 || len(parts) == 1 && strings.EqualFold(parts[0], inbox) {
		return inbox, nil
	}
	prefix, delimiter, err := s.namespace()
	if err != nil {
		return "", err
	}
	if delimiter == "" && len(parts) > 1 {
		return "", fmt.Errorf("%w: the server has no mailboxes within others, as %q asks for", fs.ErrInvalid, path)
	}
	name := strings.Join(parts, delimiter)
	if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
		return name, nil
	}
	return prefix + name, nil
}

// namespace returns what the names of the user's own mailboxes begin with, and
// what is between the levels of their hierarchy; "" if there is none.
func (s *session) namespace() (prefix, delimiter string, err error) {
	if s.caps.Has(protocol.CapNamespace) {
		data, err := s.client.Namespace().Wait()
		if err != nil {
			return "", "", fmt.Errorf("ask for the namespaces: %w", cause(err))
		}
		if len(data.Personal) > 0 {
			return data.Personal[0].Prefix, delimiterText(data.Personal[0].Delim), nil
		}
	}
	root, err := s.client.List("", "", nil).Collect()
	if err != nil {
		return "", "", fmt.Errorf("ask for the hierarchy delimiter: %w", cause(err))
	}
	if len(root) == 0 {
		return "", "", nil
	}
	return "", delimiterText(root[0].Delim), nil
}

func delimiterText(r rune) string {
	if r == 0 {
		return ""
	}
	return string(r)
}

// enter selects a mailbox. Servers without codes in their answers are asked
// whether it is there at all.
func (s *session) enter(mailbox string) error {
	selecting := s.client.Select(mailbox, nil)
	after := s.client.Noop() // the client knows the mailbox's state only then
	data, err := selecting.Wait()
	if err == nil {
		s.validity = data.UIDValidity
		return cause(after.Wait())
	}
	if !hasCode(err, "") {
		return cause(err)
	}
	listed, listErr := s.client.List("", mailbox, nil).Collect()
	if listErr != nil {
		return cause(listErr)
	}
	for _, l := range listed { // the name may be a pattern for others too
		if l.Mailbox == mailbox {
			return cause(err)
		}
	}
	return fmt.Errorf("%w: %w", fs.ErrNotExist, cause(err))
}

// mails returns how many the mailbox has.
func (s *session) mails() (uint32, error) {
	selected := s.client.Mailbox()
	if selected == nil {
		return 0, fmt.Errorf("%w: the server has closed the mailbox", backends.ErrUnavailable)
	}
	return selected.NumMessages, nil
}

// create makes a mailbox, if nobody else has meanwhile, and selects it.
func (s *session) create(mailbox string) error {
	made := s.client.Create(mailbox, nil).Wait()
	err := s.enter(mailbox)
	if made != nil && err != nil {
		return fmt.Errorf("create: %w", cause(made))
	}
	return err
}

// holds selects a mailbox, and reports whether it has a file of the target.
func (s *session) holds(p place) (bool, error) {
	if err := s.enter(p.mailbox); err != nil {
		return false, err
	}
	found, err := s.search(&protocol.SearchCriteria{
		Header:  []protocol.SearchCriteriaHeaderField{{Key: "From", Value: p.from}},
		NotFlag: []protocol.Flag{protocol.FlagDeleted},
	})
	if err != nil || len(found) == 0 {
		return false, err
	}
	h, err := s.headers(p.from, protocol.UIDSetNum(found...))
	return len(h.files) > 0, err
}
