package userdb

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestShadow(t *testing.T) {
	m := merge(t, Files{
		Passwd: []byte("root:x:0:0:::\na:x:7:7:::\nb:x:7:7:::\nnew:x:1000:1:::\nbare:x:1001:1:::\nopen:HASH:1002:1:::\nbad:x:1003:1:::\nreused:x:1004:1:::\n"),
		Shadow: []byte("root:BACKUP:::::::\na:BACKUP:::::::\nb:BACKUP:::::::\nnew:NEW:19000:0:99999:7:::\nbad:SECRET\ngone:SECRET:::::::\nreused:REUSED:::::::\n"),
	}, Files{
		Passwd: []byte("root:x:0:0:::\na:x:9:7:::\nb:x:7:7:::\nhere:x:1000:1:::\nnone:x:1001:1:::\n"),
		Shadow: []byte("here:HERE:1::::::\nroot:ROOT:::::::\na:A:::::::\nb:B:::::::\nreused:STALE:::::::\nldap:LDAP:::::::\n+\n"),
	})
	equal(t, "passwd", m.Passwd, []byte("root:x:0:0:::\na:x:7:7:::\nb:x:7:7:::\na_orig:x:9:7:::\nhere:x:1000:1:::\nnone:x:1001:1:::\n"+
		"open:x:1002:1:::\nbad:x:1003:1:::\nreused:x:1004:1:::\nbare:x:1005:1:::\nnew:x:1006:1:::\n"))
	equal(t, "shadow", m.Shadow, []byte("root:ROOT:::::::\na:A:::::::\nb:B:::::::\na_orig:A:::::::\nhere:HERE:1::::::\n"+
		"open:HASH:::::::\nbad:!:::::::\nreused:REUSED:::::::\nbare:!:::::::\nnew:NEW:19000:0:99999:7:::\nldap:LDAP:::::::\n+\n"))
	for _, want := range []string{
		`shadow of the backup, "open": its password was in the public file: moved here`,
		`shadow of the backup, "bad": it has no usable line: the account is locked`,
		`shadow of the backup, line 6, "gone": it has no entry in passwd: left out`,
		`shadow of this system, line 5, "reused": it had no entry in passwd: replaced`,
	} {
		if !strings.Contains(m.Plan.String(), "note: "+want+"\n") {
			t.Errorf("the plan has no note %s\n%s", want, m.Plan)
		}
	}
	for _, secret := range []string{"SECRET", "HASH", "STALE", "ROOT", "NEW"} {
		if strings.Contains(m.Plan.String(), secret) {
			t.Errorf("the plan has the password %s", secret)
		}
	}
}

func TestPasswordsStayOnThisSystem(t *testing.T) {
	backup, system := Files{Passwd: []byte("root:HASH:0:0:::\n")}, Files{Passwd: []byte("root:x:0:0:::\n")}
	equal(t, "passwd", merge(t, backup, system).Passwd, backup.Passwd)
	system.Shadow = []byte("root:ROOT:::::::\n")
	m := merge(t, backup, system)
	equal(t, "passwd", m.Passwd, system.Passwd)
	equal(t, "shadow", m.Shadow, system.Shadow)
}

func TestBackupWithoutShadow(t *testing.T) {
	m := merge(t, Files{Passwd: users("root:0", "a:1000"), Group: groups("root:0:", "a:1000:a")},
		Files{Passwd: users("root:0"), Group: groups("root:0:"), Shadow: []byte{}, GShadow: []byte("root:*::\n")})
	equal(t, "shadow", m.Shadow, []byte("a:!:::::::\n"))
	equal(t, "gshadow", m.GShadow, []byte("root:*::\na:!::a\n"))
}

func TestGShadow(t *testing.T) {
	m := merge(t, Files{
		Passwd: users("root:0", "ann:1000"), Group: groups("root:0:", "adm:4:ann", "new:5:ann", "bare:6:ann"),
		GShadow: []byte("root:*::\nadm:BACKUP::\nnew:NEW:ann:ann\n"),
	}, Files{
		Passwd: users("root:0", "bob:1000"), Group: groups("root:0:", "adm:9:bob", "only:5:bob"),
		GShadow: []byte("adm:ADM:bob:bob\nonly:!::bob\nroot:*::\n"),
	})
	equal(t, "group", m.Group, groups("root:0:", "new:1:ann", "only:5:bob", "bare:6:ann", "adm:9:ann,bob"))
	equal(t, "gshadow", m.GShadow, []byte("root:*::\nnew:NEW:ann:ann\nonly:!::bob\nbare:!::ann\nadm:ADM:bob:bob,ann\n"))
}

