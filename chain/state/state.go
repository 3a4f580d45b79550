// Package state holds what a chain says a tree looked like: one item for
// every path, in path order, with the metadata of the newest set that speaks
// of it and where its signature is kept. A session compares the disk with a
// state, a restore plans by one, and both stream it: a state is merged from
// layers, one per set, and never held in memory.
//
// The stored form is private to the machine that made it and versioned; it is
// rebuilt from the chain's signature files at any doubt.
package state

import (
	"errors"
	"io"

	"tklbam/chain/archive"
)

// An Item is one path of a state, or of a layer of it.
type Item struct {
	archive.Entry
	Deleted   bool // in a layer: the path is gone since the set before
	Set       int  // ordinal in the chain, 0 for the full set, of the set that last changed the path
	Signature Ref  // regular files
}

// A Ref is where a signature lies among those of set Item.Set: byte offset
// and length. Its zero value is no signature.
type Ref struct{ Offset, Length int64 }

// A Stream yields items in path order, then io.EOF. The item belongs to the
// stream and holds until the next call.
type Stream interface {
	Next() (*Item, error)
}

// Empty is the stream of no items: what a full backup compares with.
var Empty Stream = empty{}

type empty struct{}

func (empty) Next() (*Item, error) { return nil, io.EOF }

// Merge lays layers over each other, the oldest first. For a path that
// several speak of the newest wins; history, if not nil, is told of each item
// that loses to it, newest first, before the winner is yielded. Deletions are
// yielded too: see Live.
func Merge(layers []Stream, history func(winner, older *Item) error) Stream {
	return &merge{layers: layers, heads: make([]*Item, len(layers)), history: history}
}

// merge is a k-way merge by linear search: chains are short against the cost
// of decoding an item, and a layer that has nothing to say is skipped cheaply.
type merge struct {
	layers  []Stream
	heads   []*Item
	started bool
	last    []int // layers whose heads the last call used up
	history func(winner, older *Item) error
}

func (m *merge) Next() (*Item, error) {
	if err := m.refill(); err != nil {
		return nil, err
	}
	var top *Item
	m.last = m.last[:0]
	for i := len(m.heads) - 1; i >= 0; i-- {
		head := m.heads[i]
		if head == nil {
			continue
		}
		c := -1
		if top != nil {
			c = archive.Compare(head.Path, top.Path)
		}
		if c < 0 {
			top, m.last = head, m.last[:0]
		}
		if c <= 0 {
			m.last = append(m.last, i)
		}
	}
	if top == nil {
		return nil, io.EOF
	}
	return top, m.tell(top)
}

func (m *merge) tell(top *Item) error {
	if m.history == nil {
		return nil
	}
	for _, i := range m.last[1:] {
		if err := m.history(top, m.heads[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *merge) refill() error {
	if !m.started {
		m.started = true
		for i := range m.layers {
			m.last = append(m.last, i)
		}
	}
	for _, i := range m.last {
		item, err := m.layers[i].Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		m.heads[i] = item
	}
	return nil
}

// Live drops the deletions from a merged stream.
func Live(s Stream) Stream { return live{s} }

type live struct{ Stream }

func (l live) Next() (*Item, error) {
	for {
		item, err := l.Stream.Next()
		if err != nil || !item.Deleted {
			return item, err
		}
	}
}
