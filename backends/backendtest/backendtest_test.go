package backendtest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest"
)

func TestMemory(t *testing.T) { run(t, "") }

func run(t *testing.T, fault string) {
	backendtest.Run(t, func(*testing.T) backends.Backend {
		return &memory{fault: fault, files: make(map[string][]byte)}
	})
}

// faults maps what a backend can get wrong to a test that must find it.
var faults = map[string]string{
	"lists one page":             "ListManyOnce",
	"lists a name twice":         "ListManyOnce",
	"lists blocks":               "ListSizes",
	"lists in parallel":          "ListOneCallAtATime",
	"list hides error":           "ListStopsOnError",
	"list ignores context":       "ListCancelled",
	"absent is empty":            "OpenAbsent",
	"read ignores context":       "OpenCancelled",
	"reads mix versions":         "OpenWhileReplaced",
	"reads end early":            "PutContent",
	"writes short":               "PutSmallWrites",
	"appends":                    "PutReplaces",
	"shows what is being stored": "PutHiddenUntilDone",
	"keeps a part":               "PutWriteError",
	"put loses error":            "PutWriteError",
	"write ignores context":      "PutCancelledMidway",
	"stores when cancelled":      "PutCancelledAtEnd",
	"delete wants a file":        "DeleteAbsent",
	"deletes by prefix":          "DeleteRemovesOne",
	"delete ignores context":     "DeleteCancelled",
	"takes any name":             "NamesInvalid",
	"works after close":          "CloseEnds",
	"closes once":                "CloseTwice",
	"prints its password":        "StringIsAddress",
}

// TestFaults runs the suite in a process of its own on backends that break the
// contract.
func TestFaults(t *testing.T) {
	for fault, finder := range faults {
		t.Run(fault, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFaulty$/^"+finder+"$", "-test.v")
			cmd.Env = append(os.Environ(), "BACKENDTEST_FAULT="+fault)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestFaulty/"+finder) {
				t.Errorf("%s does not find it: %v\n%s", finder, err, out)
			}
		})
	}
}

// TestFaulty is the process TestFaults starts.
func TestFaulty(t *testing.T) {
	fault := os.Getenv("BACKENDTEST_FAULT")
	if fault == "" {
		t.Skip("only for TestFaults")
	}
	run(t, fault)
}
