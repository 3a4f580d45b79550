package packages

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tklbam/chain/archive"
)

// entryAt is the entry of a file of a tree, as a scan gives it.
func entryAt(t *testing.T, root, path string) *archive.Entry {
	t.Helper()
	place := filepath.Join(root, path)
	var st syscall.Stat_t
	if err := syscall.Lstat(place, &st); err != nil {
		t.Fatalf("%s: %v", place, err)
	}
	e := &archive.Entry{Path: path, Mode: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid), Size: st.Size}
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		e.Type = archive.Regular
	case syscall.S_IFDIR:
		e.Type = archive.Directory
	case syscall.S_IFLNK:
		e.Type = archive.Symlink
		target, err := os.Readlink(place)
		if err != nil {
			t.Fatal(err)
		}
		e.Linkname = target
	}
	return e
}

func compareAt(t *testing.T, b *Baseline, root, path string) Answer {
	t.Helper()
	e := entryAt(t, root, path)
	if root != "/" {
		e.UID, e.GID = 0, 0 // whoever runs the test
	}
	answer, err := b.Compare(e, func() (io.ReadCloser, error) { return os.Open(filepath.Join(root, path)) })
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func everything(string) bool { return true }

func sumLine(content, path string) string { return hexSum(content) + "  " + path + "\n" }

func hexSum(content string) string {
	sum := md5.Sum([]byte(content))
	return hex.EncodeToString(sum[:])
}

func certificate(content string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(content)}))
}

const initScript = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: web\n# Default-Start:     2 3 4 5\n# Default-Stop: 0 1 6\n### END INIT INFO\n"

const alternativeEditor = "auto\n/usr/bin/editor\neditor.1\n/usr/share/man/editor.1\n\n" +
	"/bin/nano\n40\n/usr/share/man/nano.1\n" +
	"/usr/bin/vim\n30\n\n\n"

