package manifest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// What Read accepts. Both are far above what sessions produce: a path has at
// most 4096 bytes on Linux, and a million volumes of the smallest size allowed
// make a terabyte.
const (
	MaxLine    = 1 << 20 // bytes in a line
	MaxVolumes = 1 << 20
	maxHashes  = 16 // of one volume
)

// Read parses a manifest. Memory is taken for volumes as they are read, none
// for the list of changed files. A volume that is listed again replaces its
// earlier listing, and volumes numbered above the last one listed are dropped:
// both are traces of a session that was resumed.
func Read(r io.Reader) (*Manifest, error) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, MaxLine+1)
	scanner.Split(splitLines)
	p := parser{volumes: make(map[int]Volume)}
	number := 0
	for scanner.Scan() {
		number++
		if p.inList(scanner.Bytes()) {
			p.m.Files++ // of which there can be millions: no string is made
			continue
		}
		if err := p.line(scanner.Text()); err != nil {
			return nil, fmt.Errorf("parse manifest: line %d: %w", number, err)
		}
	}
	if err := scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("parse manifest: line %d: longer than %d bytes", number+1, MaxLine)
	} else if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if err := p.endVolume(); err != nil {
		return nil, fmt.Errorf("parse manifest: at its end: %w", err)
	}
	p.m.Volumes = sorted(p.volumes, p.last)
	return &p.m, nil
}

// splitLines is bufio.ScanLines without its tolerance for carriage returns,
// which are ordinary bytes here.
func splitLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// A section is what the indented lines belong to.
type section uint8

const (
	inHeader section = iota
	inVolume
	inFilelist
)

type parser struct {
	m       Manifest
	volumes map[int]Volume
	last    int // number of the volume that was listed last
	section section

	current          Volume
	hasStart, hasEnd bool // of current

	hasHostname, hasLocaldir bool
}

// line takes one line. Those that begin in the first column are fields of the
// manifest; unknown ones are ignored, as is any unknown field of a volume.
func (p *parser) line(line string) error {
	if line != "" && !isSpace(rune(line[0])) {
		if known, err := p.topLine(line); known {
			return err
		}
	}
	if p.section == inVolume {
		return p.volumeLine(line)
	}
	return nil
}

// inList reports whether line is an entry of the list of changed files.
func (p *parser) inList(line []byte) bool {
	return p.section == inFilelist && len(line) > 0 && isSpace(rune(line[0]))
}

// topLine takes the fields that begin in the first column, their names in
// upper or lower case. Of two hostnames the first one counts.
func (p *parser) topLine(line string) (known bool, err error) {
	field, value := line, ""
	if i := strings.IndexFunc(line, isSpace); i >= 0 {
		field, value = line[:i], line[i+1:]
	}
	switch strings.ToLower(field) {
	case "hostname":
		return true, setOnce(&p.m.Hostname, &p.hasHostname, value)
	case "localdir":
		return true, setOnce(&p.m.Localdir, &p.hasLocaldir, value)
	case "volume":
		return true, p.beginVolume(value)
	case "filelist":
		err := p.endVolume()
		p.section = inFilelist
		return true, err
	}
	return false, nil
}

func setOnce(field *string, done *bool, value string) error {
	if *done {
		return nil
	}
	*done = true
	s, err := unquote(value)
	*field = s
	return err
}

func (p *parser) beginVolume(value string) error {
	if err := p.endVolume(); err != nil {
		return err
	}
	digits, _, ok := strings.Cut(value, ":")
	number, err := parseCount(digits)
	if !ok || err != nil || number < 1 {
		return fmt.Errorf("bad volume number %.80q", value)
	}
	p.section = inVolume
	p.current = Volume{Number: number}
	p.hasStart, p.hasEnd = false, false
	return nil
}

// endVolume files the volume that was being read, if any.
func (p *parser) endVolume() error {
	if p.section != inVolume {
		return nil
	}
	p.section = inHeader
	number := p.current.Number
	if !p.hasStart || !p.hasEnd {
		return fmt.Errorf("volume %d: no starting or no ending path", number)
	}
	p.volumes[number] = p.current
	p.last = number
	if len(p.volumes) > MaxVolumes {
		return fmt.Errorf("volume %d: more than %d volumes", number, MaxVolumes)
	}
	return nil
}

func (p *parser) volumeLine(line string) (err error) {
	words := strings.FieldsFunc(line, isSpace)
	if len(words) == 0 {
		return nil
	}
	switch v := &p.current; strings.ToLower(words[0]) {
	case "startingpath":
		p.hasStart = true
		v.Start, err = parsePosition(words[1:])
	case "endingpath":
		p.hasEnd = true
		v.End, err = parsePosition(words[1:])
	case "hash":
		err = p.hashLine(words[1:])
	}
	if err != nil {
		return fmt.Errorf("volume %d: %w", p.current.Number, err)
	}
	return nil
}

func (p *parser) hashLine(words []string) error {
	if len(words) < 2 {
		return errors.New("hash without a type or without a value")
	}
	p.current.setHash(Hash{Type: words[0], Hex: words[1]})
	if len(p.current.Hashes) > maxHashes {
		return fmt.Errorf("more than %d hashes", maxHashes)
	}
	return nil
}

// parsePosition reads a path and, unless it is blank, the number of a piece.
func parsePosition(words []string) (Position, error) {
	if len(words) == 0 {
		return Position{}, errors.New("path is missing")
	}
	path, err := unquote(words[0])
	if err != nil {
		return Position{}, err
	}
	if path == "." {
		path = ""
	}
	if len(words) == 1 {
		return Position{Path: path}, nil
	}
	piece, err := parseCount(words[1])
	if err != nil {
		return Position{}, fmt.Errorf("bad piece number %.80q", words[1])
	}
	return Position{Path: path, Piece: piece}, nil
}

// parseCount reads a decimal number of at most 31 bits without a sign.
func parseCount(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err
}

// isSpace accepts ASCII white space only: other spaces are parts of names.
func isSpace(r rune) bool {
	return r == ' ' || '\t' <= r && r <= '\r'
}
