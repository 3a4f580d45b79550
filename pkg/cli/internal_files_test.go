package cli

import (
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tklbam/pkg/dirindex"
	"tklbam/pkg/userdb"
)

// reference returns a result of the old program's regression test; the tests
// here do what that did, and see testdata/README.
func reference(t *testing.T, path string) string {
	t.Helper()
	return strings.ReplaceAll(readText(t, path), "/testdir", "testdir")
}

// relative makes the output of a command what the regression test made of it:
// paths relative to the working directory, and lines sorted.
func relative(t *testing.T, text string) string {
	t.Helper()
	dir, err := workingDir()
	must(t, err)
	return strings.Join(slices.Sorted(strings.Lines(strings.ReplaceAll(text, dir+"/", ""))), "")
}

// oldSizes gives the directories of an index the size that they had where the
// results were made.
func oldSizes(t *testing.T, index string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(index) {
		rec, err := dirindex.Parse(strings.TrimSuffix(line, "\n"))
		must(t, err)
		if rec.IsDir() {
			rec.Size = 4096
		}
		b.WriteString(rec.String() + "\n")
	}
	return b.String()
}

// localNames has owners in the output of fixstat named as they are here.
// Group 999 was docker's where the results were made.
func localNames(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(text, ":docker ", ":999 ")) {
		words := strings.SplitN(line, " ", 4)
		if words[0] == "chown" {
			uid, gid, _ := strings.Cut(words[2], ":")
			if u, err := user.LookupId(uid); err == nil {
				uid = u.Username
			}
			if g, err := user.LookupGroupId(gid); err == nil {
				gid = g.Name
			}
			words[2] = uid + ":" + gid
		}
		b.WriteString(strings.Join(words, " "))
	}
	return strings.Join(slices.Sorted(strings.Lines(b.String())), "")
}

func setTime(t *testing.T, path string, sec int64) {
	t.Helper()
	times := []unix.Timespec{{Sec: sec}, {Sec: sec}}
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, times, unix.AT_SYMLINK_NOFOLLOW))
}

// makeTestdir makes the tree that an index is of.
func makeTestdir(t *testing.T, index string) {
	t.Helper()
	content := map[int64]string{0: "", 4: "foo\n", 6: "hello\n", 12: "hello world\n"}
	var made []dirindex.Record
	for line := range strings.Lines(index) {
		rec, err := dirindex.Parse("/" + strings.TrimSuffix(line, "\n"))
		must(t, err)
		rec.Path = rec.Path[1:]
		switch {
		case rec.IsDir():
			must(t, os.Mkdir(rec.Path, 0o700))
		case rec.IsSymlink():
			must(t, os.Symlink(rec.Target, rec.Path))
		default:
			writeText(t, rec.Path, content[rec.Size])
		}
		must(t, os.Lchown(rec.Path, rec.UID, rec.GID))
		if !rec.IsSymlink() {
			must(t, os.Chmod(rec.Path, os.FileMode(rec.Perm())))
		}
		made = append(made, rec)
	}
	for _, rec := range slices.Backward(made) {
		setTime(t, rec.Path, rec.MTime)
	}
}