// testMachine is a machine with merged /usr and one of everything.
func testMachine() map[string]string {
	conffiles := "Conffiles:\n"
	for _, c := range []string{"same", "edited", "deleted", "mode", "script", "fullscript", "old name", "ambiguous", "diverted", "init.d/web"} {
		content := "content"
		switch c {
		case "fullscript":
			content = "#!/bin/sh\n"
		case "script":
			content = "#!/bin/sh\n"
		case "init.d/web":
			content = initScript
		}
		conffiles += " /etc/" + c + " " + hexSum(content) + "\n"
	}
	conffiles += " /etc/obsolete " + hexSum("content") + " obsolete\n"
	conffiles += " /etc/fresh newconffile\n"
	status := func(name, more string) string {
		return "Package: " + name + "\nStatus: install ok installed\nArchitecture: amd64\n" + more + "\n"
	}
	list := "/.\n/etc\n/etc/same\n/etc/edited\n/etc/deleted\n/etc/mode\n/etc/script\n/etc/fullscript\n/etc/old name\n" +
		"/etc/ambiguous\n/etc/diverted\n/etc/init.d\n/etc/init.d/web\n/etc/obsolete\n/etc/fresh\n/etc/empty.d\n/etc/over.d\n" +
		"/etc/link\n/etc/conf.avail\n/etc/conf.avail/10.conf\n/etc/conf.d\n/etc/conf.d/10.conf\n/etc/nosum\n" +
		"/bin\n/bin/nano\n/bin/tool\n/usr/bin/vim\n/usr/share/man/nano.1\n/lib/systemd/system/web.service\n/lib/systemd/system/off.service\n/lib/systemd/system/at@.service\n" +
		"/usr/share/base-files/profile\n/usr/share/web/ucf.conf\n" +
		"/usr/share/ca-certificates/a/One (1).crt\n/usr/share/ca-certificates/a/Two.crt\n" +
		"/opt\n/opt/moved\n/opt/moved/file\n"
	return map[string]string{
		"bin":  "->usr/bin",
		"lib":  "->/usr/lib",
		"etc/": "",

		"var/lib/dpkg/status": status("web", conffiles) + status("other", "Multi-Arch: same\n") +
			"Package: removed\nStatus: deinstall ok config-files\nArchitecture: all\nConffiles:\n /etc/leftover " + hexSum("content") + "\n",
		"var/lib/dpkg/info/web.list": list,
		"var/lib/dpkg/info/web.md5sums": sumLine("tool", "bin/tool") + sumLine("profile", "usr/share/base-files/profile") +
			sumLine("ucf", "usr/share/web/ucf.conf") + sumLine("stolen", "etc/stolen") + sumLine("moved", "opt/moved/file") +
			sumLine("avail", "etc/conf.avail/10.conf") +
			sumLine(certificate("one"), "usr/share/ca-certificates/a/One (1).crt") + sumLine(certificate("two"), "usr/share/ca-certificates/a/Two.crt"),
		"var/lib/dpkg/info/other:amd64.list":    "/etc/ambiguous\n/etc/diverted\n/etc/stolen\n",
		"var/lib/dpkg/info/other:amd64.md5sums": sumLine("other", "etc/ambiguous") + sumLine("other", "etc/diverted") + sumLine("thief", "etc/stolen"),
		"var/lib/dpkg/info/removed.list":        "/etc/leftover\n",
		"var/lib/dpkg/diversions":               "/etc/diverted\n/etc/diverted.web\nother\n/etc/local\n/etc/local.off\n:\n",
		"var/lib/dpkg/statoverride":             "root adm 2750 /etc/over.d\n",

		"etc/same": "content", "etc/edited": "edited", "etc/mode": "content", "etc/script": "#!/bin/sh\n",
		"etc/fullscript": "#!/bin/sh\n", "etc/old name": "content", "etc/ambiguous": "other",
		"etc/diverted": "other", "etc/diverted.web": "content", "etc/stolen": "thief", "etc/obsolete": "content",
		"etc/fresh": "content", "etc/leftover": "content", "etc/foreign": "content", "etc/nosum": "content",
		"etc/empty.d/": "", "etc/over.d/": "", "etc/mine.d/": "",
		"etc/link": "->same", "etc/conf.avail/10.conf": "avail", "etc/conf.d/10.conf": "->../conf.avail/10.conf",
		"etc/conf.d/20.conf": "->../conf.avail/10.conf",
		"usr/bin/tool":       "tool", "usr/bin/nano": "", "usr/bin/vim": "", "usr/share/man/nano.1": "",
		"opt/moved": "->/srv/moved", "srv/moved/file": "moved",

		"etc/ld.so.cache": "cache", "etc/.pwd.lock": "", "etc/mtab": "->../proc/self/mounts",
		"etc/apparmor.d/local/empty": "", "etc/apparmor.d/local/full": "rule",
		"etc/profile": "profile", "usr/share/base-files/profile": "profile",
		"etc/ucf.conf": "ucf", "etc/ucf-filled.conf": "password",
		"etc/same.dpkg-dist": "content", "etc/edited.dpkg-old": "content", "etc/edited.dpkg-dist": "else",
		"var/lib/ucf/hashfile": hexSum("ucf") + "  /etc/ucf.conf\n" + hexSum("password") + "  /etc/ucf-filled.conf\n",
		"var/lib/ucf/registry": "web \t /etc/ucf.conf\nweb \t /etc/ucf-filled.conf\n",

		"var/lib/dpkg/alternatives/editor": alternativeEditor,
		"var/lib/dpkg/alternatives/pager":  "manual\n/usr/bin/pager\n\n/usr/bin/vim\n10\n",
		"var/lib/dpkg/alternatives/own":    "auto\n/usr/bin/own\n\n/srv/own\n10\n",
		"etc/alternatives/editor":          "->/bin/nano",
		"etc/alternatives/editor.1":        "->/usr/share/man/nano.1",
		"etc/alternatives/pager":           "->/usr/bin/vim",
		"etc/alternatives/own":             "->/srv/own",
		"usr/bin/editor":                   "->/etc/alternatives/editor",
		"usr/bin/own":                      "->/etc/alternatives/own",

		"usr/share/ca-certificates/a/One (1).crt": certificate("one"),
		"usr/share/ca-certificates/a/Two.crt":     certificate("two"),
		"etc/ssl/certs/ca-certificates.crt":       certificate("two") + certificate("one"),
		"etc/ssl/certs/One_=1=.pem":               "->/usr/share/ca-certificates/a/One (1).crt",
		"etc/ssl/certs/0a1b2c3d.0":                "->One_=1=.pem",
		"etc/ssl/certs/mine.pem":                  "->/usr/share/ca-certificates/a/Two.crt",
		"etc/ssl/certs/0a1b2c3d.1":                "->mine.pem",
		"etc/ssl/certs/own.pem":                   "->/usr/local/share/ca-certificates/own.crt",

		"etc/init.d/web": initScript, "etc/init.d/mine": initScript,
		"etc/rc2.d/S01web": "->../init.d/web", "etc/rc0.d/K01web": "->../init.d/web", "etc/rc3.d/K01web": "->../init.d/web",
		"etc/rc2.d/S01mine": "->../init.d/mine", "etc/rc4.d/S01webx": "->../init.d/web",

		"var/lib/systemd/deb-systemd-helper-enabled/web.service.dsh-also":                 "/etc/systemd/system/multi-user.target.wants/web.service\n",
		"var/lib/systemd/deb-systemd-helper-enabled/multi-user.target.wants/web.service":  "",
		"var/lib/systemd/deb-systemd-helper-enabled/multi-user.target.wants/off.service":  "",
		"var/lib/systemd/deb-systemd-helper-enabled/multi-user.target.wants/gone.service": "",
		"var/lib/systemd/deb-systemd-helper-enabled/multi-user.target.wants/at@1.service": "",
		"etc/systemd/system/multi-user.target.wants/web.service":                          "->/lib/systemd/system/web.service",
		"etc/systemd/system/multi-user.target.wants/off.service":                          "->/lib/systemd/system/off.service",
		"etc/systemd/system/multi-user.target.wants/mine.service":                         "->/lib/systemd/system/web.service",
		"var/lib/systemd/deb-systemd-helper-enabled/multi-user.target.wants/tool.service": "",
		"etc/systemd/system/multi-user.target.wants/tool.service":                         "->/usr/bin/tool",
		"etc/systemd/system-preset/50-mine.preset":                                        "# comment\ndisable off.*\n",
		"usr/lib/systemd/system/web.service":                                              "", "usr/lib/systemd/system/off.service": "",
		"usr/lib/systemd/system/at@.service": "",
	}
}

