package limit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Schedule says which rate holds when. The zero Schedule never limits.
type Schedule struct {
	slots []slot // in the order of the text; none is unlimited
}

// A slot is a rate that holds from one time until the next slot.
type slot struct {
	day    int // time.Weekday, or everyDay
	minute int // of the day
	rate   Rate
}

const (
	everyDay = -1
	day      = 24 * 60 // in minutes
	week     = 7 * day
)

// ParseSchedule reads a rate, or a timetable in the form of rclone's
// --bwlimit: times with rates, by local time, for every day or one of the
// week, separated by spaces or semicolons.
//
//	10M
//	08:00,512k 12:00,10M 13:00,512k 23:00,off
//	Mon-00:00,512k Fri-23:59,10M Sat-10:00,1M Sun-20:00,off
//
// The rate of the last time that has passed holds; before the first one of the
// week that is the last one of the week before. Of two for the same time the
// later in the text counts. Unlike rclone it takes no pair of rates for the
// two directions: each has a schedule of its own.
func ParseSchedule(text string) (Schedule, error) {
	if !strings.Contains(text, ",") {
		rate, err := ParseRate(strings.TrimSpace(text))
		if err != nil {
			return Schedule{}, err
		}
		return Schedule{[]slot{{everyDay, 0, rate}}}, nil
	}
	var s Schedule
	for field := range strings.FieldsFuncSeq(text, isSeparator) {
		slot, err := parseSlot(field)
		if err != nil {
			return Schedule{}, fmt.Errorf("read %.50q of the timetable: %w", field, err)
		}
		s.slots = append(s.slots, slot)
	}
	if len(s.slots) == 0 {
		return Schedule{}, errors.New("the timetable is empty")
	}
	return s, nil
}

func isSeparator(r rune) bool { return r == ' ' || r == ';' || r == '\t' }

// parseSlot reads "[day-]hh:mm,rate".
func parseSlot(field string) (slot, error) {
	when, rate, ok := strings.Cut(field, ",")
	if !ok {
		return slot{}, errors.New("it is not a time, a comma and a rate")
	}
	s := slot{day: everyDay}
	if name, rest, ok := strings.Cut(when, "-"); ok {
		s.day, when = parseDay(name), rest
		if s.day < 0 {
			return slot{}, fmt.Errorf("%.20q is no day of the week", name)
		}
	}
	at, err := time.Parse("15:04", when)
	if err != nil || len(when) != len("15:04") {
		return slot{}, fmt.Errorf("%.20q is no time from 00:00 to 23:59", when)
	}
	s.minute = at.Hour()*60 + at.Minute()
	s.rate, err = ParseRate(rate)
	return s, err
}

// parseDay returns the number of a day, given by its English name or the first
// three letters of it; -1 for anything else.
func parseDay(name string) int {
	return slices.IndexFunc(weekdays(), func(d time.Weekday) bool {
		return strings.EqualFold(name, d.String()) || strings.EqualFold(name, d.String()[:3])
	})
}

func weekdays() []time.Weekday {
	return []time.Weekday{
		time.Sunday, time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday,
	}
}

// At returns the rate that holds at a time, by the clock of its zone.
func (s Schedule) At(t time.Time) Rate {
	rate, newest := Unlimited, week
	now := int(t.Weekday())*day + t.Hour()*60 + t.Minute()
	for _, slot := range s.slots {
		if age := slot.age(now); age <= newest {
			rate, newest = slot.rate, age
		}
	}
	return rate
}

// age returns for how many minutes a slot has held at a minute of the week.
func (s slot) age(now int) int {
	if s.day == everyDay {
		return (now + day - s.minute) % day
	}
	return (now + week - s.day*day - s.minute) % week
}

// String returns the schedule in the form that ParseSchedule reads.
func (s Schedule) String() string {
	if len(s.slots) == 0 {
		return Unlimited.String()
	}
	if len(s.slots) == 1 && s.slots[0].day == everyDay {
		return s.slots[0].rate.String() // a time makes no difference to it
	}
	var texts []string
	for _, slot := range s.slots {
		texts = append(texts, slot.String())
	}
	return strings.Join(texts, " ")
}

func (s slot) String() string {
	text := fmt.Sprintf("%02d:%02d,%s", s.minute/60, s.minute%60, s.rate)
	if s.day == everyDay {
		return text
	}
	return time.Weekday(s.day).String()[:3] + "-" + text
}
