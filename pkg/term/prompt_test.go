package term

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"
)

// An answer is what a prompt returned.
type answer struct {
	text string
	err  error
}

// ask runs ReadPassphrase on the terminal in the background.
func (p *pty) ask(ctx context.Context, confirm bool) <-chan answer {
	got := make(chan answer, 1)
	go func() {
		text, err := ReadPassphrase(ctx, p.tty, p.tty, "Passphrase: ", confirm)
		got <- answer{string(text), err}
	}()
	return got
}

func TestPassphraseFromTerminal(t *testing.T) {
	p := newPty(t)
	before := p.settings()
	before.Lflag |= unix.ECHONL // would show a newline of its own
	p.set(before)
	for _, typed := range []string{"s3cret\n", "\n", "s3crex\x7ft\n", "s3cret\r", "s3cret\x04\x04", " s3cret \n"} {
		got := p.ask(t.Context(), false)
		p.expect("Passphrase: ")
		if p.settings().Lflag&(unix.ECHO|unix.ECHONL) != 0 {
			t.Error("the terminal echoes")
		}
		p.write(typed)
		p.expect("\r\n")
		want := strings.NewReplacer("x\x7f", "", "\x04", "", "\n", "", "\r", "").Replace(typed)
		if a := <-got; a.err != nil || a.text != want {
			t.Errorf("typed %q, got %q, %v", typed, a.text, a.err)
		}
		if p.settings() != before {
			t.Error("the terminal is not as it was")
		}
	}
	if seen := p.seen.String(); seen != strings.Repeat("Passphrase: \r\n", 6) {
		t.Errorf("the terminal showed %q", seen)
	}
}

func TestPassphraseConfirmed(t *testing.T) {
	p := newPty(t)
	got := p.ask(t.Context(), true)
	for _, typed := range []string{"one\n", "two\n", "three\n", "three \n", "four\n", "four\n"} {
		p.expect("assphrase: ")
		p.write(typed)
	}
	if a := <-got; a.err != nil || a.text != "four" {
		t.Errorf("got %q, %v", a.text, a.err)
	}
	p.expect("\r\n")
	const round = "Passphrase: \r\nConfirm passphrase: \r\n"
	const sorry = "Sorry, passphrases do not match\r\n"
	if seen := p.seen.String(); seen != round+sorry+round+sorry+round {
		t.Errorf("the terminal showed %q", seen)
	}
}

func TestPassphraseTypedAhead(t *testing.T) {
	p := newPty(t)
	p.set(func() unix.Termios { s := p.settings(); s.Lflag &^= unix.ECHO; return s }())
	p.write("one\none\nyes\n")
	if a := <-p.ask(t.Context(), true); a.err != nil || a.text != "one" {
		t.Errorf("got %q, %v", a.text, a.err)
	}
	if yes, err := Confirm(t.Context(), p.tty, io.Discard, "Sure?"); !yes || err != nil {
		t.Errorf("the line after was answered %v, %v", yes, err)
	}
}

// TestPassphraseInterrupted: whatever ends the wait, the settings come back
// and what was typed is gone.
func TestPassphraseInterrupted(t *testing.T) {
	for name, c := range map[string]struct {
		interrupt func(p *pty, cancel func())
		want      error
	}{
		"context":     {func(_ *pty, cancel func()) { cancel() }, context.Canceled},
		"interrupt":   {func(*pty, func()) { signalSelf(t, syscall.SIGINT) }, context.Canceled},
		"quit":        {func(*pty, func()) { signalSelf(t, syscall.SIGQUIT) }, context.Canceled},
		"termination": {func(*pty, func()) { signalSelf(t, syscall.SIGTERM) }, context.Canceled},
		"end of file": {func(p *pty, _ func()) { p.write("\x15\x04") }, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPty(t)
			before := p.settings()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p.write("half")
			p.expect("half") // still echoed: it has arrived
			got := p.ask(ctx, true)
			p.expect("Passphrase: ")
			c.interrupt(p, cancel)
			if a := <-got; !errors.Is(a.err, c.want) || a.text != "" {
				t.Errorf("got %q, %v", a.text, a.err)
			}
			if p.settings() != before {
				t.Error("the terminal is not as it was")
			}
			p.expect("\r\n")
			p.write("next\n")
			if line, err := ReadLine(t.Context(), p.tty, io.Discard, ""); line != "next" || err != nil {
				t.Errorf("the next line is %q, %v", line, err)
			}
		})
	}
}

func signalSelf(t *testing.T, s syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		t.Error(err)
	}
}

// TestEchoComesBack does what a shell does when it continues the program.
func TestEchoComesBack(t *testing.T) {
	p := newPty(t)
	before := p.settings()
	s := newSource(p.tty)
	restore, err := s.hide()
	if err != nil {
		t.Fatal(err)
	}
	p.set(before)
	p.write("x\n")
	if err := s.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.settings().Lflag&unix.ECHO != 0 {
		t.Error("the terminal echoes again")
	}
	if err := restore(nil); err != nil {
		t.Fatal(err)
	}
	if p.settings() != before {
		t.Error("the terminal is not as it was")
	}
}

