package userdb

import (
	"fmt"
	"strings"
	"testing"
)

// users returns a passwd line for each "name:id" or "name:id:gid".
func users(entries ...string) []byte {
	var b []byte
	for _, e := range entries {
		f := strings.Split(e+":"+e[strings.Index(e, ":")+1:], ":")
		b = fmt.Appendf(b, "%s:x:%s:%s::/:/bin/sh\n", f[0], f[1], f[2])
	}
	return b
}

// groups returns a group line for each "name:id:members".
func groups(entries ...string) []byte {
	var b []byte
	for _, e := range entries {
		name, rest, _ := strings.Cut(e, ":")
		b = fmt.Appendf(b, "%s:x:%s\n", name, rest)
	}
	return b
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name                   string
		backup, system, merged string // "name:id", root left out
		uids                   string
	}{
		{"keeps this system's id", "a:1000", "a:1001", "a:1001", "1000,1001"},
		{"keeps a free id", "a:1000", "b:1001", "a:1000 b:1001", ""},
		{"free in range 1-99", "a:5", "b:5 c:1", "c:1 a:2 b:5", "5,2"},
		{"free in range 100-999", "a:100", "b:100 c:101", "b:100 c:101 a:102", "100,102"},
		{"free in range 1000-65533", "a:4000", "b:4000", "a:1000 b:4000", "4000,1000"},
		{"neither side's id", "a:1000 c:1001", "b:1000", "b:1000 c:1001 a:1002", "1000,1002"},
		{"the highest first", "a:1000 b:1001", "c:1000 d:1001", "c:1000 d:1001 b:1002 a:1003", "1000,1003:1001,1002"},
		{"nobody's id is free", "nobody:65534", "a:1", "a:1 nobody:65534", ""},
		{"nobody's id is taken", "nobody:65534", "nfsnobody:65534", "nobody:1000 nfsnobody:65534", "65534,1000"},
		{"a directory's id is free", "a:2000000", "b:1000", "b:1000 a:2000000", ""},
		{"a directory's id is taken", "a:2000000", "b:2000000", "a:1000 b:2000000", "2000000,1000"},
		{"the largest id", "a:4294967294", "b:1", "b:1 a:4294967294", ""},
		{"aliases of an id that is free", "a:7 b:7", "c:8", "a:7 b:7 c:8", ""},
		{"aliases move together", "a:7 b:7", "c:7", "a:1 b:1 c:7", "7,1"},
		{"aliases follow the one with this id", "a:7 b:7", "a:9 b:7", "a:7 b:7 a_orig:9", ""},
		{"aliases follow the first one here", "a:7 b:7 c:7", "c:9 b:8", "c:8 b:8 a:8 c_orig:9", "7,8"},
		{"aliases here only", "a:7 b:8", "a:9 b:9", "a:9 b:9", "8,9:7,9"},
		{"an alias of root", "toor:0", "toor:5", "toor:0 toor_orig:5", ""},
		{"_orig is taken here", "a:7 b:7", "a:9 b:7 a_orig:6", "a_orig:6 a:7 b:7 a_orig_orig:9", ""},
		{"_orig is taken in the backup", "a:7 b:7 a_orig:6", "a:9 b:7", "a_orig:6 a:7 b:7 a_orig_orig:9", ""},
		{"a name that repeats here", "b:5", "a:1 a:5", "a:1 b:2 a:5", "5,2"},
		{"a name that repeats in the backup", "a:1 a:5", "a:7", "a:7", "1,7:5,7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			backup := users(append([]string{"root:0"}, strings.Fields(c.backup)...)...)
			system := users(append([]string{"root:0"}, strings.Fields(c.system)...)...)
			m := merge(t, Files{Passwd: backup}, Files{Passwd: system})
			if got := names(m.Passwd); got != strings.TrimSpace("root:0 "+c.merged) {
				t.Errorf("users are %s", got)
			}
			if m.UIDs.String() != c.uids {
				t.Errorf("uids are %s", m.UIDs)
			}
		})
	}
}

// names returns "name:id name:id …".
func names(data []byte) string {
	var names []string
	for line := range strings.Lines(string(data)) {
		f := strings.Split(line, ":")
		names = append(names, f[0]+":"+f[2])
	}
	return strings.Join(names, " ")
}

