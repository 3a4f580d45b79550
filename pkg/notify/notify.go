// Package notify tells people and machines how a backup or a restore went: by
// a command, by mail, and by an HTTP ping. Three options of the configuration
// set it up:
//
//	notify-command <program> [<argument> …]
//	    is run on every event, see Command
//	notify-mail <address>[,<address> …] [always]
//	    gets a mail on failure, with "always" on success too, see Mail
//	notify-ping <URL>
//	    is requested on success, <URL>/start at the start and <URL>/fail on
//	    failure, see Ping
//
// Who cannot be told is no reason for an operation to fail: errors are for a
// warning.
package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"tklbam/pkg/command"
)

// A Kind says what happened.
type Kind string

// The kinds. Every Start is followed by one of the others, unless the program
// is killed.
const (
	Start   Kind = "start"
	Success Kind = "success"
	Failure Kind = "failure"
)

// An Event is what is told. All but Kind, Operation, Host and Time may be
// empty. Texts may hold what comes from anywhere.
type Event struct {
	Kind      Kind      `json:"event"`
	Operation string    `json:"operation"` // "backup" or "restore"
	Host      string    `json:"host"`
	Time      time.Time `json:"time"`
	Step      string    `json:"step,omitempty"`    // that failed
	Message   string    `json:"message,omitempty"` // what it failed with
	Summary   string    `json:"summary,omitempty"` // what was done, for people; may have several lines
}

// title says in a line what happened: "backup of host failed: upload".
func (e Event) title() string {
	outcome := map[Kind]string{Start: "has started", Success: "succeeded", Failure: "failed"}[e.Kind]
	title := fmt.Sprintf("%s of %s %s", e.Operation, e.Host, outcome)
	if e.Step != "" {
		title += ": " + e.Step
	}
	return title
}

// text says everything there is to say to people.
func (e Event) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", e.title(), e.Time.Format(time.RFC1123Z))
	for _, part := range []string{e.Message, e.Summary} {
		if part != "" {
			fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(part))
		}
	}
	return b.String()
}

// A Notifier tells of events.
type Notifier interface {
	// Notify tells of an event, or does nothing about one of its kind. It
	// returns soon: no peer can hold it for much more than half a minute.
	Notify(ctx context.Context, e Event) error
}

// Options are those of the configuration, and what it takes to act on them.
// An empty value is an option not given.
type Options struct {
	Command, Mail, Ping string

	Runner  command.Runner
	Environ []string     // this process's environment
	Client  *http.Client // nil for http.DefaultClient
}

// All is a list of notifiers that are told one after the other.
type All []Notifier

// New returns the notifiers that options ask for. Errors name the option, and
// don't show a URL.
func New(opts Options) (All, error) {
	var all All
	for _, o := range []struct {
		name, value string
		parse       func(Options) (Notifier, error)
	}{
		{"notify-command", opts.Command, newCommand},
		{"notify-mail", opts.Mail, newMail},
		{"notify-ping", opts.Ping, newPing},
	} {
		if o.value == "" {
			continue
		}
		n, err := o.parse(opts)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.name, err)
		}
		all = append(all, n)
	}
	return all, nil
}

// Notify tells every notifier, also after one failed, and joins the errors.
func (all All) Notify(ctx context.Context, e Event) error {
	var failures []error
	for _, n := range all {
		failures = append(failures, n.Notify(ctx, e))
	}
	return errors.Join(failures...)
}

// maxText bounds a text that is passed on, in bytes.
const maxText = 16 << 10

// shorten cuts a long text, and takes out what no program can be passed.
func shorten(s string) string {
	s = strings.ReplaceAll(s, "\x00", "")
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
