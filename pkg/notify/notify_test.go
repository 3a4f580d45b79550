package notify

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"tklbam/pkg/command"
)

func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
}

func event(kind Kind) Event {
	e := Event{
		Kind: kind, Operation: "backup", Host: "web1.example.com",
		Time: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC),
	}
	if kind != Start {
		e.Summary = "3 files\n.\n12 MB"
	}
	if kind == Failure {
		e.Step, e.Message = "upload", `write "volume\x00": disk full`
	}
	return e
}

// script writes a program that keeps its arguments, its input and what env
// prints of ours.
func script(t *testing.T) (path string, kept func(name string) string) {
	t.Helper()
	needs(t, "sh")
	dir := t.TempDir()
	path = filepath.Join(dir, "program")
	text := `#!/bin/sh
cd "$(dirname "$0")" || exit 1
for a; do printf '%s\n' "$a"; done >args
cat >stdin
env | grep ^TKLBAM_ | sort >env
true
`
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return string(text)
	}
}

func TestCommand(t *testing.T) {
	path, kept := script(t)
	all, err := New(Options{
		Command: path + ` 'two words' $HOME "a\"b" ''`,
		Runner:  command.Exec{},
		Environ: []string{"PATH=" + os.Getenv("PATH"), "TKLBAM_NOTIFY_STEP=old", "TKLBAM_CONF=/c"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []Kind{Start, Success, Failure} {
		want := event(kind)
		if err := all.Notify(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		var got Event
		if err := json.Unmarshal([]byte(kept("stdin")), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read %+v, %v", kind, got, err)
		}
	}
	if want := "two words\n$HOME\na\"b\n\n"; kept("args") != want {
		t.Errorf("arguments %q, want %q", kept("args"), want)
	}
	want := `TKLBAM_CONF=/c
TKLBAM_NOTIFY_EVENT=failure
TKLBAM_NOTIFY_HOST=web1.example.com
TKLBAM_NOTIFY_MESSAGE=write "volume\x00": disk full
TKLBAM_NOTIFY_OPERATION=backup
TKLBAM_NOTIFY_STEP=upload
TKLBAM_NOTIFY_SUMMARY=3 files
TKLBAM_NOTIFY_TIME=2024-05-06T07:08:09Z
`
	if got := kept("env"); got != want {
		t.Errorf("environment %s\nwant %s", got, want)
	}
}

func TestCommandHostileEvent(t *testing.T) {
	path, kept := script(t)
	e := event(Failure)
	e.Message = "zero\x00byte \xff " + strings.Repeat("x", 1<<20)
	c := Command{Args: []string{path}, Runner: command.Exec{}, Environ: []string{"PATH=" + os.Getenv("PATH")}}
	if err := c.Notify(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(kept("env"), "TKLBAM_NOTIFY_MESSAGE=zerobyte \uFFFD xx") {
		t.Errorf("environment %.300s", kept("env"))
	}
}

func TestCommandFails(t *testing.T) {
	needs(t, "false")
	for _, args := range [][]string{{"false"}, {"/no/such/program"}} {
		err := Command{Args: args, Runner: command.Exec{}}.Notify(t.Context(), event(Success))
		if err == nil || !strings.HasPrefix(err.Error(), "notify by command: ") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestMail(t *testing.T) {
	path, kept := script(t)
	m := Mail{To: []string{"root", "admin@example.com"}, Sendmail: path, Runner: command.Exec{}}
	for _, kind := range []Kind{Start, Success} {
		if err := m.Notify(t.Context(), event(kind)); err != nil || kept("args") != "" {
			t.Fatalf("%s: sent %q, %v", kind, kept("args"), err)
		}
	}
	if err := m.Notify(t.Context(), event(Failure)); err != nil {
		t.Fatal(err)
	}
	if want := "-oi\nroot\nadmin@example.com\n"; kept("args") != want {
		t.Errorf("arguments %q", kept("args"))
	}
	msg := readMail(t, kept("stdin"))
	for name, want := range map[string]string{
		"To": "root, admin@example.com", "Subject": "TKLBAM: backup of web1.example.com failed: upload",
		"Date": "Mon, 06 May 2024 07:08:09 +0000", "Auto-Submitted": "auto-generated",
	} {
		if got := msg.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	body := readBody(t, msg)
	for _, text := range []string{"disk full", "\n3 files\n.\n12 MB\n"} {
		if !strings.Contains(body, text) {
			t.Errorf("%q is not in %q", text, body)
		}
	}
	m.Always = true
	if err := m.Notify(t.Context(), event(Success)); err != nil {
		t.Fatal(err)
	}
	if got := readMail(t, kept("stdin")).Header.Get("Subject"); got != "TKLBAM: backup of web1.example.com succeeded" {
		t.Errorf("subject %q", got)
	}
}

func readMail(t *testing.T, text string) *mail.Message {
	t.Helper()
	if strings.Contains(text, "\r") {
		t.Errorf("it has carriage returns: %q", text)
	}
	msg, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func readBody(t *testing.T, msg *mail.Message) string {
	t.Helper()
	body, err := io.ReadAll(quotedprintable.NewReader(msg.Body))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// Nothing in an event adds a field to the header, or ends it.
func FuzzMail(f *testing.F) {
	f.Add("upload", "host", "message")
	f.Add("x\nBcc: evil@example.com\n\nbody", "h\r\nCc: a", "\n.\nQUIT")
	f.Add("ä=?utf-8?q?x?=", strings.Repeat("ü", 300), "\xff\x00")
	m := Mail{To: []string{"root"}}
	f.Fuzz(func(t *testing.T, step, host, message string) {
		e := event(Failure)
		e.Step, e.Host, e.Message = step, host, message
		text, err := m.compose(e)
		if err != nil {
			t.Fatal(err)
		}
		msg := readMail(t, string(text))
		if len(msg.Header) != 7 || msg.Header.Get("To") != "root" {
			t.Errorf("header %q", msg.Header)
		}
		for line := range strings.Lines(string(text)) {
			if len(line) > 998 { // RFC 5322
				t.Errorf("a line of %d bytes", len(line))
			}
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
		if err != nil || !strings.HasPrefix(subject, "TKLBAM: backup of ") || strings.ContainsFunc(subject, unicode.IsControl) {
			t.Errorf("subject %q, %v", subject, err)
		}
		readBody(t, msg)
	})
}

func TestParseMail(t *testing.T) {
	for value, want := range map[string][]string{
		"root":                             {"root"},
		"a.b+c@example.com,root":           {"a.b+c@example.com", "root"},
		"root, admin@mail.example.org":     {"root", "admin@mail.example.org"},
		"always":                           {"always"},
		"root always":                      {"root", "-always"},
		" a@example.com  b@example.com\t ": {"a@example.com", "b@example.com"},
	} {
		to, always, err := ParseMail(value)
		if always {
			to = append(to, "-always")
		}
		if err != nil || !slices.Equal(to, want) {
			t.Errorf("%q: got %q, %v", value, to, err)
		}
	}
	for _, value := range []string{
		"", ",", "-oQ/tmp", "|/bin/sh", "/etc/passwd", ":include:/etc/passwd", "a@b@c", "a b@", "@b", "a@-b",
		"a\x00", `"a b"@c`, "a@b\nBcc:x", strings.Repeat("a", 255), "a;b", "Name <a@b>", "!sh",
	} {
		if to, _, err := ParseMail(value); err == nil {
			t.Errorf("%q: got %q", value, to)
		}
	}
}

func TestNew(t *testing.T) {
	if all, err := New(Options{}); err != nil || len(all) != 0 {
		t.Errorf("got %v, %v", all, err)
	}
	all, err := New(Options{Command: "true", Mail: "root", Ping: "https://example.com/x"})
	if err != nil || len(all) != 3 {
		t.Errorf("got %v, %v", all, err)
	}
	for _, o := range []Options{{Command: "'"}, {Command: "''"}, {Command: " "}, {Mail: "-x"}, {Ping: "example.com"}} {
		_, err := New(o)
		if err == nil || !strings.HasPrefix(err.Error(), "notify-") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

type notifierFunc func() error

func (f notifierFunc) Notify(context.Context, Event) error { return f() }

// One that fails does not keep the others from being told.
func TestAll(t *testing.T) {
	first, third := errors.New("first"), errors.New("third")
	told := 0
	all := All{
		notifierFunc(func() error { told++; return first }),
		notifierFunc(func() error { told++; return nil }),
		notifierFunc(func() error { told++; return third }),
	}
	if err := all.Notify(t.Context(), event(Start)); !errors.Is(err, first) || !errors.Is(err, third) || told != 3 {
		t.Errorf("told %d, %v", told, err)
	}
}
