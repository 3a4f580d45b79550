package rdiff

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math"
)

const (
	magicDelta    = 0x72730236
	magicLen      = 4
	opEnd         = 0x00
	opLiteralMax  = 0x40 // an opcode up to here is the literal's length
	opLiteral     = 0x41 // with a length of 1, 2, 4 or 8 bytes: four opcodes
	opCopy        = 0x45 // start, then length, 1, 2, 4 or 8 bytes each: sixteen
	opReserved    = 0x55
	maxCommandLen = 1 + 8 + 8
)

type kind uint8

const (
	kindEnd     kind = iota
	kindLiteral      // length bytes of content follow the command
	kindCopy         // length bytes of the base from start
)

// A command is one instruction of a delta. Lengths are positive, starts are
// not negative.
type command struct {
	kind   kind
	start  int64
	length int64
}

// append adds the shortest form of c to b.
func (c command) append(b []byte) []byte {
	switch c.kind {
	case kindLiteral:
		if c.length <= opLiteralMax {
			return append(b, byte(c.length))
		}
		log := widthLog(c.length)
		return appendInt(append(b, opLiteral+log), c.length, log)
	case kindCopy:
		startLog, lengthLog := widthLog(c.start), widthLog(c.length)
		b = append(b, opCopy+4*startLog+lengthLog)
		return appendInt(appendInt(b, c.start, startLog), c.length, lengthLog)
	}
	return append(b, opEnd)
}

// widthLog returns the binary logarithm of the bytes v needs: 0 to 3.
func widthLog(v int64) byte {
	switch {
	case v <= math.MaxUint8:
		return 0
	case v <= math.MaxUint16:
		return 1
	case v <= math.MaxUint32:
		return 2
	}
	return 3
}

func appendInt(b []byte, v int64, widthLog byte) []byte {
	var full [8]byte
	binary.BigEndian.PutUint64(full[:], uint64(v))
	return append(b, full[8-1<<widthLog:]...)
}

// parseCommand returns the command that b begins with and its length. b is
// cut short only where the delta ends.
func parseCommand(b []byte) (command, int, error) {
	if len(b) == 0 {
		return command{}, 0, fmt.Errorf("%w: no end command", ErrCorrupt)
	}
	op := b[0]
	switch {
	case op == opEnd:
		return command{kind: kindEnd}, 1, nil
	case op <= opLiteralMax:
		return command{kind: kindLiteral, length: int64(op)}, 1, nil
	case op < opCopy:
		return parseOperands(b, kindLiteral, 0, 1<<(op-opLiteral))
	case op < opReserved:
		return parseOperands(b, kindCopy, 1<<((op-opCopy)/4), 1<<((op-opCopy)%4))
	}
	return command{}, 0, fmt.Errorf("%w: reserved command 0x%02x", ErrCorrupt, op)
}

// parseOperands parses a start and a length of these many bytes.
func parseOperands(b []byte, k kind, startLen, lengthLen int) (command, int, error) {
	n := 1 + startLen + lengthLen
	if len(b) < n {
		return command{}, 0, fmt.Errorf("%w: it ends inside a command", ErrCorrupt)
	}
	c := command{kind: k, start: parseInt(b[1 : 1+startLen]), length: parseInt(b[1+startLen : n])}
	if c.start < 0 || c.length <= 0 {
		return command{}, 0, fmt.Errorf("%w: command 0x%02x with start %d and length %d", ErrCorrupt, b[0], c.start, c.length)
	}
	return c, n, nil
}

// parseInt returns a negative number for eight bytes beyond an int64.
func parseInt(b []byte) int64 {
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return int64(v)
}

// within checks that a base of size bytes has what c copies.
func (c command) within(size int64) error {
	if c.kind == kindCopy && (c.start > size || c.length > size-c.start) {
		return fmt.Errorf("%w: copy of %d bytes from %d of a base of %d", ErrCorrupt, c.length, c.start, size)
	}
	return nil
}

// checkMagic checks the bytes a delta begins with.
func checkMagic(b []byte) error {
	if len(b) < magicLen {
		return fmt.Errorf("%w: %d bytes hold no header", ErrCorrupt, len(b))
	}
	if got := binary.BigEndian.Uint32(b); got != magicDelta {
		return fmt.Errorf("%w: unknown magic number 0x%08x", ErrCorrupt, got)
	}
	return nil
}

// A commandWriter writes a delta's commands and merges copies of adjacent
// ranges. Errors of the writer below stick in w and are returned by end.
type commandWriter struct {
	w       *bufio.Writer
	pending command // a copy that may grow
	scratch [maxCommandLen]byte
}

func (e *commandWriter) begin() error {
	e.pending = command{}
	return e.write(binary.BigEndian.AppendUint32(e.scratch[:0], magicDelta))
}

func (e *commandWriter) copy(start, length int64) error {
	if e.pending.kind == kindCopy && start == e.pending.start+e.pending.length {
		e.pending.length += length
		return nil
	}
	err := e.flushCopy()
	e.pending = command{kind: kindCopy, start: start, length: length}
	return err
}

func (e *commandWriter) literal(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if err := e.flushCopy(); err != nil {
		return err
	}
	if err := e.command(command{kind: kindLiteral, length: int64(len(p))}); err != nil {
		return err
	}
	return e.write(p)
}

func (e *commandWriter) end() error {
	if err := e.flushCopy(); err != nil {
		return err
	}
	if err := e.command(command{kind: kindEnd}); err != nil {
		return err
	}
	if err := e.w.Flush(); err != nil {
		return fmt.Errorf("write delta: %w", err)
	}
	return nil
}

func (e *commandWriter) flushCopy() error {
	if e.pending.kind != kindCopy {
		return nil
	}
	c := e.pending
	e.pending = command{}
	return e.command(c)
}

func (e *commandWriter) command(c command) error { return e.write(c.append(e.scratch[:0])) }

func (e *commandWriter) write(p []byte) error {
	if _, err := e.w.Write(p); err != nil {
		return fmt.Errorf("write delta: %w", err)
	}
	return nil
}