func TestRegtestFiles(t *testing.T) {
	needsRoot(t)
	dirindexResults, results := t.TempDir(), t.TempDir()
	must(t, os.CopyFS(dirindexResults, os.DirFS("../dirindex/testdata")))
	must(t, os.CopyFS(results, os.DirFS("../changes/testdata")))
	t.Chdir(t.TempDir())
	is := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	result := func(name string) string { return reference(t, filepath.Join(results, name)) }
	fixes := func(name string) string { return localNames(result(name)) }

	want := reference(t, filepath.Join(dirindexResults, "index"))
	makeTestdir(t, want)
	internal(t, "dirindex", "--create", "index", "testdir")
	must(t, os.Rename("index", "index.orig"))
	is(relative(t, oldSizes(t, readText(t, "index.orig"))), want)
	internal(t, "dirindex", "--create", "index", "--", "./testdir/", "-testdir/subdir/", "testdir/subdir/subsubdir")
	is(relative(t, oldSizes(t, readText(t, "index"))), reference(t, filepath.Join(dirindexResults, "index-limited")))

	change(t)
	delta := internal(t, "dirindex", "./index.orig", "testdir/")
	writeText(t, "delta.orig", delta)
	is(relative(t, delta), result("3-delta"))

	must(t, os.Chmod("testdir/subdir", 0o700))
	must(t, os.Chown("testdir/chown", 0, -1))
	must(t, os.Chmod("testdir/chmod", 0o644))
	must(t, os.Chown("testdir/subdir/subsubdir", 1, 1))
	must(t, os.Remove("testdir/subdir/subsubdir/file4"))
	is(relative(t, internal(t, "fixstat", "-s", "./delta.orig")), fixes("4-fixstat"))
	is(relative(t, internal(t, "fixstat", "-s", "./delta.orig", "testdir/subdir")), fixes("5-fixstat-limited"))
	is(relative(t, internal(t, "fixstat", "-s", "./delta.orig", "--", "testdir", "-testdir/subdir")), fixes("6-fixstat-excluded"))
	mapped := []string{"fixstat", "-u", "666,777:111,222", "-g", "666,777:111,222", "-v", "./delta.orig"}
	is(relative(t, internal(t, mapped...)), fixes("7-fixstat-mapped"))
	is(internal(t, mapped...), "")

	is(relative(t, internal(t, "dirindex", "./index.orig", "--", "testdir/subdir/", "-testdir/subdir/subsubdir")), result("9-delta-limited"))
	is(relative(t, internal(t, "dirindex", "./index.orig", "--", "testdir/", "-testdir/subdir", "testdir/subdir/subsubdir")), result("10-delta-inverted"))

	writeText(t, "testdir/file", "")
	writeText(t, "testdir/subdir/subsubdir/file3", "")
	is(relative(t, internal(t, "delete", "-s", "./delta.orig")), result("11-delete"))
	is(relative(t, internal(t, "delete", "-s", "./delta.orig", "testdir/subdir")), result("12-delete-limited"))
	is(relative(t, internal(t, "delete", "-v", "./delta.orig")), result("11-delete"))
	is(internal(t, "delete", "-v", "./delta.orig"), "")
}

// change does to the tree what the regression test did.
func change(t *testing.T) {
	t.Helper()
	must(t, os.Rename("testdir/file", "testdir/file-renamed"))
	must(t, os.Remove("testdir/link"))
	must(t, os.Symlink("file-renamed", "testdir/link"))
	must(t, os.Rename("testdir/emptydir", "testdir/emptydir-renamed"))
	writeText(t, "testdir/subdir/file2", "hello world\nchanged\n")
	must(t, os.Chown("testdir/subdir/file2", -1, 666))
	writeText(t, "testdir/subdir/subsubdir/file4", "foo\n")
	must(t, os.Chown("testdir/subdir/subsubdir/file4", 666, -1))
	must(t, os.Remove("testdir/subdir/subsubdir/file3"))
	must(t, os.Mkdir("testdir/new", 0o755))
	writeText(t, "testdir/new/empty", "")
	must(t, os.Chown("testdir/chown", 666, -1))
	must(t, os.Chown("testdir/chgrp", -1, 666))
	must(t, os.Chmod("testdir/chmod", 0))
	must(t, os.Chown("testdir/subdir", 666, 666))
	must(t, os.Chmod("testdir/subdir/subsubdir", 0o750))
}

// paths are the first fields of an index, without the working directory.
func paths(t *testing.T, index string) string {
	t.Helper()
	var list []string
	for line := range strings.Lines(relative(t, index)) {
		path, _, _ := strings.Cut(line, "\t")
		list = append(list, path)
	}
	return strings.Join(list, " ")
}

func TestDirindex(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.MkdirAll("a[b]/x", 0o755))
	must(t, os.MkdirAll("ab/x", 0o755))
	t.Chdir("a[b]")
	must(t, os.Mkdir("out", 0o755))
	for _, name := range []string{"x/1", "x/2.log", "x/#3", "-y"} {
		writeText(t, name, "")
	}
	for _, c := range []struct{ line, stdin, want string }{
		{"x", "", "x x/#3 x/1 x/2.log"},
		{"x -- -x/*.log", "", "x x/#3 x/1"},
		{"x/?", "", "x/1"},
		{"-- -x ./x/1 x//2.log", "", "x/1 x/2.log"},
		{"-- ./-y", "", "-y"},
		{"-- x -x/1 x/1", "", "x x/#3 x/1 x/2.log"}, // the last one counts
		{"none", "", ""},
		{"-- -x", "", ""},
		{"-i -", "# nothing\n  DIR/x # all\n-DIR/x/1\n\n", "x x/#3 x/2.log"},
		{"x/1 --input=-", "DIR/x\n-DIR/x/1\n", "x x/#3 x/1 x/2.log"}, // arguments come later
	} {
		dir, err := workingDir()
		must(t, err)
		args := append([]string{"tklbam-internal", "dirindex", "-c", "out/index"}, strings.Fields(c.line)...)
		out := call(t, strings.ReplaceAll(c.stdin, "DIR", literal(dir)), args...)
		if got := paths(t, readText(t, "out/index")); out != (outcome{}) || got != c.want {
			t.Errorf("%q: %+v, %s", c.line, out, got)
		}
	}
}

