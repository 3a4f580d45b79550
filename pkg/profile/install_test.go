package profile

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"tklbam/pkg/registry"
)

func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
}

func openRegistry(t *testing.T) registry.Profile {
	t.Helper()
	r, err := registry.Open(filepath.Join(t.TempDir(), "registry"))
	if err != nil {
		t.Fatal(err)
	}
	return r.Profile()
}

// files returns the regular files below a directory with their content.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		found[path[len(dir)+1:]] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func expectFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if got := files(t, dir); !maps.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

// expectAlone checks that nothing but the profile is in the registry.
func expectAlone(t *testing.T, paths registry.Profile) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(paths.Dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(paths.Dir) {
			t.Errorf("%q is left behind", e.Name())
		}
	}
}

func TestNamesAgreeWithTheRegistry(t *testing.T) {
	p := openRegistry(t)
	for path, name := range map[string]string{
		p.DirindexConf: confName, p.Dirindex: indexName, p.Packages: packagesName,
		p.Hooks: hooksName, p.ID: idName, p.Stamp: stampName,
	} {
		if path != filepath.Join(p.Dir, name) {
			t.Errorf("%q is not %q", path, name)
		}
	}
}

func TestInstallBuiltin(t *testing.T) {
	paths := openRegistry(t)
	if _, err := Load(paths, "debian-12"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no profile: %v", err)
	}
	if err := Install(t.Context(), paths, BuiltinSource()); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, paths.Dir, map[string]string{confName: genericConf, idName: "generic\n", stampName: ""})
	p, err := Load(paths, "debian-12")
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != Generic || p.Timestamp.IsZero() || !p.Limits.Paths().Match("/etc/apt/sources.list") {
		t.Errorf("got %+v", p)
	}
}

func TestInstallEmpty(t *testing.T) {
	paths := openRegistry(t)
	src, ok, err := LocalSource("empty")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := Install(t.Context(), paths, src); err != nil {
		t.Fatal(err)
	}
	p, err := Load(paths, "")
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != Empty || !p.ID.Local() || p.Limits.Paths().Match("/etc") {
		t.Errorf("got %+v", p)
	}
}

func makeProfile(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "my profile")
	if err := os.MkdirAll(filepath.Join(dir, hooksName), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, confName), "/srv # data\n-/srv/tmp\n")
	writeFile(t, filepath.Join(dir, indexName), "index\n")
	writeFile(t, filepath.Join(dir, hooksName, "hook"), "#!/bin/sh\n")
	writeFile(t, filepath.Join(dir, hooksName, "hook.sig"), "signature")
	if err := os.Chmod(filepath.Join(dir, hooksName, "hook"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "README"), "passed over")
	writeFile(t, filepath.Join(dir, idName), "turnkey-core\n")
	return dir
}

func TestInstallDirectory(t *testing.T) {
	paths := openRegistry(t)
	if err := Install(t.Context(), paths, BuiltinSource()); err != nil {
		t.Fatal(err)
	}
	src, ok, err := LocalSource(makeProfile(t) + "/")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := Install(t.Context(), paths, src); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, paths.Dir, map[string]string{
		confName: "/srv # data\n-/srv/tmp\n", indexName: "index\n",
		"hooks.d/hook": "#!/bin/sh\n", "hooks.d/hook.sig": "signature",
		idName: "custom:my profile\n", stampName: "",
	})
	expectAlone(t, paths)
	for path, want := range map[string]fs.FileMode{
		"": 0o700, confName: 0o600, "hooks.d": 0o700, "hooks.d/hook": 0o700, "hooks.d/hook.sig": 0o600,
	} {
		if info, err := os.Stat(filepath.Join(paths.Dir, path)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", path, info.Mode(), err)
		}
	}
	p, err := Load(paths, "")
	if err != nil {
		t.Fatal(err)
	}
	in := p.Limits.Paths()
	if !in.Match("/srv/x") || in.Match("/srv/tmp/x") || in.Match("/etc") || !p.ID.Local() {
		t.Errorf("got %+v", p)
	}
}

func TestLocalSource(t *testing.T) {
	for _, value := range []string{"generic", "core", "turnkey-core-18.0-bookworm-amd64", filepath.Join(t.TempDir(), "none")} {
		if src, ok, err := LocalSource(value); ok || err != nil {
			t.Errorf("%q is %q, %v", value, src.ID, err)
		}
	}
	if _, _, err := LocalSource("/"); err == nil {
		t.Error("the root directory has a name")
	}
}

