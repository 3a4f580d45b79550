package cli

import (
	"time"

	"tklbam/chain"
)

// backupEvent is the last line of a backup's --json: sizes in bytes, times in
// RFC 3339, durations in seconds.
type backupEvent struct {
	Event       string     `json:"event"` // "summary"
	Type        string     `json:"type"`  // full or incremental
	Reason      string     `json:"reason"`
	Time        time.Time  `json:"time"`
	Resumed     bool       `json:"resumed"`
	Files       int64      `json:"files"`
	New         int64      `json:"new"`
	Changed     int64      `json:"changed"`
	Unchanged   int64      `json:"unchanged"`
	Deleted     int64      `json:"deleted"`
	SourceBytes int64      `json:"source_bytes"`
	ReadBytes   int64      `json:"read_bytes"`
	StoredBytes int64      `json:"stored_bytes"`
	Volumes     int        `json:"volumes"`
	Seconds     float64    `json:"seconds"`
	NextFull    *time.Time `json:"next_full,omitempty"`
	Warnings    int64      `json:"warnings"`
	Lost        int64      `json:"lost"`
}

// restoreEvent is the last line of a restore's --json.
type restoreEvent struct {
	Event    string    `json:"event"` // "summary"
	Time     time.Time `json:"time"`  // of the state restored
	Sets     int       `json:"sets"`
	Files    int64     `json:"files"`
	Bytes    int64     `json:"bytes"`
	Volumes  int       `json:"volumes"`
	Seconds  float64   `json:"seconds"`
	Warnings int64     `json:"warnings"`
	Lost     int64     `json:"lost"`
}

func summaryEvent(sum any) any {
	switch s := sum.(type) {
	case *chain.Summary:
		e := backupEvent{
			Event: "summary", Type: "incremental", Reason: s.Reason, Time: s.End, Resumed: s.Resumed,
			Files: s.Files, New: s.New, Changed: s.Changed, Unchanged: s.Unchanged, Deleted: s.Deleted,
			SourceBytes: s.SourceBytes, ReadBytes: s.ReadBytes, StoredBytes: s.StoredBytes,
			Volumes: s.Volumes, Seconds: seconds(s.Elapsed), Warnings: s.Warnings, Lost: s.Lost,
		}
		if s.Full {
			e.Type = "full"
		}
		if !s.NextFull.IsZero() {
			e.NextFull = &s.NextFull
		}
		return e
	case *chain.Restored:
		return restoreEvent{
			Event: "summary", Time: s.Time, Sets: s.Sets, Files: s.Files, Bytes: s.Bytes,
			Volumes: s.Volumes, Seconds: seconds(s.Elapsed), Warnings: s.Warnings, Lost: s.Lost,
		}
	}
	return sum
}
