package progress

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"
)

// JSON returns a renderer that writes one JSON object per line, for programs.
// Sizes are in bytes, times in seconds; fields are never renamed, new ones may
// come.
//
// Every object has
//
//	event         "begin", "progress" (each second) and "end" of a phase,
//	              "notice", "warning"
//	time          RFC 3339, UTC, with milliseconds
//
// Notices and warnings have
//
//	text          one line, control characters escaped
//
// and the others
//
//	phase         "scanning", "backing up", …
//	elapsed       since the phase began
//	bytes         done
//	files         done
//	stored_bytes  what the bytes became, compressed and encrypted
//	rate          bytes per second, smoothed; at the end that of the whole phase
//	retries       in the whole operation so far
//	warnings      in the whole operation so far
//
// and where known
//
//	total_bytes, total_files
//	estimated     true when the totals are a guess
//	seconds_left
//	path          the file in work, as Escape returns it
func JSON(w io.Writer) Renderer {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return &jsonLines{encoder: e}
}

type jsonLines struct {
	encoder *json.Encoder
}

type jsonProgress struct {
	Event       string  `json:"event"`
	Time        string  `json:"time"`
	Phase       string  `json:"phase"`
	Elapsed     float64 `json:"elapsed"`
	Bytes       int64   `json:"bytes"`
	TotalBytes  int64   `json:"total_bytes,omitzero"`
	Files       int64   `json:"files"`
	TotalFiles  int64   `json:"total_files,omitzero"`
	Estimated   bool    `json:"estimated,omitzero"`
	Stored      int64   `json:"stored_bytes"`
	Rate        int64   `json:"rate"`
	SecondsLeft int64   `json:"seconds_left,omitzero"`
	Path        string  `json:"path,omitzero"`
	Retries     int64   `json:"retries"`
	Warnings    int64   `json:"warnings"`
}

type jsonMessage struct {
	Event string `json:"event"`
	Time  string `json:"time"`
	Text  string `json:"text"`
}

func (j *jsonLines) Interval() time.Duration { return time.Second }

func (j *jsonLines) Progress(at Moment, s State) error {
	line := jsonProgress{
		Event:       [...]string{Began: "begin", Running: "progress", Ended: "end"}[at],
		Time:        jsonTime(s.Time),
		Phase:       printable(s.Phase),
		Elapsed:     math.Round(s.Elapsed.Seconds()*1000) / 1000,
		Bytes:       s.Bytes,
		TotalBytes:  s.Total.Bytes,
		Files:       s.Files,
		TotalFiles:  s.Total.Files,
		Estimated:   s.Total.Estimated,
		Stored:      s.Stored,
		Rate:        int64(s.Rate),
		SecondsLeft: int64(s.Left / time.Second),
		Retries:     s.Retries,
		Warnings:    s.Warnings,
	}
	if s.Path != "" {
		line.Path = Escape(s.Path)
	}
	return j.encode(line)
}

func (j *jsonLines) Message(m Message) error {
	return j.encode(jsonMessage{
		Event: [...]string{Notice: "notice", Warning: "warning"}[m.Kind],
		Time:  jsonTime(m.Time),
		Text:  printable(m.Text),
	})
}

func (j *jsonLines) Clear() error { return nil }

func (j *jsonLines) encode(line any) error {
	if err := j.encoder.Encode(line); err != nil {
		return fmt.Errorf("write progress: %w", err)
	}
	return nil
}

func jsonTime(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
