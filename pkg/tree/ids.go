package tree

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// The system's own databases. A static program has no NSS; names from other
// sources are unknown to it.
const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
)

// idNames are the users and groups of this system: the names of ids and the
// ids of names.
type idNames struct{ users, groups idTable }

// readIDs reads both databases. One that is missing or cannot be read has no
// names: ids stand for themselves.
func readIDs() *idNames {
	return &idNames{readTable(passwdFile), readTable(groupFile)}
}

func readTable(file string) idTable {
	text, err := os.ReadFile(file)
	if err != nil {
		return idTable{}
	}
	return parseIDs(string(text))
}

type idTable struct {
	names map[int]string
	ids   map[string]int
}

// or returns the id of a name, and id if there is no such name.
func (t idTable) or(name string, id int) int {
	if named, ok := t.ids[name]; ok {
		return named
	}
	return id
}

// parseIDs reads the text of passwd(5) or group(5), which agree in the first
// three fields: name, password, id. The first line for a name or an id counts,
// as in libc; lines of any other form are no entries.
func parseIDs(text string) idTable {
	t := idTable{make(map[int]string), make(map[string]int)}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		f := strings.SplitN(lines.Text(), ":", 4)
		if len(f) < 3 || f[0] == "" || strings.ContainsAny(f[0][:1], "+-#") {
			continue
		}
		id, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil {
			continue
		}
		if _, dup := t.names[int(id)]; !dup {
			t.names[int(id)] = f[0]
		}
		if _, dup := t.ids[f[0]]; !dup {
			t.ids[f[0]] = int(id)
		}
	}
	return t
}