func TestRootIsRepaired(t *testing.T) {
	const real = "root:x:0:0:root:/root:/bin/bash\n"
	for _, c := range []struct{ name, backup, system, merged string }{
		{"none at all", "a:x:5:5:::\n", "b:x:6:6:::\n",
			"root:x:0:0:root:/root:/bin/sh\na:x:5:5:::\nb:x:6:6:::\n"},
		{"known by another name here", "a:x:5:5:::\n", "boss:x:0:0::/boss:/bin/ksh\n",
			"boss:x:0:0::/boss:/bin/ksh\nroot:x:0:0::/boss:/bin/ksh\na:x:5:5:::\n"},
		{"this system's stays what it is", "boss:x:0:0::/boss:/bin/ksh\n", real,
			real + "boss:x:0:0::/boss:/bin/ksh\n"},
		{"the backup's is taken", real, "b:x:6:6:::\n", real + "b:x:6:6:::\n"},
		{"one made up is not kept by another name", "root:x:1:1:::\na:x:1:1:::\n", "a:x:1:1:::\n",
			"a:x:1:1:::\nroot:x:1:1:::\n"},
		{"a system without users", "", "", ""},
		{"a backup without users", "", "b:x:6:6:::\n", "root:x:0:0:root:/root:/bin/sh\nb:x:6:6:::\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := merge(t, Files{Passwd: []byte(c.backup)}, Files{Passwd: []byte(c.system)})
			equal(t, "passwd", m.Passwd, []byte(c.merged))
		})
	}
	m := merge(t, Files{Passwd: []byte("boss:x:0:77:::\n")}, Files{})
	if len(m.Plan.Notes) != 1 {
		t.Errorf("notes are %s", m.Plan.Notes)
	}
	m = merge(t, Files{Group: groups("last:7:a,b")}, Files{Group: groups("other:8:")})
	equal(t, "group", m.Group, groups("root:0:", "last:7:a,b", "other:8:"))
	if got := m.Plan.Groups[0].String(); got != `repair "root" id 0: neither side has it` {
		t.Errorf("the first step is %s", got)
	}
}

func TestExhaustedRange(t *testing.T) {
	for _, s := range []struct{ first, last, id int }{{1, 99, 50}, {100, 999, 100}, {1000, 65533, 65533}, {1000, 65533, 70000}} {
		taken := []string{fmt.Sprintf("r%d:%d", 70000, 70000)}
		for id := s.first; id < s.last; id++ {
			taken = append(taken, fmt.Sprintf("r%d:%d", id, id))
		}
		backup := Files{Passwd: users(fmt.Sprintf("a:%d", s.id))}
		if s.id == s.last {
			backup = Files{Passwd: users("a:65532")}
		}
		m := merge(t, backup, Files{Passwd: users(taken...)})
		if got := m.UIDs.Map(Parse(Passwd, backup.Passwd).lines[0].entry.id); got != s.last {
			t.Errorf("the last free id of %d-%d is %d", s.first, s.last, got)
		}
		taken = append(taken, fmt.Sprintf("r%d:%d", s.last, s.last))
		_, err := Merge(backup, Files{Passwd: users(taken...)})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("no id from %d-%d is free", s.first, s.last)) {
			t.Errorf("with all of %d-%d taken: %v", s.first, s.last, err)
		}
	}
}

func TestFields(t *testing.T) {
	m := merge(t, Files{
		Passwd: []byte("root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann:/srv/ann:/bin/zsh\nbob:x:1001:007:::\nlost:x:1002:77:::\nweb:x:33:40:::\n"),
		Group:  groups("root:0:", "ann:1000:", "seven:7:", "toor:40:"),
	}, Files{
		Passwd: []byte("root:x:0:0:root:/root:/bin/sh\nann:x:1000:2:Me:/home/ann:/bin/sh\nguest:x:1001:1000:::\n"),
		Group:  groups("root:0:", "guest:1000:", "seven:8:", "seventyseven:77:", "toor:0:"),
	})
	equal(t, "passwd", m.Passwd, []byte("root:x:0:0:root:/root:/bin/sh\nweb:x:33:0:::\nann:x:1000:1001:Ann:/srv/ann:/bin/zsh\n"+
		"guest:x:1001:1000:::\nlost:x:1002:77:::\nbob:x:1003:8:::\n"))
	for _, want := range []string{
		`user: update "ann" id 1000: primary group "2" becomes "1001", comment "Me" becomes "Ann", home directory "/home/ann" becomes "/srv/ann", shell "/bin/sh" becomes "/bin/zsh"`,
		`user: add "bob" id 1001 to 1003: id 1001 belongs to "guest" on this system`,
		`user: add "lost" id 1002: only in the backup, its id is free`,
		`group: remap "seven" id 7 to 8: the id of "seven" on this system`,
		`note: passwd of the backup, line 4, "lost": its primary group "77" is no group of the backup: the number is kept, on this system it is group "seventyseven"`,
	} {
		if !strings.Contains(m.Plan.String(), want+"\n") {
			t.Errorf("the plan has no line\n%s\nit is\n%s", want, m.Plan)
		}
	}
}

