package backends_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"tklbam/backends"
)

// needs skips a test where a program it needs is absent, or fails it in CI.
func needs(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", program)
	}
	t.Skipf("%s is not installed", program)
	return ""
}

// askDuplicity prints what Duplicity makes of the addresses in its arguments,
// with the path as its backends use it: the file backend without two slashes,
// the container ones without any, the others without the first.
const askDuplicity = `
import json, re, sys, types
from duplicity import log
log.setup()
from duplicity import backend
backend.import_backends()
from duplicity.backends.rsyncbackend import RsyncBackend

for text in sys.argv[1:]:
    pu = backend.ParsedUrl(text)
    port, path, daemon = pu.port, pu.path, False
    if pu.scheme == "rsync":
        this = types.SimpleNamespace(parsed_url=pu)
        daemon = RsyncBackend.over_rsyncd(this)
    if daemon:
        path, port = RsyncBackend.get_rsync_path(this)
        path = path.lstrip("/:")
    elif pu.scheme == "rclone":
        path = path[2:].replace(":/", ":", 1)
    elif pu.scheme == "file":
        path = path[2:]
    elif pu.scheme not in backend.uses_netloc:
        path = path.lstrip("/")
    else:
        path = re.sub("^/", "", path, count=1)
    print(json.dumps([pu.scheme, pu.username or "", pu.password or "", pu.hostname or "", int(port or 0), daemon, path]))
`

// ours are addresses that Duplicity reads otherwise or not at all.
var ours = map[string]string{
	"ssh://h/rel":                     "not known to 0.8",
	"s3+http://key:secret@bucket/a@b": "the bucket would be key:secret@bucket",
	"rclone:remote:path/x":            "it wants the two slashes",
	"rclone:remote:/absolute":         "the same",
	"rclone:my remote:":               "the same",
	"rclone:r@x:a@b":                  "the same",
	"rclone://remote:c:/x":            "the path's slash would be lost",
	"sftp://[fe80::1%25eth0]/x":       "zones are not decoded",
}

func TestDuplicityReadsTheSame(t *testing.T) {
	python := interpreter(t, needs(t, "duplicity"))
	args := []string{"-c", askDuplicity}
	var asked []backends.Address
	for _, test := range addresses {
		if _, skip := ours[test.text]; skip {
			continue
		}
		a, err := backends.ParseAddress(test.text)
		if err != nil {
			t.Fatal(err)
		}
		// The canonical text must mean the same to it as what was given.
		canonical := a
		canonical.Password = backends.Secret{}
		asked = append(asked, a, canonical)
		args = append(args, test.text, a.String())
	}
	var messages bytes.Buffer
	cmd := exec.CommandContext(t.Context(), python, args...)
	cmd.Stderr = &messages
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ask duplicity: %v\n%s", err, &messages)
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if len(lines) != len(asked) {
		t.Fatalf("duplicity reads %d of %d addresses:\n%s", len(lines), len(asked), out)
	}
	for i, a := range asked {
		var p parts
		fields := []any{&p.scheme, &p.user, &p.password, &p.host, &p.port, &p.daemon, &p.path}
		if err := json.Unmarshal(lines[i], &fields); err != nil {
			t.Fatal(err)
		}
		if got := partsOf(a); got != p {
			t.Errorf("%s is %+v here, %+v to duplicity", args[i+2], got, p)
		}
	}
}

// interpreter returns the Python that has Duplicity's modules: the one its
// program names in the first line.
func interpreter(t *testing.T, program string) string {
	t.Helper()
	f, err := os.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	line, err := bufio.NewReader(f).ReadString('\n')
	path, isScript := strings.CutPrefix(strings.TrimSpace(line), "#!")
	if err != nil || !isScript {
		t.Fatalf("%s starts with %q, not with an interpreter", program, line)
	}
	return needs(t, strings.TrimPrefix(strings.TrimSpace(path), "/usr/bin/env "))
}