func TestSubIDs(t *testing.T) {
	backup := Files{
		Passwd: users("root:0", "ann:1000", "bob:1001", "cid:1002", "dan:1003"),
		SubUID: []byte("# ranges\nann:100000:65536\nbob:165536:65536\ncid:300000:10\ncid:300005:10\ndan:400000:10\nbob:150000:10\ndan:5:0\nghost:500000:10\nbob:4294967295:2\n"),
	}
	system := Files{
		Passwd: users("root:0", "ann:1000", "eve:400009"),
		SubUID: []byte("eve:231072:65536\nann:100000:65536\nann:110000:10"),
	}
	m := merge(t, backup, system)
	equal(t, "subuid", m.SubUID, []byte("eve:231072:65536\nann:100000:65536\nann:110000:10\nbob:165536:65536\ncid:300000:10\n"))
	var notes []string
	for _, n := range m.Plan.Notes {
		if n.File == "subuid" {
			notes = append(notes, n.String())
		}
	}
	equal(t, "notes", []byte(strings.Join(notes, "\n")), []byte(`subuid of the backup, line 1: it is no range of ids: left out
subuid of the backup, line 5, "cid": its range is in use on this system: left out
subuid of the backup, line 6, "dan": its range is in use on this system: left out
subuid of the backup, line 7, "bob": its range is in use on this system: left out
subuid of the backup, line 8: it is no range of ids: left out
subuid of the backup, line 10: it is no range of ids: left out`))
	if m.SubGID != nil {
		t.Error("there is a subgid file now")
	}
	backup.SubGID, system.SubGID = []byte("bob:100000:65536\n"), []byte{}
	equal(t, "subgid", merge(t, backup, system).SubGID, backup.SubGID)
}

// needs skips a test whose program is not installed, where that is no fault.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("this test needs %s", program)
	}
	t.Skipf("this test needs %s", program)
}

// The system's own checkers find nothing wrong with what came of files in
// which they find nothing wrong but the lack of shadow lines.
func TestCheckers(t *testing.T) {
	m := merge(t, Files{
		Passwd:  append(users("root:0", "a:7", "b:7", "ann:1000", "bob:1001:7"), "pub:HASH:1005:7::/:/bin/sh\n"...),
		Group:   groups("root:0:", "grp:7:ann,bob", "ann:1000:", "adm:4:ann", "dup:4:"),
		Shadow:  []byte("root:*:::::::\nann:*:19000:0:99999:7:::\n"),
		GShadow: []byte("root:*::\ngrp:!::ann,bob\nadm:!::ann\n"),
	}, Files{
		Passwd:  users("root:0", "a:9:7", "b:7", "guest:1000", "eve:1001:7"),
		Group:   groups("root:0:", "grp:7:eve", "guest:1000:", "adm:5:eve,a", "dup:9:a"),
		Shadow:  []byte("root:*:::::::\na:*:::::::\nb:*:::::::\nguest:*:::::::\neve:*:::::::\n"),
		GShadow: []byte("root:*::\ngrp:!::eve\nguest:!::\nadm:!::eve,a\ndup:!::a\n"),
	})
	for _, program := range []string{"pwck", "grpck"} {
		t.Run(program, func(t *testing.T) { check(t, program, m.Files) })
	}
}

// check runs a checker in a root directory of its own: it looks names up too.
func check(t *testing.T, program string, f Files) {
	needs(t, program)
	if os.Getuid() != 0 {
		t.Skipf("%s -R needs root", program)
	}
	root := t.TempDir()
	for name, data := range map[string][]byte{
		"etc/passwd": f.Passwd, "etc/group": f.Group, "etc/shadow": f.Shadow, "etc/gshadow": f.GShadow, "bin/sh": nil,
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(program, "-r", "-R", root).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", program, err, out)
	}
}
