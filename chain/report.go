package chain

import "sync/atomic"

// counted is a Reporter that counts the problems passed on to another.
type counted struct {
	Reporter
	warnings, lost atomic.Int64
}

func (c *counted) Problem(p Problem) {
	if p.Lost {
		c.lost.Add(1)
	} else {
		c.warnings.Add(1)
	}
	c.Reporter.Problem(p)
}

// Silent is a Reporter for those who do not want to hear.
type Silent struct{}

func (Silent) Phase(string)            {}
func (Silent) Total(int64, int64)      {}
func (Silent) Path(string)             {}
func (Silent) Add(int64, int64, int64) {}
func (Silent) Note(string)             {}
func (Silent) Problem(Problem)         {}