func TestMembers(t *testing.T) {
	m := merge(t, Files{
		Passwd: users("root:0", "a:7", "b:7", "new:1000"),
		Group:  groups("root:0:", "adm:4:new,b", "mine:1000:new", "same:50:x,,y", "order:51:a,b", "turned:52:c,new"),
	}, Files{
		Passwd: users("root:0", "a:9", "b:7", "c:1001"),
		Group:  groups("root:0:c", "adm:4:c,b,a", "here:60:a", "same:50:y", "order:51:b,a", "turned:52:new,c"),
	})
	equal(t, "group", m.Group, groups("root:0:c", "adm:4:new,b,c,a,a_orig", "same:50:x,,y", "order:51:a,b,a_orig", "turned:52:c,new", "here:60:a,a_orig", "mine:1000:new"))
	var steps []string
	for _, s := range m.Plan.Groups {
		steps = append(steps, s.String())
	}
	equal(t, "the plan", []byte(strings.Join(steps, "\n")), []byte(`update "adm" id 4: members "c,b,a" becomes "new,b,c,a,a_orig"
update "same" id 50: members "y" becomes "x,,y"
update "order" id 51: members "b,a" becomes "a,b,a_orig"
update "here" id 60: members "a" becomes "a,a_orig"
add "mine" id 1000: only in the backup, its id is free`))
}

func TestOtherLines(t *testing.T) {
	m := merge(t, Files{
		Passwd: []byte("# theirs\n+\n\na:x:5:5:::\na:x:6:6:::\nshort:x:7\nodd:x:8:8:extra\nb\x7f:x:9:9:::\nc:x:-1:9:::\n"),
	}, Files{
		Passwd: []byte("# ours\nroot:x:0:0:::\n\n+@staff::::::\nroot:x:5:0:::\nd:x:ten:0:::\n-e\nz:x:3:3:::"),
	})
	equal(t, "passwd", m.Passwd, []byte("# ours\nroot:x:0:0:::\na:x:1:5:::\nz:x:3:3:::\nodd:x:8:8:extra\n"+
		"+@staff::::::\nd:x:ten:0:::\n-e\nroot:x:5:0:::\n"))
	var notes strings.Builder
	for _, n := range m.Plan.Notes {
		if !strings.Contains(n.Text, "primary group") {
			fmt.Fprintln(&notes, n)
		}
	}
	equal(t, "notes", []byte(notes.String()), []byte(`passwd of the backup, line 1: it is a comment: left out
passwd of the backup, line 2: it is a NIS line: left out
passwd of the backup, line 3: it is blank: left out
passwd of the backup, line 5, "a": an earlier line has the name: left out
passwd of the backup, line 6: it does not have 7 fields: left out
passwd of the backup, line 7, "odd": it does not have 7 fields
passwd of the backup, line 8: its name is empty or has white space or control characters: left out
passwd of the backup, line 9: its id is not a number from 0 to 4294967294: left out
passwd of this system, line 1: it is a comment: kept as it is
passwd of this system, line 3: it is blank: left out
passwd of this system, line 4: it is a NIS line: kept as it is
passwd of this system, line 5, "root": an earlier line has the name: kept as it is
passwd of this system, line 6: its id is not a number from 0 to 4294967294: kept as it is
passwd of this system, line 7: it is a NIS line: kept as it is
`))
}

func TestSameFilesMakeNoPlan(t *testing.T) {
	f := Files{
		Passwd: users("root:0", "a:1000"), Group: groups("root:0:", "a:1000:a"),
		Shadow: []byte("root:*:::::::\na:!:::::::\n"), GShadow: []byte("root:*::\na:!::a\n"),
		SubUID: []byte("a:100000:65536\n"), SubGID: []byte("a:100000:65536\n"),
	}
	m := merge(t, f, f)
	if got := m.Plan.String(); got != "" || len(m.UIDs)+len(m.GIDs) > 0 {
		t.Errorf("the plan is %s", got)
	}
	for _, c := range []struct{ got, want []byte }{{m.Passwd, f.Passwd}, {m.Group, f.Group},
		{m.Shadow, f.Shadow}, {m.GShadow, f.GShadow}, {m.SubUID, f.SubUID}, {m.SubGID, f.SubGID}} {
		equal(t, "a file", c.got, c.want)
	}
}
