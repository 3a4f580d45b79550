package rdiff

import (
	"bufio"
	"fmt"
	"io"
)

const patchBuffer = 32 << 10

// Patch writes to w what delta makes of base. It reads delta to its end
// command and perhaps beyond: what follows is ignored, as rdiff does. The error
// wraps ErrCorrupt for bytes that are no delta, a copy from outside the base
// and a missing end command; w then has the content before that.
func Patch(w io.Writer, base io.ReaderAt, baseSize int64, delta io.Reader) error {
	p := patcher{w: w, base: base, in: bufio.NewReaderSize(delta, patchBuffer)}
	header, err := p.peek(magicLen)
	if err != nil {
		return err
	}
	if err := checkMagic(header); err != nil {
		return fmt.Errorf("read delta: %w", err)
	}
	if err := p.discard(magicLen); err != nil {
		return err
	}
	for {
		at := p.at
		c, err := p.command()
		if err == nil {
			err = c.within(baseSize)
		}
		if err != nil {
			return fmt.Errorf("read delta: command at byte %d: %w", at, err)
		}
		switch c.kind {
		case kindEnd:
			return nil
		case kindLiteral:
			err = p.literal(c.length)
		case kindCopy:
			err = p.copy(c.start, c.length)
		}
		if err != nil {
			return err
		}
	}
}

type patcher struct {
	w    io.Writer
	base io.ReaderAt
	in   *bufio.Reader
	at   int64  // bytes of the delta that are done with
	buf  []byte // for pieces of the base
}

func (p *patcher) command() (command, error) {
	b, err := p.peek(maxCommandLen)
	if err != nil {
		return command{}, err
	}
	c, n, err := parseCommand(b)
	if err != nil {
		return command{}, err
	}
	return c, p.discard(n)
}

func (p *patcher) literal(n int64) error {
	for n > 0 {
		piece, err := p.peek(int(min(n, patchBuffer)))
		if err != nil {
			return err
		}
		if len(piece) == 0 {
			return fmt.Errorf("read delta: %w: it ends inside a literal", ErrCorrupt)
		}
		if err := p.write(piece); err != nil {
			return err
		}
		n -= int64(len(piece))
		if err := p.discard(len(piece)); err != nil {
			return err
		}
	}
	return nil
}

func (p *patcher) copy(start, n int64) error {
	for n > 0 {
		p.buf = resize(p.buf, int(min(n, patchBuffer)))
		if err := readFull(p.base, p.buf, start); err != nil {
			return fmt.Errorf("read base at byte %d: %w", start, err)
		}
		if err := p.write(p.buf); err != nil {
			return err
		}
		start += int64(len(p.buf))
		n -= int64(len(p.buf))
	}
	return nil
}

func (p *patcher) write(b []byte) error {
	if _, err := p.w.Write(b); err != nil {
		return fmt.Errorf("write patched content: %w", err)
	}
	return nil
}

// peek returns the next n bytes, fewer only if the delta ends before.
func (p *patcher) peek(n int) ([]byte, error) {
	b, err := p.in.Peek(n)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read delta: %w", err)
	}
	return b, nil
}

func (p *patcher) discard(n int) error {
	n, err := p.in.Discard(n)
	p.at += int64(n)
	if err != nil {
		return fmt.Errorf("read delta: %w", err)
	}
	return nil
}