func TestLoadOldRegistry(t *testing.T) {
	paths := openRegistry(t)
	if err := os.Mkdir(paths.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, paths.Stamp, "")
	if _, err := Load(paths, "debian-12"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no dirindex.conf: %v", err)
	}
	writeFile(t, paths.DirindexConf, "/etc\n")
	if p, err := Load(paths, "debian-12"); err != nil || p.ID != "debian-12" {
		t.Errorf("no profile_id: %v, %v", p, err)
	}
	writeFile(t, paths.ID, "a\nb\n")
	if _, err := Load(paths, "debian-12"); err == nil {
		t.Error("a profile id of two lines is accepted")
	}
	writeFile(t, paths.ID, "generic\n")
	writeFile(t, paths.DirindexConf, "mysql:db\n")
	if _, err := Load(paths, "debian-12"); err == nil {
		t.Error("a database in dirindex.conf is accepted")
	}
}

type member struct {
	name string
	text string
	mode int64
	kind byte
	link string
}

func regular(name, text string) member { return member{name: name, text: text, mode: 0o644} }

func archive(t *testing.T, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	for _, m := range members {
		kind := m.kind
		if kind == 0 {
			kind = tar.TypeReg
		}
		h := &tar.Header{Name: m.name, Mode: m.mode, Size: int64(len(m.text)), Typeflag: kind, Linkname: m.link}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestInstallArchive(t *testing.T) {
	paths := openRegistry(t)
	stamp := time.Unix(1400000000, 0)
	a := archive(t,
		member{name: "./", mode: 0o755, kind: tar.TypeDir},
		regular("./dirindex.conf", "/etc\n"), regular("dirindex", "x\n"), regular("packages", "bash\n"),
		member{name: "hooks.d/", mode: 0o755, kind: tar.TypeDir},
		member{name: "./hooks.d/h", text: "#!/bin/sh\n", mode: 0o755}, regular("hooks.d/h.sig", "s"),
		regular("hooks.d/below/h", "no"), regular("stamp", "no"), regular("profile_id", "empty"), regular("other", "no"))
	if err := Install(t.Context(), paths, ArchiveSource("turnkey-core-18.0", stamp, bytes.NewReader(a))); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, paths.Dir, map[string]string{
		confName: "/etc\n", indexName: "x\n", packagesName: "bash\n", "hooks.d/h": "#!/bin/sh\n", "hooks.d/h.sig": "s",
		idName: "turnkey-core-18.0\n", stampName: "",
	})
	if p, err := Load(paths, ""); err != nil || !p.Timestamp.Equal(stamp) || p.ID.Local() {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestInstallArchiveOfTar(t *testing.T) {
	needs(t, "tar")
	paths := openRegistry(t)
	out, err := exec.Command("tar", "-C", makeProfile(t), "-cz", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := Install(t.Context(), paths, ArchiveSource("x", time.Time{}, bytes.NewReader(out))); err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(files(t, paths.Dir)))
	want := []string{indexName, confName, "hooks.d/hook", "hooks.d/hook.sig", idName, stampName}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// Whatever is wrong with an archive, the profile that was there stays.
func TestInstallHostileArchive(t *testing.T) {
	conf := regular(confName, "/etc\n")
	whole := archive(t, conf, regular(packagesName, strings.Repeat("x\n", 1000)))
	many := []member{conf}
	for i := range maxHooks + 1 {
		many = append(many, regular("hooks.d/"+strings.Repeat("h", i%200+1)+string(rune('a'+i/200)), ""))
	}
	damaged := bytes.Clone(whole)
	damaged[len(damaged)-8] ^= 1 // the checksum
	for name, a := range map[string][]byte{
		"nothing":           {},
		"no gzip":           []byte("dirindex.conf"),
		"no conf":           archive(t, regular(packagesName, "bash\n")),
		"bad conf":          archive(t, regular(confName, "etc\n")),
		"database":          archive(t, regular(confName, "mysql:x\n")),
		"upwards":           archive(t, conf, regular("../dirindex", "x")),
		"upwards below":     archive(t, conf, regular("hooks.d/../../x", "x")),
		"absolute":          archive(t, conf, regular("/tmp/x", "x")),
		"link":              archive(t, conf, member{name: indexName, kind: tar.TypeSymlink, link: "/etc/passwd"}),
		"linked directory":  archive(t, conf, member{name: hooksName, kind: tar.TypeSymlink, link: "/tmp"}, regular("hooks.d/x", "x")),
		"hard link":         archive(t, conf, member{name: indexName, kind: tar.TypeLink, link: "/etc/shadow"}),
		"fifo":              archive(t, conf, member{name: indexName, kind: tar.TypeFifo}),
		"twice":             archive(t, conf, conf),
		"hooks is a file":   archive(t, conf, member{name: hooksName, kind: tar.TypeSymlink, link: "x"}),
		"large conf":        archive(t, regular(confName, strings.Repeat("#\n", maxConf/2+1))),
		"many hooks":        archive(t, many...),
		"long hook":         archive(t, conf, regular("hooks.d/"+strings.Repeat("h", 300), "x")),
		"cut in the middle": whole[:len(whole)/2],
		"cut at the end":    whole[:len(whole)-1],
		"damaged":           damaged,
	} {
		t.Run(name, func(t *testing.T) {
			paths := openRegistry(t)
			if err := Install(t.Context(), paths, EmptySource()); err != nil {
				t.Fatal(err)
			}
			before := files(t, paths.Dir)
			err := Install(t.Context(), paths, ArchiveSource("x", time.Time{}, bytes.NewReader(a)))
			if err == nil {
				t.Error("it is installed")
			}
			expectFiles(t, paths.Dir, before)
			expectAlone(t, paths)
		})
	}
}

func TestBombs(t *testing.T) {
	b := &bounded{neverEnding{}, 100_000}
	if n, err := io.Copy(io.Discard, b); err == nil || n > 100_000 {
		t.Errorf("read %d bytes, %v", n, err)
	}
	b = &bounded{strings.NewReader("12345"), 5}
	if text, err := io.ReadAll(b); err != nil || string(text) != "12345" {
		t.Errorf("got %q, %v", text, err)
	}
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

// A source that fails at any point, or a context that ends there, leaves the
// old profile whole and nothing beside it.
func TestInstallFailsAtEveryStep(t *testing.T) {
	a := archive(t, regular(confName, "/etc\n"), regular(indexName, strings.Repeat("index\n", 100)), regular("hooks.d/h", "h"))
	paths := openRegistry(t)
	if err := Install(t.Context(), paths, EmptySource()); err != nil {
		t.Fatal(err)
	}
	before := files(t, paths.Dir)
	for n := range len(a) {
		broken := io.MultiReader(bytes.NewReader(a[:n]), iotest.ErrReader(io.ErrClosedPipe))
		if err := Install(t.Context(), paths, ArchiveSource("x", time.Time{}, broken)); !errors.Is(err, io.ErrClosedPipe) {
			t.Fatalf("cut at %d: %v", n, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancelling := io.MultiReader(bytes.NewReader(a[:n]), readerFunc(func([]byte) (int, error) {
			cancel()
			return 0, nil
		}), bytes.NewReader(a[n:]))
		if err := Install(ctx, paths, ArchiveSource("x", time.Time{}, cancelling)); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled at %d: %v", n, err)
		}
	}
	expectFiles(t, paths.Dir, before)
	expectAlone(t, paths)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestInstallRemovesWhatACrashLeft(t *testing.T) {
	paths := openRegistry(t)
	stray := filepath.Join(filepath.Dir(paths.Dir), ".profile-123")
	if err := os.MkdirAll(filepath.Join(stray, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Install(t.Context(), paths, EmptySource()); err != nil {
		t.Fatal(err)
	}
	expectAlone(t, paths)
}

func TestExchangeInSteps(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"old", "new"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name, "which"), name)
	}
	if err := exchangeInSteps(filepath.Join(dir, "new"), filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, dir, map[string]string{"old/which": "new"})
	if err := exchangeInSteps(filepath.Join(dir, "none"), filepath.Join(dir, "old")); err == nil {
		t.Error("nothing took a place")
	}
	expectFiles(t, dir, map[string]string{"old/which": "new"})
}

// Any bytes give an error or parts of a profile, none longer than its bound.
func FuzzArchive(f *testing.F) {
	f.Add([]byte("no tar"))
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"./dirindex.conf", "hooks.d/h", "../x", "hooks.d//y", "a/../b"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: 1, Mode: 0o755}); err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write([]byte("x")); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(b.Bytes()))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := readTar(&bounded{bytes.NewReader(data), maxArchive}, func(part string, _ bool, r io.Reader) error {
			if limitOf(part) == 0 || !filepath.IsLocal(part) || filepath.Clean(part) != part {
				t.Errorf("part %q", part)
			}
			_, err := io.Copy(io.Discard, io.LimitReader(r, maxConf))
			return err
		})
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}