func TestDirindexRoot(t *testing.T) {
	root := t.TempDir()
	t.Chdir(t.TempDir())
	must(t, os.MkdirAll(filepath.Join(root, "etc/x"), 0o755))
	for _, path := range []string{"/etc", "etc"} {
		internal(t, "dirindex", "--root="+root, "--create", "index", path)
		if got := paths(t, readText(t, "index")); got != "/etc /etc/x" {
			t.Errorf("index of %s: %s", path, got)
		}
	}
	writeText(t, filepath.Join(root, "etc/y"), "")
	must(t, os.Remove(filepath.Join(root, "etc/x")))
	want := "d\t/etc/x\no\t/etc/y\t" + strconv.Itoa(os.Getuid()) + "\t" + strconv.Itoa(os.Getgid()) + "\n"
	if got := internal(t, "dirindex", "--root", root, "index", "/etc"); got != want {
		t.Errorf("got %q", got)
	}
}

// An index can lie in what it is about, and knows only what was there before.
func TestDirindexOfItself(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.Mkdir("x", 0o755))
	writeText(t, "x/a", "")
	internal(t, "dirindex", "-c", "x/index", "x")
	if got := paths(t, readText(t, "x/index")); got != "x x/a" {
		t.Errorf("index: %s", got)
	}
	if got := paths(t, internal(t, "dirindex", "x/index", "x")); got != "o" {
		t.Errorf("changes: %s", got)
	}
	must(t, os.Chmod("x/index", 0o600))
	must(t, os.Symlink("x/index", "link"))
	internal(t, "dirindex", "-c", "link", "x")
	if got := paths(t, readText(t, "x/index")); got != "x x/a x/index" {
		t.Errorf("index made again: %s", got)
	}
	info, err := os.Lstat("x/index")
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("its mode became %v", info.Mode())
	}
	names, err := os.ReadDir("x")
	must(t, err)
	if len(names) != 2 {
		t.Errorf("there are %v", names)
	}
}

// An index goes to what is no file without replacing it.
func TestDirindexToPipe(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.Mkdir("x", 0o755))
	must(t, unix.Mkfifo("pipe", 0o600))
	read := make(chan string)
	go func() {
		text, err := os.ReadFile("pipe")
		if err != nil {
			text = []byte(err.Error())
		}
		read <- string(text)
	}()
	internal(t, "dirindex", "-c", "pipe", "x")
	if got := paths(t, <-read); got != "x" {
		t.Errorf("the pipe got %s", got)
	}
}

func TestDirindexIncomplete(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.Mkdir("real", 0o755))
	writeText(t, "real/a", "")
	must(t, os.Symlink("real", "link"))
	out := call(t, "", "tklbam-internal", "dirindex", "--create", "index", "link/a", "real")
	if out.code != exitIncomplete || !strings.Contains(out.stderr, "link/a") || !strings.Contains(out.stderr, "not all could be looked at: 1 problem") {
		t.Errorf("%+v", out)
	}
	if got := paths(t, readText(t, "index")); got != "real real/a" {
		t.Errorf("index: %s", got)
	}
}

// describe lists what is in the working directory.
func describe(t *testing.T) string {
	t.Helper()
	var list []string
	must(t, filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &st)
		}
		if path != "." {
			list = append(list, strings.Join([]string{path, strconv.FormatUint(uint64(st.Mode), 8), strconv.Itoa(int(st.Uid)), strconv.Itoa(int(st.Gid))}, " "))
		}
		return err
	}))
	return strings.Join(list, ", ")
}

func TestFixstat(t *testing.T) {
	needsRoot(t)
	for _, c := range []struct {
		name, delta, args  string
		want, printed, err string
	}{
		{
			name: "owner and mode", delta: "s\tDIR/file\t4001\t4002\t0100600\n",
			want: "file 100600 4001 4002", printed: "chown -h 4001:4002 DIR/file\nchmod 0600 DIR/file\n",
		},
		{
			name: "set-id", delta: "s\tDIR/suid\t4001\t0\t0104755\n",
			want: "suid 104755 4001 0", printed: "chown -h 4001:root DIR/suid\n",
		},
		{
			name: "missing directories", delta: "s\tDIR/new/dir\t4001\t4002\t042750\ns\tDIR/old\t0\t0\t0700\ns\tDIR/none\t0\t0\t0100644\no\tDIR/none\t7\t7\n",
			args: "-u 4001,4003", want: "new 40755 0 0, new/dir 42750 4003 4002, old 40700 0 0",
			printed: "mkdir -p DIR/new/dir\nchown -h 4003:4002 DIR/new/dir\nchmod 02750 DIR/new/dir\n" +
				"mkdir -p DIR/old\nchown -h root:root DIR/old\nchmod 0700 DIR/old\n",
		},
		{
			name: "symlinks", delta: "s\tDIR/link\t4001\t4002\t0120777\ns\tDIR/link/x\t4001\t0\t0100600\n",
			want: "link 120777 4001 4002, outside 40755 0 0, outside/x 100644 0 0", printed: "chown -h 4001:4002 DIR/link\n",
		},
		{
			name: "another type", delta: "s\tDIR/file\t4001\t0\t040700\ns\tDIR/outside\t4001\t0\t0100600\n",
			want: "file 100644 0 0, outside 40755 0 0",
		},
		{
			name: "maps", delta: "o\tDIR/file\t0\t0\no\tDIR/suid\t1\t0\nd\tDIR/outside\n", args: "--gid-map 0,4002 --uid-map=1,0:2,3",
			want: "file 100644 0 4002, suid 104755 0 4002", printed: "chown -h root:4002 DIR/file\nchown -h root:4002 DIR/suid\n",
		},
		{name: "part", delta: "s\tDIR/file\t4001\t0\t0100644\ns\tDIR/suid\t4001\t0\t0104755\n", args: "-- s*", want: "file 100644 0 0, suid 104755 4001 0", printed: "chown -h 4001:root DIR/suid\n"},
		{name: "name with a newline", delta: "s\t/.DIR/a\\nb\t4001\t0\t0100644\n", want: "a\nb 100644 4001 0", printed: "chown -h 4001:root /.DIR/a\\nb\n"},
		{name: "the root", delta: "s\t/\t4001\t4001\t040700\n"},
		{name: "no line", delta: "s\tDIR/file\t4001\t0\t0100644\ns\tDIR/file\n", want: "file 100644 0 0", err: "line 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := fixstatTree(t)
			before := describe(t)
			in := func(s string) string { return strings.ReplaceAll(s, "DIR", dir) }
			run := func(option string) outcome {
				return call(t, in(c.delta), append([]string{"tklbam-internal", "fixstat", option, "-"}, strings.Fields(c.args)...)...)
			}
			if out := run("-s"); c.err == "" && out != (outcome{0, in(c.printed), ""}) {
				t.Errorf("simulation: %+v", out)
			}
			if after := describe(t); after != before {
				t.Errorf("a simulation made %s", after)
			}
			switch out := run("-v"); {
			case c.err != "" && (out.code != exitFailure || out.stdout != "" || !strings.Contains(out.stderr, c.err)),
				c.err == "" && out != (outcome{0, in(c.printed), ""}):
				t.Errorf("%+v", out)
			}
			after := strings.Split(describe(t), ", ")
			for _, want := range strings.Split(c.want, ", ") {
				if want != "" && !slices.Contains(after, want) {
					t.Errorf("%q is not in %q", want, after)
				}
			}
			if out := run("-v"); c.err == "" && out != (outcome{}) {
				t.Errorf("again: %+v", out)
			}
		})
	}
}

func fixstatTree(t *testing.T) string {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, name := range []string{"file", "suid", "a\nb"} {
		writeText(t, name, "")
	}
	must(t, unix.Chmod("suid", 0o4755))
	must(t, os.Mkdir("outside", 0o755))
	writeText(t, "outside/x", "")
	must(t, os.Symlink("outside", "link"))
	dir, err := workingDir()
	must(t, err)
	return dir
}

func TestDelete(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.MkdirAll("dir/sub", 0o755))
	must(t, os.Mkdir("empty", 0o755))
	must(t, os.Symlink("dir", "link"))
	for _, name := range []string{"file", "dir/a", "dir/sub/b"} {
		writeText(t, name, "")
	}
	dir, err := workingDir()
	must(t, err)
	delta := strings.ReplaceAll("d\tDIR/dir\nd\tDIR/dir/sub/b\nd\tDIR/empty\nd\tDIR/file\nd\tDIR/link/a\nd\tDIR/link\nd\tDIR/none\no\tDIR/dir/a\t1\t1\nd\t/\n", "DIR", dir)
	printed := strings.ReplaceAll("rm DIR/dir/sub/b\nrm DIR/file\nrm DIR/link\n", "DIR", dir)
	if out := call(t, delta, "tklbam-internal", "delete", "-", "--simulate"); out != (outcome{0, printed, ""}) {
		t.Errorf("simulation: %+v", out)
	}
	out := call(t, delta, "tklbam-internal", "delete", "-", "file")
	if _, err := os.Lstat("file"); out != (outcome{}) || err == nil {
		t.Errorf("a part: %+v, %v", out, err)
	}
	out = call(t, delta, "tklbam", "internal", "delete", "-", "--verbose")
	if out != (outcome{0, strings.Replace(printed, "rm "+dir+"/file\n", "", 1), ""}) {
		t.Errorf("%+v", out)
	}
	var left []string
	must(t, filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		left = append(left, path)
		return err
	}))
	if got := strings.Join(left, " "); got != ". dir dir/a dir/sub empty" {
		t.Errorf("left: %s", got)
	}
}

// What cannot be changed is told, and the rest is done.
func TestDeltaIncomplete(t *testing.T) {
	t.Chdir(t.TempDir())
	writeText(t, "file", "")
	dir, err := workingDir()
	must(t, err)
	const immutable = "proc/version" // nobody can remove that
	out := call(t, "d\t/"+immutable+"\nd\t"+dir+"/file\n", "tklbam-internal", "delete", "-v", "-")
	if out.code != exitIncomplete || out.stdout != "rm "+dir+"/file\n" || !strings.Contains(out.stderr, immutable) {
		t.Errorf("%+v", out)
	}
}

// A map that is printed reads as the map it was.
func FuzzParseIDMap(f *testing.F) {
	f.Add("")
	f.Add("1000,1005:105,106")
	f.Add("0,4294967294:1,1:1,2")
	f.Fuzz(func(t *testing.T, text string) {
		ids, err := parseIDMap(text)
		if err != nil {
			return
		}
		again, err := parseIDMap(ids.String())
		if err != nil || !maps.Equal(ids, again) {
			t.Errorf("%q: %v became %v, %v", text, ids, again, err)
		}
	})
}

func TestRegtestMergeUserdb(t *testing.T) {
	from, err := filepath.Abs("../userdb/testdata")
	must(t, err)
	t.Chdir(t.TempDir())
	in := func(name string) string { return filepath.Join(from, name) }
	args := []string{"merge-userdb", in("old-passwd"), in("old-group"), in("new-passwd"), in("new-group"), "merged-passwd", "merged-group"}
	if got, want := internal(t, args...), readText(t, in("merge-maps")); got != want {
		t.Errorf("maps: got\n%s\nwant\n%s", got, want)
	}
	for _, name := range []string{"merged-passwd", "merged-group"} {
		if got, want := readText(t, name), readText(t, in(name)); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestMergeUserdbNotes(t *testing.T) {
	t.Chdir(t.TempDir())
	writeText(t, "passwd", "root:x:0:0:root:/root:/bin/sh\n")
	writeText(t, "group", "root:x:0:\n")
	writeText(t, "odd", "root:x:0:\nnonsense\n")
	out := call(t, "", "tklbam-internal", "merge-userdb", "passwd", "odd", "passwd", "group", "passwd", "merged")
	if out.code != 0 || out.stdout != "\n\n" || !strings.Contains(out.stderr, "group of the backup, line 2") {
		t.Errorf("%+v", out)
	}
	if got := readText(t, "passwd"); got != "root:x:0:0:root:/root:/bin/sh\n\n" {
		t.Errorf("passwd: %q", got)
	}
	if ids, err := parseIDMap(strings.TrimSpace(out.stdout)); err != nil || !maps.Equal(ids, userdb.IDMap{}) {
		t.Errorf("the empty map reads %v, %v", ids, err)
	}
}
