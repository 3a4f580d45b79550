package progress

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"
)

// gap separates the fields of a status line.
const gap = "  "

// A field is one part of a status line.
type field struct {
	text  string
	rank  int // each its own; when room is short, the lowest stay
	style string
}

// SGR parameters of a field.
const (
	regular = ""
	bold    = "1"
	yellow  = "33"
)

// fields returns all that can be said about s but the path, in the order of
// display.
func fields(s State) []field {
	all := []field{{printable(s.Phase), 0, bold}}
	add := func(rank int, style, text string) {
		all = append(all, field{text, rank, style})
	}
	if s.Bytes > 0 || s.Total.Bytes > 0 {
		add(3, regular, amount(Bytes(s.Bytes), Bytes(s.Total.Bytes), s.Total.Bytes, s.Total))
	}
	if done, ok := s.Fraction(); ok {
		add(1, regular, fmt.Sprintf("%s%d%%", about(s.Total), int(done*100)))
	}
	if s.Files > 0 || s.Total.Files > 0 {
		count := amount(Count(s.Files), Count(s.Total.Files), s.Total.Files, s.Total)
		add(6, regular, count+" "+plural(max(s.Files, s.Total.Files), "file", "files"))
	}
	if s.Bytes > 0 {
		add(4, regular, Rate(s.Rate))
	}
	if s.Left > 0 {
		add(2, regular, Duration(s.Left)+" left")
	}
	if s.Stored > 0 {
		add(8, regular, Bytes(s.Stored)+" stored")
	}
	if s.Retries > 0 {
		add(7, yellow, Count(s.Retries)+" "+plural(s.Retries, "retry", "retries"))
	}
	if s.Warnings > 0 {
		add(5, yellow, Count(s.Warnings)+" "+plural(s.Warnings, "warning", "warnings"))
	}
	return all
}

// amount returns "done of total", or done alone when the total n is unknown.
func amount(done, total string, n int64, t Total) string {
	if n <= 0 {
		return done
	}
	return done + " of " + about(t) + total
}

// about marks figures that rest on an estimate.
func about(t Total) string {
	if t.Estimated {
		return "~"
	}
	return ""
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// fit returns those of the fields that go side by side into the given columns,
// and the columns left over. The first always goes in, the others by rank.
func fit(all []field, room int) ([]field, int) {
	room -= columns(all[0].text)
	order := slices.SortedFunc(slices.Values(all[1:]), func(a, b field) int { return cmp.Compare(a.rank, b.rank) })
	taken := map[int]bool{all[0].rank: true}
	for _, f := range order {
		if need := len(gap) + columns(f.text); need <= room {
			taken[f.rank] = true
			room -= need
		}
	}
	return slices.DeleteFunc(all, func(f field) bool { return !taken[f.rank] }), room
}

// shorten cuts the middle out of a printable text to make it fit into the
// given columns. The end of a path tells more than its start and keeps more.
func shorten(text string, room int) string {
	if columns(text) <= room {
		return text
	}
	if room < 1 {
		return ""
	}
	head := (room - 1) / 3
	return leading(text, head) + "…" + trailing(text, room-1-head)
}

func leading(text string, room int) string {
	for i, r := range text {
		if room -= width(r); room < 0 {
			return text[:i]
		}
	}
	return text
}

func trailing(text string, room int) string {
	i := len(text)
	for i > 0 {
		r, n := utf8.DecodeLastRuneInString(text[:i])
		if room -= width(r); room < 0 {
			break
		}
		i -= n
	}
	return text[i:]
}

// columns returns how many columns a printable text takes at most.
func columns(text string) int {
	n := 0
	for _, r := range text {
		n += width(r)
	}
	return n
}

// width returns how many columns a rune takes at most. All wide characters lie
// in the ranges that get 2 here, beside many narrow ones: a line thought too
// long is cut a little early, one thought too short would wrap and spoil the
// screen.
func width(r rune) int {
	if r < 0x1100 || 0x1e00 <= r && r < 0x2300 {
		return 1
	}
	return 2
}