func TestPassphraseOutputErrors(t *testing.T) {
	p := newPty(t)
	before := p.settings()
	if _, err := ReadPassphrase(t.Context(), p.tty, brokenWriter{}, "x", false); !errors.Is(err, errBroken) {
		t.Error(err)
	}
	if p.settings() != before {
		t.Error("the terminal is not as it was")
	}
}

func TestPassphraseFromElsewhere(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for name, c := range map[string]struct{ input, want, rest string }{
		"line":           {"s3cret\n", "s3cret", ""},
		"no newline":     {"s3cret", "s3cret", ""},
		"dos":            {"s3cret\r\nmore", "s3cret", "more"},
		"dos at the end": {"s3cret\r", "s3cret", ""},
		"spaces stay":    {" s3 cret \nyes\nno\n", " s3 cret ", "yes\nno\n"},
		"any bytes":      {"\x00\xff\r\r\n\n", "\x00\xff\r", "\n"},
		"empty line":     {"\nmore\n", "", "more\n"},
		"longest":        {long + "\nmore", long, "more"},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, in := range readers(t, c.input) {
				var out strings.Builder
				got, err := ReadPassphrase(t.Context(), in, &out, "Passphrase: ", true)
				if err != nil || string(got) != c.want {
					t.Errorf("%s: got %.20q, %v", kind, got, err)
				}
				if rest, err := io.ReadAll(in); err != nil || string(rest) != c.rest {
					t.Errorf("%s: left over %q, %v", kind, rest, err)
				}
				if out.Len() > 0 {
					t.Errorf("%s: printed %q", kind, out.String())
				}
			}
		})
	}
}

// readers returns the input as all kinds of standard input.
func readers(t *testing.T, input string) map[string]io.Reader {
	file, err := os.Create(t.TempDir() + "/in")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if _, err := file.WriteString(input); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	go func() {
		io.WriteString(w, input) // cut short input fails the test by itself
		w.Close()
	}()
	return map[string]io.Reader{
		"file":     file,
		"pipe":     r,
		"reader":   strings.NewReader(input),
		"buffered": bufio.NewReader(strings.NewReader(input)),
		"eager":    iotest.DataErrReader(strings.NewReader(input)),
	}
}

func TestPassphraseInputErrors(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for name, c := range map[string]struct {
		in   io.Reader
		want error
	}{
		"empty":       {strings.NewReader(""), io.ErrUnexpectedEOF},
		"null device": {null, io.ErrUnexpectedEOF},
		"broken":      {iotest.ErrReader(errBroken), errBroken},
		"broken line": {io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errBroken)), errBroken},
		"no file":     {(*os.File)(nil), os.ErrInvalid},
	} {
		got, err := ReadPassphrase(t.Context(), c.in, io.Discard, "", false)
		if !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	_, err = ReadPassphrase(t.Context(), strings.NewReader(strings.Repeat("x", maxLine+1)), io.Discard, "", false)
	if err == nil || err.Error() != "read passphrase: line is longer than 65536 bytes" {
		t.Error("too long:", err)
	}
}

// TestWaitForPipeIsCancelled: nobody ever writes to the pipe.
func TestWaitForPipeIsCancelled(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	go func() {
		_, err := ReadPassphrase(ctx, r, io.Discard, "", false)
		got <- err
	}()
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestConfirm(t *testing.T) {
	for input, want := range map[string]bool{
		"yes\n": true, "y\n": true, "YES\r\n": true, " Yes \n": true, "yes": true, "\n\ny\n": true,
		"no\n": false, "n\n": false, "yse\n": false, "yes please\n": false, "\n no\nyes\n": false,
	} {
		var out strings.Builder
		got, err := Confirm(t.Context(), strings.NewReader(input), &out, "Continue?")
		if err != nil || got != want {
			t.Errorf("%q: got %v, %v", input, got, err)
		}
		asked := 1 + len(input) - len(strings.TrimLeft(input, "\n"))
		if out.String() != strings.Repeat("Continue? [yes/no] ", asked) {
			t.Errorf("%q: printed %q", input, out.String())
		}
	}
}

func TestConfirmErrors(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		in   io.Reader
		out  io.Writer
		want error
	}{
		"no answer":  {t.Context(), strings.NewReader("\n"), io.Discard, io.ErrUnexpectedEOF},
		"no output":  {t.Context(), strings.NewReader("yes\n"), brokenWriter{}, errBroken},
		"no context": {cancelled, strings.NewReader("yes\n"), io.Discard, context.Canceled},
	} {
		if yes, err := Confirm(c.ctx, c.in, c.out, "?"); yes || !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, %v", name, yes, err)
		}
	}
}

var errBroken = errors.New("broken")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }
