package userdb

import (
	"strconv"
	"strings"
)

// A Kind is one of the files of a user database.
type Kind uint8

// The kinds of files, by their names in /etc.
const (
	Passwd Kind = iota + 1
	Group
	Shadow
	GShadow
)

// String returns the file's name.
func (k Kind) String() string {
	switch k {
	case Passwd:
		return "passwd"
	case Group:
		return "group"
	case Shadow:
		return "shadow"
	case GShadow:
		return "gshadow"
	}
	return "unknown file"
}

// The fields of the files' lines that a merge looks into or writes.
const (
	nameField     = 0 // all files
	passwordField = 1 // all files
	idField       = 2 // passwd, group
	gidField      = 3 // passwd
	membersField  = 3 // group, gshadow
)

// fields returns how many fields a line of the file has (passwd(5), group(5),
// shadow(5), gshadow(5)), and how many make an account or a group: the system
// takes a passwd line without a home directory and a group line without
// members, so those count here too.
func (k Kind) fields() (all, needed int) {
	switch k {
	case Passwd:
		return 7, 4
	case Group:
		return 4, 3
	case Shadow:
		return 9, 9
	case GShadow:
		return 4, 4
	}
	return 0, 0
}

func (k Kind) hasIDs() bool { return k == Passwd || k == Group }

// maxID is the largest id: the next one, (uid_t)-1, means "leave it" to
// chown(2).
const maxID = 1<<32 - 2

// A File is a parsed passwd, group, shadow or gshadow file. Bytes returns
// exactly what was parsed, whatever it was.
type File struct {
	kind  Kind
	lines []line
	cut   bool // the last line has no newline
}

// A line's text is kept as it is; entries alone are taken apart.
type line struct {
	number int // from 1
	text   string
	entry  *entry // nil when the line is none
	fault  string // why the line is no entry, or an odd one; "" when all is well
}

// An entry is a line that makes an account or a group.
type entry struct {
	fields []string
	id     int // 0 in shadow and gshadow
	line   int
	madeUp bool // it is in no file, see repairRoot
}

func (e *entry) name() string { return e.fields[nameField] }

func (e *entry) text() string { return strings.Join(e.fields, ":") }

// clone returns a copy with fields of its own.
func (e *entry) clone() *entry {
	c := *e
	c.fields = append([]string(nil), e.fields...)
	return &c
}

// setID changes the id, and the field only if it means another number, so
// that an unusual spelling survives.
func (e *entry) setID(id int) {
	if e.id != id {
		e.id = id
		e.fields[idField] = strconv.Itoa(id)
	}
}

// Parse takes a file apart. No content is an error: what is no entry is kept,
// and a merge reports it.
func Parse(kind Kind, data []byte) *File {
	f := &File{kind: kind}
	if len(data) == 0 {
		return f
	}
	text, newline := strings.CutSuffix(string(data), "\n")
	f.cut = !newline
	for i, s := range strings.Split(text, "\n") {
		f.lines = append(f.lines, parseLine(kind, i+1, s))
	}
	return f
}

// Bytes returns the file's content.
func (f *File) Bytes() []byte {
	var b []byte
	for _, l := range f.lines {
		if l.entry != nil {
			b = append(b, l.entry.text()...)
		} else {
			b = append(b, l.text...)
		}
		b = append(b, '\n')
	}
	if f.cut {
		b = b[:len(b)-1]
	}
	return b
}

func parseLine(kind Kind, number int, text string) line {
	l := line{number: number, text: text}
	if l.fault = notEntry(text); l.fault == "" {
		l.entry, l.fault = parseEntry(kind, text)
	}
	if l.entry != nil {
		l.entry.line = number
	}
	return l
}

const (
	faultBlank   = "it is blank"
	faultComment = "it is a comment"
	faultNIS     = "it is a NIS line"
	faultName    = "its name is empty or has white space or control characters"
	faultID      = "its id is not a number from 0 to 4294967294"
)

func notEntry(text string) string {
	switch {
	case strings.TrimSpace(text) == "":
		return faultBlank
	case text[0] == '#':
		return faultComment
	case text[0] == '+' || text[0] == '-':
		return faultNIS
	}
	return ""
}

// parseEntry returns an entry, or what is wrong, or both when the system
// would take the line for an entry in spite of it.
func parseEntry(kind Kind, text string) (*entry, string) {
	all, needed := kind.fields()
	fields := strings.SplitN(text, ":", all+1)
	e, fault := &entry{fields: fields}, ""
	if len(fields) != all {
		fault = "it does not have " + strconv.Itoa(all) + " fields"
	}
	switch {
	case !validName(fields[nameField]):
		return nil, faultName
	case len(fields) < needed, len(fields) > all && !kind.hasIDs():
		return nil, fault
	}
	if kind.hasIDs() {
		var ok bool
		if e.id, ok = parseID(fields[idField]); !ok {
			return nil, faultID
		}
	}
	return e, fault
}

// validName refuses what the system's own parser would read as another name,
// or as none: it skips white space at the start of a line.
func validName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// parseID takes decimal digits alone.
func parseID(s string) (int, bool) {
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil || id > maxID {
		return 0, false
	}
	return int(id), true
}

// Names returns the name of every id in a passwd or group file: as the system
// does, the first one that has it.
func (f *File) Names() map[int]string {
	names := make(map[int]string)
	for _, l := range f.lines {
		if l.entry == nil || !f.kind.hasIDs() {
			continue
		}
		if _, ok := names[l.entry.id]; !ok {
			names[l.entry.id] = l.entry.name()
		}
	}
	return names
}
