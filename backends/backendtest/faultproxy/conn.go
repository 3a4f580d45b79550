package faultproxy

import (
	"bytes"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// pieceSize is what is read at a time, and maxPieces how many such pieces
	// may be on their way late.
	pieceSize = 64 << 10
	maxPieces = 4096
)

// conn is a connection of a client with the one to the server behind it.
type conn struct {
	proxy  *Proxy
	number int

	mu   sync.Mutex
	ends [2]*net.TCPConn // by Side; the server's is nil at first
	over bool

	ended chan struct{}
}

// connect adds the server's end.
func (c *conn) connect(server *net.TCPConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends[Server] = server
	if c.over {
		server.Close()
	}
}

// end closes both ends.
func (c *conn) end(do Action) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over = true
	close(c.ended)
	for _, end := range c.ends {
		if end == nil {
			continue
		}
		if do == Reset {
			end.SetLinger(0)
		}
		end.Close()
	}
}

// A piece is what was read, and when it is due at the other side.
type piece struct {
	data []byte
	due  time.Time
}

// pass passes on what one side sends, and then that it sends no more.
func (c *conn) pass(side Side) {
	pieces := make(chan piece, maxPieces)
	go c.read(side, pieces)
	d := &direction{conn: c, side: side, to: c.ends[side.other()]}
	for piece := range pieces {
		if !c.wait(time.Until(piece.due)) || !d.pass(piece.data) {
			return
		}
	}
	if d.flush() {
		d.to.CloseWrite()
	}
}

// read reads what one side sends. A connection that it breaks is reset.
func (c *conn) read(side Side, pieces chan<- piece) {
	defer close(pieces)
	for {
		buf := make([]byte, pieceSize)
		n, err := c.ends[side].Read(buf)
		if n > 0 {
			select {
			case pieces <- piece{buf[:n], time.Now().Add(c.proxy.currentDelay())}:
			case <-c.ended:
				return
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			c.end(Reset)
			return
		}
	}
}

// wait waits for a time, and reports whether the connection is still there.
func (c *conn) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-c.ended:
		return false
	}
}

// direction is one side of a connection. It is used by one goroutine.
type direction struct {
	conn *conn
	side Side
	to   *net.TCPConn

	line []byte          // the beginning of a line that is to be rewritten
	span Fault           // that changes bytes, with what is left of Len
	kept []byte          // what comes again
	over <-chan struct{} // closed when the span is over
}

// pass passes bytes on, whole lines where they are rewritten.
func (d *direction) pass(p []byte) bool {
	if d.conn.proxy.rewrite == nil || d.side != Server {
		return d.forward(p)
	}
	d.line = append(d.line, p...)
	for {
		i := bytes.IndexByte(d.line, '\n')
		if i < 0 {
			return true
		}
		line := d.line[:i+1]
		d.line = d.line[i+1:]
		if !d.forward(d.conn.proxy.rewrite(line)) {
			return false
		}
	}
}

// flush passes a line without end on.
func (d *direction) flush() bool { return d.forward(d.line) }

// forward passes bytes on up to the fault, and has it happen. It reports
// whether the connection goes on.
func (d *direction) forward(p []byte) bool {
	for len(p) > 0 {
		if d.inSpan() {
			n := min(int64(len(p)), d.span.Len)
			if !d.change(p[:n]) {
				return false
			}
			p = p[n:]
			continue
		}
		n, fault, happens := d.conn.proxy.next(d.conn, d.side, len(p))
		if !d.write(p[:n]) {
			return false
		}
		p = p[n:]
		if happens && !d.suffer(fault) {
			return false
		}
	}
	return true
}

func (d *direction) write(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	_, err := d.to.Write(p)
	return err == nil
}

// suffer has a fault happen.
func (d *direction) suffer(f Fault) bool {
	switch f.Do {
	case Cut, Reset:
		d.conn.end(f.Do)
		return false
	case Stall:
		return d.stall(f.For)
	}
	d.span, d.over, d.kept = f, d.conn.proxy.release(), nil
	return true
}

// inSpan reports whether a fault changes the next bytes. Set ends it.
func (d *direction) inSpan() bool {
	select {
	case <-d.over:
		return false
	default:
		return d.span.Len > 0
	}
}

// stall holds a side up for a time. Without one it lasts until Set, and the
// connection with it.
func (d *direction) stall(limit time.Duration) bool {
	if limit > 0 {
		return d.conn.wait(limit)
	}
	select {
	case <-d.conn.proxy.release():
		d.conn.end(Reset)
	case <-d.conn.ended:
	}
	return false
}

// change passes bytes on in the manner of a fault.
func (d *direction) change(p []byte) bool {
	d.span.Len -= int64(len(p))
	switch d.span.Do {
	case Drop:
		return true
	case Drip:
		for i := range p {
			if !d.conn.wait(d.span.For) || !d.write(p[i:i+1]) {
				return false
			}
		}
		return true
	case Flip:
		flipped := bytes.Clone(p)
		for i := range flipped {
			flipped[i] ^= 1
		}
		return d.write(flipped)
	}
	// At once with the repetition: answers in two packets could be told apart.
	d.kept = append(d.kept, p...)
	if d.span.Len > 0 {
		return true
	}
	again := append(bytes.Clone(d.kept), d.kept...)
	d.kept = nil
	return d.write(again)
}
