package progress

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestPlain(t *testing.T) {
	var out strings.Builder
	st := newStage(Plain(&out))
	st.Phase("scanning")
	st.work(3*time.Second, 0, 500)
	st.Phase("backing up")
	st.SetTotal(Total{Bytes: 300_000_000, Files: 3000})
	st.SetPath("odd\x1bname")
	st.work(20*time.Second, 1_000_000, 10)
	st.Warn("skipped \"a\": \x1b is gone")
	st.work(180*time.Second, 1_000_000, 10)
	st.Notice("nearly there")
	st.work(100*time.Second, 1_000_000, 10)
	st.Phase("uploading signatures")
	if err := st.Stop(); err != nil {
		t.Fatal(err)
	}
	equal(t, out.String(), `scanning
scanning  1,500 files  after 3 s
backing up
backing up  10.0 MB of 300 MB  3%  100 of 3,000 files  1.00 MB/s  4 min 50 s left  after 10 s  "odd\x1bname"
warning: skipped "a": \x1b is gone
backing up  30.0 MB of 300 MB  10%  300 of 3,000 files  1.00 MB/s  4 min 30 s left  1 warning  after 30 s  "odd\x1bname"
backing up  60.0 MB of 300 MB  20%  600 of 3,000 files  1.00 MB/s  4 min 00 s left  1 warning  after 1 min 00 s  "odd\x1bname"
backing up  120 MB of 300 MB  40%  1,200 of 3,000 files  1.00 MB/s  3 min 00 s left  1 warning  after 2 min 00 s  "odd\x1bname"
backing up  180 MB of 300 MB  60%  1,800 of 3,000 files  1.00 MB/s  2 min 00 s left  1 warning  after 3 min 00 s  "odd\x1bname"
nearly there
backing up  240 MB of 300 MB  80%  2,400 of 3,000 files  1.00 MB/s  1 min 00 s left  1 warning  after 4 min 00 s  "odd\x1bname"
backing up  300 MB of 300 MB  100%  3,000 of 3,000 files  1.00 MB/s  1 warning  after 5 min 00 s  "odd\x1bname"
uploading signatures
`)
}

// TestPlainMissedTicks: after a long pause one line is due, not all of them.
func TestPlainMissedTicks(t *testing.T) {
	var out strings.Builder
	st := newStage(Plain(&out))
	st.Phase("x")
	for _, d := range []time.Duration{150 * time.Second, time.Second, 29 * time.Second} {
		st.pass(d)
	}
	equal(t, out.String(), "x\nx  after 2 min 30 s\nx  after 3 min 00 s\n")
}

func TestJSON(t *testing.T) {
	var out strings.Builder
	st := newStage(JSON(&out))
	st.Phase("backing up")
	st.work(2*time.Second, 100, 1)
	st.SetTotal(Total{Bytes: 1000, Files: 20, Estimated: true})
	st.SetPath("a&b/\xff\u2028")
	st.AddStored(77)
	st.AddRetry()
	st.pass(500 * time.Millisecond)
	st.Notice("to <here>")
	st.Warn("line\nbreak")
	if err := st.Stop(); err != nil {
		t.Fatal(err)
	}
	equal(t, out.String(), `{"event":"begin","time":"2026-03-01T12:00:00.250Z","phase":"backing up","elapsed":0,"bytes":0,"files":0,"stored_bytes":0,"rate":0,"retries":0,"warnings":0}
{"event":"progress","time":"2026-03-01T12:00:01.250Z","phase":"backing up","elapsed":1,"bytes":100,"files":1,"stored_bytes":0,"rate":100,"retries":0,"warnings":0}
{"event":"progress","time":"2026-03-01T12:00:02.250Z","phase":"backing up","elapsed":2,"bytes":200,"files":2,"stored_bytes":0,"rate":100,"retries":0,"warnings":0}
{"event":"progress","time":"2026-03-01T12:00:02.750Z","phase":"backing up","elapsed":2.5,"bytes":200,"total_bytes":1000,"files":2,"total_files":20,"estimated":true,"stored_bytes":77,"rate":77,"seconds_left":11,"path":"\"a&b/\\xff\\u2028\"","retries":1,"warnings":0}
{"event":"notice","time":"2026-03-01T12:00:02.750Z","text":"to <here>"}
{"event":"warning","time":"2026-03-01T12:00:02.750Z","text":"line\\nbreak"}
{"event":"end","time":"2026-03-01T12:00:02.750Z","phase":"backing up","elapsed":2.5,"bytes":200,"total_bytes":1000,"files":2,"total_files":20,"estimated":true,"stored_bytes":77,"rate":80,"path":"\"a&b/\\xff\\u2028\"","retries":1,"warnings":1}
`)
}

func TestOutputErrors(t *testing.T) {
	for name, renderer := range map[string]func(io.Writer) Renderer{
		"terminal": func(w io.Writer) Renderer { return Terminal(w, func() int { return 80 }, false) },
		"plain":    Plain,
		"json":     JSON,
	} {
		st := newStage(renderer(brokenWriter{}))
		st.Phase("x")
		st.pass(time.Second)
		if err := st.Stop(); !errors.Is(err, errBroken) {
			t.Errorf("%s: progress: got %v", name, err)
		}
		st = newStage(renderer(brokenWriter{}))
		st.Notice("n")
		if err := st.Stop(); !errors.Is(err, errBroken) {
			t.Errorf("%s: message: got %v", name, err)
		}
	}
}
