package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestNotices: how a backup went is told to a program, to a URL and, if it
// failed, to the hooks; a backup succeeds although nobody can be told.
func TestNotices(t *testing.T) {
	var mu sync.Mutex
	var pings []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		pings = append(pings, r.URL.Path)
	}))
	defer server.Close()
	b := newBox(t)
	script := func(path, text string) {
		ok(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	script(b.path("tell"), `printf '%s ' "$TKLBAM_NOTIFY_EVENT" >>"$1"; cat >>"$1"; echo >>"$1"`)
	ok(t, os.Mkdir(b.path("conf/hooks.d"), 0o755))
	script(b.path("conf/hooks.d/note"), `echo "$1 $2 $TKLBAM_ERROR_STEP: $TKLBAM_ERROR_MESSAGE" >>`+b.path("hooks"))
	conf := func(lines ...string) {
		lines = append(lines, "cache-dir "+b.path("cache"))
		ok(t, os.WriteFile(b.path("conf/conf"), []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	}
	conf("notify-command "+b.path("tell")+" '"+b.path("told")+"'", "notify-ping "+server.URL+"/secret-path")
	src := "--raw-upload=" + b.path("home")

	b.must("backup", src, address(b.storage))
	told := toldIn(t, b.path("told"))
	if len(told) != 2 || told[0].Kind != "start" || told[1].Kind != "success" || !strings.Contains(told[1].Summary, "Full backup of") {
		t.Errorf("told %+v", told)
	}
	if !slices.Equal(pings, []string{"/secret-path/start", "/secret-path"}) {
		t.Errorf("pings %q", pings)
	}

	pings = nil
	ok(t, os.WriteFile(b.path("file"), nil, 0o644))
	b.fails(1, []string{"error: "}, "backup", src, address(b.path("file")))
	told = toldIn(t, b.path("told"))
	if len(told) != 4 || told[3].Kind != "failure" || told[3].Message == "" {
		t.Errorf("told of the failure: %+v", told)
	}
	if !slices.Equal(pings, []string{"/secret-path/start", "/secret-path/fail"}) {
		t.Errorf("pings %q", pings)
	}
	hooks, err := os.ReadFile(b.path("hooks"))
	ok(t, err)
	if want := "backup error run: " + told[3].Message + "\n"; string(hooks) != want {
		t.Errorf("hooks were told %q, want %q", hooks, want)
	}

	server.Close()
	conf("notify-command /nowhere/at/all", "notify-ping "+server.URL+"/secret-path")
	r := b.run("backup", src, address(b.storage))
	b.says(r, 0, "warning: ", "/nowhere/at/all")
	if strings.Contains(r.output(), "secret-path") {
		t.Errorf("the URL shows in %q", r.output())
	}
	conf("notify-mail -x")
	b.fails(1, []string{"notify-mail"}, "backup", src, address(b.storage))
}

// A told is what a notice says.
type told struct {
	Kind    string `json:"event"`
	Message string
	Summary string
}

// toldIn reads what the program was told: a word, and JSON.
func toldIn(t *testing.T, path string) (all []told) {
	text, err := os.ReadFile(path)
	ok(t, err)
	for line := range strings.Lines(string(text)) {
		word, doc, _ := strings.Cut(strings.TrimSpace(line), " ")
		if doc == "" {
			continue
		}
		var e told
		if err := json.Unmarshal([]byte(doc), &e); err != nil || e.Kind != word {
			t.Errorf("line %q: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}
