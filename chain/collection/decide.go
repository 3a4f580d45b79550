package collection

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tklbam/chain/filename"
	"tklbam/chain/timeexpr"
)

// A Decision says what the next session makes.
type Decision struct {
	Full     bool
	Chain    *Chain   // what an incremental session extends; nil for a full one
	Reason   string   // as a sentence
	Warnings []string // what the user should hear of, as sentences
}

// skew is how many seconds a backup may be ahead of the clock without a word:
// sessions in quick succession get there by themselves.
const skew = 60

// Decide chooses between a full and an incremental backup: the newest chain
// is extended while its full set is not older than the frequency allows. A
// chain with lost files or signatures is not extended, with a warning that
// names the set. (Duplicity, when the last set's signatures are lost, drops
// that set and builds on the one before.)
func (c *Collection) Decide(now time.Time, every timeexpr.Frequency) Decision {
	if len(c.Chains) == 0 {
		return Decision{Full: true, Reason: c.nothingToExtend(), Warnings: c.lostSince(time.Time{})}
	}
	newest := &c.Chains[len(c.Chains)-1]
	unfit := newest.Unfit()
	d := Decision{Full: true, Warnings: slices.Concat(unfit, c.lostSince(newest.End()))}
	full := newest.Full.String()
	age := now.Unix() - newest.Start().Unix()
	if age < -skew {
		d.Warnings = append(d.Warnings, fmt.Sprintf("%s: it is dated %s in the future: the clock was or is wrong",
			full, describeAge(-age)))
	}
	switch {
	case every.Now():
		d.Reason = "a full backup was asked for"
	case len(unfit) > 0:
		d.Reason = "the newest chain cannot be extended"
	case age > every.Seconds():
		d.Reason = fmt.Sprintf("the %s is %s old, and one is due every %s", full, describeAge(age), every)
	default:
		d.Full, d.Chain = false, newest
		d.Reason = fmt.Sprintf("the %s is %s old, and the next one is due after %s", full, describeAge(max(age, 0)), every)
	}
	return d
}

// lostSince returns, as sentences, the sets after t that were complete and
// are of no use: without them the newest state would be another.
func (c *Collection) lostSince(t time.Time) []string {
	var list []string
	for _, s := range c.straysAfter(t) {
		if s.Set.Complete() || !s.Removable {
			list = append(list, s.Set.about(s.Reason))
		}
	}
	return list
}

func (c *Collection) nothingToExtend() string {
	if len(c.Incomplete)+len(c.Orphans) > 0 {
		return "there is no complete backup to build on"
	}
	return "there is no backup yet"
}

// describeAge writes a number of seconds in its largest unit, rounded down.
func describeAge(seconds int64) string {
	units := [...]struct {
		name   string
		length int64
	}{{"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}}
	for _, u := range units {
		switch n := seconds / u.length; {
		case n == 1:
			return "1 " + u.name
		case n > 1:
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return "0 seconds"
}

// NextTime returns the time of a session that starts now: whole seconds, and
// at least one second after last, the collection's Newest, since times order
// the sets and make their names. Bumped is true when that is not the clock's
// time; the clock was then set back, or two sessions share a second. The error
// is for a last that leaves no later time a name can carry.
func NextTime(now, last time.Time) (t time.Time, bumped bool, err error) {
	t = now.UTC().Truncate(time.Second)
	if !t.After(last) {
		t, bumped = last.UTC().Add(time.Second), true
	}
	if t.Unix() > filename.LastSecond {
		return time.Time{}, false, errors.New("choose the session's time: no name has room for " + stamp(t))
	}
	return t, bumped, nil
}
