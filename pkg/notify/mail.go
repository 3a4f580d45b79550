package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"regexp"
	"strings"
	"time"
	"unicode"

	"tklbam/pkg/command"
)

// DefaultSendmail is where mail servers have their program for local mail.
const DefaultSendmail = "/usr/sbin/sendmail"

// Mail is sent through the local mail server's sendmail, which gets the
// recipients as arguments and 30 seconds of time.
type Mail struct {
	To       []string // addresses that ParseMail would take
	Always   bool     // on success too, not only on failure
	Sendmail string   // the program
	Runner   command.Runner
}

// address is narrower than what mail allows: nothing that a program might take
// for an option, a list, a file or a pipe.
var address = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+=%-]*(@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)?$`)

// ParseMail reads the value of notify-mail: addresses, or names of local
// users, apart by commas or white space, and perhaps the word "always" behind
// them.
func ParseMail(value string) (to []string, always bool, err error) {
	words := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	if n := len(words); n > 1 && words[n-1] == "always" {
		words, always = words[:n-1], true
	}
	if len(words) == 0 {
		return nil, false, errors.New("it names no address")
	}
	for _, word := range words {
		if len(word) > 254 || !address.MatchString(word) { // the length is RFC 5321's
			return nil, false, fmt.Errorf("%q is not a mail address", word)
		}
	}
	return words, always, nil
}

func newMail(opts Options) (Notifier, error) {
	to, always, err := ParseMail(opts.Mail)
	if err != nil {
		return nil, err
	}
	return Mail{To: to, Always: always, Sendmail: DefaultSendmail, Runner: opts.Runner}, nil
}

// Notify implements Notifier.
func (m Mail) Notify(ctx context.Context, e Event) error {
	if e.Kind != Failure && !(e.Kind == Success && m.Always) {
		return nil
	}
	message, err := m.compose(e)
	if err != nil {
		return fmt.Errorf("notify by mail: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, programTimeout)
	defer cancel()
	err = m.Runner.Run(ctx, command.Command{
		Args:  append([]string{m.Sendmail, "-oi"}, m.To...), // -oi: a line with only a dot ends nothing
		Stdin: bytes.NewReader(message),
	})
	if err != nil {
		return fmt.Errorf("notify by mail: %w", err)
	}
	return nil
}

// compose returns a message with newlines as line ends, as sendmail takes it.
// Sendmail adds the sender. The subject is the only field with a text from
// outside: it gets to be one line of printable characters.
func (m Mail) compose(e Event) ([]byte, error) {
	var b bytes.Buffer
	for _, field := range []struct{ name, value string }{
		{"To", strings.Join(m.To, ", ")},
		{"Subject", mime.QEncoding.Encode("utf-8", headerText("TKLBAM: "+e.title()))},
		{"Date", e.Time.Format(time.RFC1123Z)},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: nobody answers it on holiday
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\n", field.name, field.value)
	}
	b.WriteByte('\n')
	var body bytes.Buffer
	w := quotedprintable.NewWriter(&body)
	if _, err := w.Write([]byte(shorten(e.text()))); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	b.Write(bytes.ReplaceAll(body.Bytes(), []byte("\r\n"), []byte("\n")))
	return b.Bytes(), nil
}

// maxSubject keeps the subject well within a line of mail, encoded too.
const maxSubject = 200

func headerText(s string) string {
	if len(s) > maxSubject {
		s = s[:maxSubject]
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}
