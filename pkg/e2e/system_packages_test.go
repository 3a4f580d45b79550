package e2e

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A debPackage is what a package is built of.
type debPackage struct {
	depends   string
	files     map[string]string
	dirs      []string
	conffiles []string
	postinst  string
}

// Packages of the tests' own archive. The application has all that gives a
// restore work: a dependency, a conffile, a user of its own and a directory
// that belongs to it. Its installation can be told to end a restore: by the
// number of a process in a file on the other disk.
var debPackages = map[string]debPackage{
	"e2e-lib": {files: map[string]string{"usr/share/e2e-lib/data": "data\n"}},
	"e2e-app": {
		depends:   "e2e-lib",
		files:     map[string]string{"etc/e2e-app/app.conf": "shipped = yes\n", "usr/bin/e2e-app": "#!/bin/sh\necho app\n"},
		dirs:      []string{"var/lib/e2e-app"},
		conffiles: []string{"/etc/e2e-app/app.conf"},
		postinst: `#!/bin/sh
set -e
victim=/mnt/otherdisk/victim
if [ -s $victim ]; then kill -9 $(cat $victim); rm $victim; fi
getent passwd e2e-daemon >/dev/null || useradd --system --no-create-home --shell /usr/sbin/nologin e2e-daemon
chown e2e-daemon: /var/lib/e2e-app
`,
	},
	"e2e-own": {files: map[string]string{"usr/share/e2e-own/data": "own\n"}},
}

// repository makes an archive of packages that machines use without a
// network.
func repository(t testing.TB, names ...string) string {
	t.Helper()
	needs(t, "dpkg-deb")
	dir := tempDir(t)
	var index strings.Builder
	for _, name := range names {
		control, file := debPackages[name].build(t, dir, name)
		content, err := os.ReadFile(filepath.Join(dir, file))
		ok(t, err)
		fmt.Fprintf(&index, "%sFilename: ./%s\nSize: %d\nSHA256: %x\n\n", control, file, len(content), sha256.Sum256(content))
	}
	ok(t, os.WriteFile(filepath.Join(dir, "Packages"), []byte(index.String()), 0o644))
	return dir
}

// build builds the package and returns its control file and its name.
func (p debPackage) build(t testing.TB, dir, name string) (control, file string) {
	t.Helper()
	tmp := tempDir(t)
	put := func(path, content string, mode os.FileMode) {
		ok(t, os.MkdirAll(filepath.Dir(filepath.Join(tmp, path)), 0o755))
		ok(t, os.WriteFile(filepath.Join(tmp, path), []byte(content), mode))
	}
	control = "Package: " + name + "\nVersion: 1.0\nArchitecture: all\nMaintainer: Tests <root@localhost>\nDescription: for tests\n"
	if p.depends != "" {
		control += "Depends: " + p.depends + "\n"
	}
	put("DEBIAN/control", control, 0o644)
	for _, path := range slices.Sorted(maps.Keys(p.files)) {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(path, "usr/bin/") {
			mode = 0o755
		}
		put(path, p.files[path], mode)
	}
	for _, path := range p.dirs {
		ok(t, os.MkdirAll(filepath.Join(tmp, path), 0o755))
	}
	if p.conffiles != nil {
		put("DEBIAN/conffiles", strings.Join(p.conffiles, "\n")+"\n", 0o644)
	}
	if p.postinst != "" {
		put("DEBIAN/postinst", p.postinst, 0o755)
	}
	file = name + "_1.0_all.deb"
	cmd := exec.Command("dpkg-deb", "--root-owner-group", "-Znone", "--build", tmp, filepath.Join(dir, file))
	if r := run(t, cmd); r.code != 0 {
		t.Fatalf("build %s: %s", name, r.output())
	}
	return control, file
}

// packages lists what is installed, with versions and states, and whether it
// was asked for.
func (m *machine) packages() string {
	m.t.Helper()
	return m.must("dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Abbrev}\n").stdout +
		m.must("apt-mark", "showmanual").stdout
}
