package packages

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tklbam/chain/archive"
)

// dpkg --verify says which files of this machine differ from what was
// shipped, and so must the baseline.
func TestCompareAsDpkgVerify(t *testing.T) {
	names := verifiable(t)
	reported := map[string]bool{}
	for line := range strings.Lines(output(t, append([]string{"dpkg", "--verify"}, names...)...)) {
		if slash := strings.IndexByte(line, '/'); slash >= 0 {
			reported[strings.TrimSpace(line[slash+1:])] = true
		}
	}
	var paths []string
	for _, name := range names {
		paths = append(paths, strings.Split(output(t, "dpkg", "--listfiles", name), "\n")...)
	}
	wanted := set(paths)
	b, err := LoadBaseline("/", func(p string) bool { return wanted["/"+p] && !strings.HasPrefix(p, "usr/lib/x86") })
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for path, s := range b.files {
		if _, err := os.Lstat("/" + path); err != nil || s.kind != isFile || !wanted["/"+path] {
			continue
		}
		compared++
		answer := compareAt(t, b, "/", path)
		if same := answer == Shipped || answer == Metadata; same == reported[path] {
			t.Errorf("%s: %v, dpkg reports it: %v", path, answer, reported[path])
		}
	}
	t.Logf("%d files of %d packages, %d reported", compared, len(names), len(reported))
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

// verifiable returns packages that have conffiles and are installed, but
// not too many of them.
func verifiable(t *testing.T) []string {
	needs(t, "dpkg")
	all, err := Read("/")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range all {
		p := &all[i]
		if p.Installed() && (len(p.Conffiles) > 0 && len(names) < 25 || p.Name == "nodejs") {
			names = append(names, p.Name+":"+p.Architecture)
		}
	}
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ":all")
	}
	return names
}

// Most of this machine's /etc is as its packages made it.
func TestCompareEtc(t *testing.T) {
	needs(t, "dpkg")
	b, err := LoadBaseline("/", func(p string) bool { return archive.Within(p, "etc") })
	if err != nil {
		t.Fatal(err)
	}
	count, size := map[Answer]int{}, map[Answer]int64{}
	err = filepath.WalkDir("/etc", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return nil // not readable for this user
		}
		e := entryAt(t, "/", path[1:])
		answer, err := b.Compare(e, func() (io.ReadCloser, error) { return os.Open(path) })
		if err != nil && !errors.Is(err, os.ErrPermission) {
			return err
		}
		count[answer]++
		if e.Type == archive.Regular {
			size[answer] += e.Size
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for a := Foreign; a <= Changed; a++ {
		t.Logf("%s: %d, %d bytes", a, count[a], size[a])
	}
	if count[Shipped]+count[Generated] < count[Foreign]+count[Changed] {
		t.Error("less than half of /etc is known")
	}
}

func BenchmarkLoadBaseline(b *testing.B) {
	if _, err := os.Stat("/var/lib/dpkg/status"); err != nil {
		b.Skip("dpkg is not installed")
	}
	for name, keep := range map[string]func(string) bool{
		"etc":        func(p string) bool { return archive.Within(p, "etc") },
		"everything": everything,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				baseline, err := LoadBaseline("/", keep)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(baseline.files)), "files")
			}
		})
	}
}