func loadMachine(t *testing.T) (*Baseline, string) {
	t.Helper()
	root := makeRoot(t, testMachine())
	for path, mode := range map[string]os.FileMode{"etc/mode": 0o600, "etc/fullscript": 0o755} {
		if err := os.Chmod(filepath.Join(root, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	b, err := LoadBaseline(root, everything)
	if err != nil {
		t.Fatal(err)
	}
	return b, root
}

func TestCompare(t *testing.T) {
	b, root := loadMachine(t)
	for path, want := range map[string]Answer{
		"etc/same":           Shipped,
		"etc/edited":         Changed,
		"etc/mode":           Metadata,
		"etc/script":         Metadata, // no longer executable
		"etc/fullscript":     Shipped,
		"etc/old name":       Shipped,
		"etc/ambiguous":      Changed,
		"etc/diverted":       Shipped, // the diverting package's
		"etc/diverted.web":   Shipped,
		"etc/stolen":         Shipped,
		"etc/obsolete":       Changed,
		"etc/fresh":          Changed,
		"etc/nosum":          Changed,
		"etc/leftover":       Foreign,
		"etc/foreign":        Foreign,
		"etc":                Shipped,
		"etc/empty.d":        Shipped,
		"etc/over.d":         Metadata,
		"etc/mine.d":         Foreign,
		"etc/link":           Changed,
		"etc/conf.d/10.conf": Shipped,
		"etc/conf.d/20.conf": Foreign,
		"etc/init.d/web":     Metadata, // a script that is not executable
		"usr/bin/tool":       Shipped,  // shipped as bin/tool
		"opt/moved":          Changed,  // shipped as a directory
		"srv/moved/file":     Shipped,

		"etc/ld.so.cache":            Generated,
		"etc/.pwd.lock":              Generated,
		"etc/mtab":                   Generated,
		"etc/apparmor.d/local/empty": Generated,
		"etc/apparmor.d/local/full":  Foreign,
		"etc/profile":                Generated,
		"etc/ucf.conf":               Generated,
		"etc/ucf-filled.conf":        Foreign,
		"etc/same.dpkg-dist":         Generated,
		"etc/edited.dpkg-dist":       Foreign,
		"etc/edited.dpkg-old":        Foreign,

		"etc/alternatives/editor":   Generated,
		"etc/alternatives/editor.1": Generated,
		"etc/alternatives/pager":    Foreign, // chosen by hand
		"etc/alternatives/own":      Foreign, // leads to no package
		"usr/bin/editor":            Generated,
		"usr/bin/own":               Foreign,

		"etc/ssl/certs/ca-certificates.crt": Generated,
		"etc/ssl/certs/One_=1=.pem":         Generated,
		"etc/ssl/certs/0a1b2c3d.0":          Generated,
		"etc/ssl/certs/mine.pem":            Foreign,
		"etc/ssl/certs/0a1b2c3d.1":          Foreign,
		"etc/ssl/certs/own.pem":             Foreign,

		"etc/rc2.d/S01web":  Generated,
		"etc/rc0.d/K01web":  Generated,
		"etc/rc3.d/K01web":  Foreign, // switched off
		"etc/rc2.d/S01mine": Foreign,
		"etc/rc4.d/S01webx": Foreign,

		"etc/systemd/system/multi-user.target.wants/web.service":  Generated,
		"etc/systemd/system/multi-user.target.wants/off.service":  Foreign, // a preset disables it
		"etc/systemd/system/multi-user.target.wants/mine.service": Foreign,
		"etc/systemd/system/multi-user.target.wants/tool.service": Foreign, // leads to no unit
	} {
		if got := compareAt(t, b, root, path); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}

// What the rules rest on may change after the files were made.
func TestGeneratedInDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		path   string
		change func(files map[string]string)
	}{
		"edited profile": {"etc/profile", func(f map[string]string) { f["etc/profile"] = "mine" }},
		"certificate more": {"etc/ssl/certs/ca-certificates.crt", func(f map[string]string) {
			f["etc/ssl/certs/ca-certificates.crt"] += certificate("mine")
		}},
		"certificate less": {"etc/ssl/certs/ca-certificates.crt", func(f map[string]string) {
			f["etc/ssl/certs/ca-certificates.crt"] = certificate("one")
		}},
		"certificate replaced": {"etc/ssl/certs/ca-certificates.crt", func(f map[string]string) {
			f["usr/share/ca-certificates/a/Two.crt"] = certificate("three")
			f["etc/ssl/certs/ca-certificates.crt"] = certificate("one") + certificate("three")
		}},
		"text after certificates": {"etc/ssl/certs/ca-certificates.crt", func(f map[string]string) {
			f["etc/ssl/certs/ca-certificates.crt"] += "mine\n"
		}},
		"edited script":      {"etc/rc2.d/S01web", func(f map[string]string) { f["etc/init.d/web"] = initScript + "exit\n" }},
		"ucf without owner":  {"etc/ucf.conf", func(f map[string]string) { delete(f, "var/lib/ucf/registry") }},
		"ucf owner gone":     {"etc/ucf.conf", func(f map[string]string) { f["var/lib/ucf/registry"] = "removed \t /etc/ucf.conf\n" }},
		"ucf edited":         {"etc/ucf.conf", func(f map[string]string) { f["etc/ucf.conf"] = "mine" }},
		"other choice":       {"etc/alternatives/editor", func(f map[string]string) { f["etc/alternatives/editor"] = "->/usr/bin/vim" }},
		"alternative cut":    {"etc/alternatives/editor", func(f map[string]string) { f["var/lib/dpkg/alternatives/editor"] = alternativeEditor[:60] }},
		"mounts elsewhere":   {"etc/mtab", func(f map[string]string) { f["etc/mtab"] = "->../srv/mounts" }},
		"preset of anything": {"etc/systemd/system/multi-user.target.wants/web.service", func(f map[string]string) { f["etc/systemd/system-preset/50-mine.preset"] = "disable *\n" }},
		"bad preset":         {"etc/systemd/system/multi-user.target.wants/web.service", func(f map[string]string) { f["etc/systemd/system-preset/50-mine.preset"] = "disable [\n" }},
		"unit elsewhere": {"etc/systemd/system/multi-user.target.wants/web.service", func(f map[string]string) {
			f["etc/systemd/system/multi-user.target.wants/web.service"] = "->/srv/web.service"
		}},
	} {
		files := testMachine()
		c.change(files)
		root := makeRoot(t, files)
		b, err := LoadBaseline(root, everything)
		if err != nil {
			t.Fatal(err)
		}
		if got := compareAt(t, b, root, c.path); got != Foreign {
			t.Errorf("%s: got %v, want %v", name, got, Foreign)
		}
	}
}

func TestDeleted(t *testing.T) {
	b, root := loadMachine(t)
	if err := os.RemoveAll(filepath.Join(root, "etc/init.d")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/init.d"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := b.Deleted()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"etc/deleted", "etc/init.d/web", "etc/systemd/system/multi-user.target.wants/at@1.service"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCompareTypes(t *testing.T) {
	b, _ := loadMachine(t)
	unopened := func() (io.ReadCloser, error) { return nil, errors.New("opened") }
	for _, e := range []archive.Entry{
		{Path: "etc/same", Type: archive.Directory, Mode: 0o755},
		{Path: "etc/same", Type: archive.Symlink, Linkname: "x"},
		{Path: "etc/same", Type: archive.Fifo},
		{Path: "etc/conf.d/10.conf", Type: archive.Symlink, Linkname: "../conf.avail/20.conf"},
		{Path: "etc/conf.d", Type: archive.Regular},
	} {
		if got, err := b.Compare(&e, unopened); got != Changed || err != nil {
			t.Errorf("%s as a %v: got %v, %v", e.Path, e.Type, got, err)
		}
	}
	if _, err := b.Compare(&archive.Entry{Path: "etc/same", Type: archive.Regular}, unopened); err == nil {
		t.Error("an error of open was lost")
	}
}

func TestBaselineKeepsWhatIsAskedFor(t *testing.T) {
	root := makeRoot(t, testMachine())
	b, err := LoadBaseline(root, func(p string) bool { return strings.HasPrefix(p, "srv/") })
	if err != nil {
		t.Fatal(err)
	}
	if !b.Owned("srv/moved/file") || b.Owned("etc/same") || b.Owned("opt/moved/file") {
		t.Errorf("kept %v", b.files)
	}
	if gone, err := b.Deleted(); err != nil || len(gone) > 0 {
		t.Errorf("deleted %q, %v", gone, err)
	}
}

func TestResolverLoop(t *testing.T) {
	root := makeRoot(t, map[string]string{"a": "->b", "b": "->a", "c": "->../../d", "d/e": "x"})
	r := newResolver(root)
	if got := r.path("c/e"); got != "d/e" {
		t.Errorf("c/e lies at %q", got)
	}
	for range 2 {
		r.path("a/x/y") // must end
	}
}

func TestParseDiversions(t *testing.T) {
	if _, err := parseDiversions("/a\n/b\n"); err == nil {
		t.Error("two lines were taken")
	}
	if d, err := parseDiversions(""); err != nil || len(d) > 0 {
		t.Errorf("got %v, %v", d, err)
	}
}

func TestAnswerString(t *testing.T) {
	seen := map[string]bool{}
	for a := Foreign; a <= Changed+1; a++ {
		seen[fmt.Sprint(a)] = true
	}
	if len(seen) != int(Changed)+2 {
		t.Errorf("answers share words: %v", seen)
	}
}
