package faultproxy

import (
	"fmt"
	"time"
)

// A Side is one of the two that talk.
type Side int

// The sides.
const (
	Client Side = iota
	Server
)

func (s Side) String() string { return [...]string{"client", "server"}[s] }

func (s Side) other() Side { return 1 - s }

// An Action is what a fault does.
type Action int

// The actions. Those below Cut end or hold up the connection, the others
// change what one side sends.
const (
	Nothing   Action = iota
	Cut              // both ends of the connection are closed
	Reset            // the same, with RST
	Stall            // the side is held up: for the fault's time, or until Set, which resets the connection
	Drip             // Len bytes pass one by one, each after the fault's time
	Drop             // Len bytes get lost
	Duplicate        // Len bytes come twice, the second time after them all
	Flip             // a bit of Len bytes is another
)

func (a Action) String() string {
	return [...]string{"nothing", "cut", "reset", "stall", "drip", "drop", "duplicate", "flip"}[a]
}

// A Fault is one thing that goes wrong, once, when a side sends the byte with
// number After: the first since Set, on whichever connection, has number 0.
// The bytes before it arrive.
type Fault struct {
	Side  Side
	After int64
	Do    Action
	Len   int64         // of Drip, Drop, Duplicate and Flip, on one connection
	For   time.Duration // of Stall; before each byte of Drip

	// Stays makes a Cut, Reset or Stall happen from then on to all
	// connections, old and new, until Set: the server is gone.
	Stays bool
}

// None is no fault, and Refused a server that refuses connections and ends
// those it has.
var (
	None    = Fault{}
	Refused = Fault{Do: Reset, Stays: true}
)

func (f Fault) String() string {
	text := fmt.Sprintf("%s at byte %d of the %s", f.Do, f.After, f.Side)
	if f.For > 0 {
		text += fmt.Sprintf(" (%v)", f.For)
	}
	if f.Stays {
		text += ", for good"
	}
	return text
}
