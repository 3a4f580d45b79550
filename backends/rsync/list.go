package rsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"tklbam/backends"
)

// List implements backends.Reader. A listing is read to its end before fn is
// called, because fn may take its time and change the directory.
func (t *target) List(ctx context.Context, fn func(name string, size int64) error) error {
	out, err := t.listing(ctx)
	if err != nil {
		return fmt.Errorf("list %s: %w", t, err)
	}
	for line := range strings.Lines(out) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list %s: %w", t, err)
		}
		if line[0] != '-' {
			continue
		}
		e, err := parseEntry(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return fmt.Errorf("list %s: %w", t, err)
		}
		if !backends.ValidName(e.name) {
			continue
		}
		if err := fn(e.name, e.size); err != nil {
			return err
		}
	}
	return nil
}

// listing returns the lines of rsync's listing. That files vanished while it
// was made is no error.
func (t *target) listing(ctx context.Context) (string, error) {
	if err := t.check(ctx); err != nil {
		return "", err
	}
	var out bytes.Buffer
	err := t.program.run(ctx, &out, "--list-only", "--dirs", "--", t.inside(t.dir))
	if exit, ok := errors.AsType[*exitError](err); ok && exit.code == exitVanished {
		err = nil
	}
	return out.String(), err
}

// An entry is a file in a listing.
type entry struct {
	name string
	size int64
}

// entryText is a line for a regular file: its mode, length, date and time, and
// after one space its name. Lengths have separators where an old rsync is told
// to have them.
var entryText = regexp.MustCompile(`^-\S+ +([0-9,.]+) \d+/\d\d/\d\d \d\d:\d\d:\d\d (.+)$`)

func parseEntry(line string) (entry, error) {
	m := entryText.FindStringSubmatch(line)
	if m == nil {
		return entry{}, fmt.Errorf("rsync's listing has the line %.300q", line)
	}
	size, err := strconv.ParseInt(strings.NewReplacer(",", "", ".", "").Replace(m[1]), 10, 64)
	if err != nil {
		return entry{}, fmt.Errorf("rsync's listing has the length %.100q", m[1])
	}
	return entry{unescape(m[2]), size}, nil
}

// unescape resolves rsync's codes for bytes: "\#" and three octal digits. A
// backslash that is followed by what looks like a code is itself one.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if strings.HasPrefix(text[i:], `\#`) && i+5 <= len(text) {
			if code, err := strconv.ParseUint(text[i+2:i+5], 8, 8); err == nil {
				b.WriteByte(byte(code))
				i += 4
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
