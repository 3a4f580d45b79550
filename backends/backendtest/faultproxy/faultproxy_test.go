package faultproxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"testing"
	"time"
)

// said is what a client and the server below say to each other.
const said = "0123456789"

// startServer starts a server that answers what it is sent with the same, as
// often as that is whole, and that tells what came on each connection.
func startServer(t *testing.T) (address string, got <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	all := make(chan string, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn, all)
		}
	}()
	return l.Addr().String(), all
}

func serve(conn net.Conn, all chan<- string) {
	defer conn.Close()
	var came bytes.Buffer
	defer func() { all <- came.String() }()
	buf := make([]byte, len(said))
	for {
		n, err := io.ReadFull(conn, buf)
		came.Write(buf[:n])
		if err != nil {
			return
		}
		if _, err := conn.Write(buf); err != nil {
			return
		}
	}
}

// talk says it twice, and returns what came back, and how it ended.
func talk(t *testing.T, address string) (back string, err error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for range 2 {
		if _, err = io.WriteString(conn, said); err != nil {
			return all.String(), err
		}
		if _, err = io.CopyN(&all, conn, int64(len(said))); err != nil {
			return all.String(), err
		}
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return all.String(), err
	}
	_, err = io.Copy(&all, conn)
	return all.String(), err
}

func TestFaults(t *testing.T) {
	server, got := startServer(t)
	for _, test := range []struct {
		fault      Fault
		came, back string
		ends       bool // without an error
	}{
		{None, said + said, said + said, true},
		{Fault{Side: Client, After: 0, Do: Cut}, "", "", false},
		{Fault{Side: Client, After: 9, Do: Cut}, "012345678", "", false},
		{Fault{Side: Client, After: 10, Do: Reset}, said, said, false},
		{Fault{Side: Server, After: 0, Do: Cut}, said, "", false},
		{Fault{Side: Server, After: 13, Do: Reset}, said + said, said + "012", false},
		{Fault{Side: Server, After: 20, Do: Reset}, said + said, said + said, true},
		{Fault{Side: Client, After: 15, Do: Stall}, said + "01234", said, false},
		{Fault{Side: Client, After: 15, Do: Stall, For: time.Millisecond}, said + said, said + said, true},
		{Fault{Side: Server, After: 5, Do: Drip, Len: 8, For: time.Millisecond}, said + said, said + said, true},
		{Fault{Side: Client, After: 5, Do: Flip, Len: 1}, "0123446789" + said, "0123446789" + said, true},
		{Fault{Side: Server, After: 15, Do: Drop, Len: 2}, said + said, said + "01234789", false},
		{Fault{Side: Server, After: 0, Do: Duplicate, Len: 10}, said + said, said + said + said, true},
		{Refused, "", "", false},
	} {
		t.Run(test.fault.String(), func(t *testing.T) {
			p, address := Start(t, server)
			p.Set(test.fault)
			back, err := talk(t, address)
			if test.fault.Do == Reset && back != test.back {
				t.Logf("the reset overtakes %q", test.back[len(back):]) // it may
			} else if back != test.back || test.ends != (err == nil) {
				t.Errorf("the client gets %q, %v, want %q", back, err, test.back)
			}
			p.Set(None)
			if test.fault == Refused {
				return
			}
			if came := <-got; came != test.came {
				t.Errorf("the server gets %q, want %q", came, test.came)
			}
			if back, err := talk(t, address); back != said+said || err != nil {
				t.Errorf("afterwards the client gets %q, %v", back, err)
			}
			<-got
		})
	}
}

// TestStays has a server go away while there is a connection, and come back.
func TestStays(t *testing.T) {
	server, _ := startServer(t)
	p, address := Start(t, server)
	for _, do := range []Action{Cut, Reset, Stall} {
		p.Set(Fault{Side: Server, After: 10, Do: do, Stays: true})
		for i := range 2 {
			back, err := talk(t, address)
			if isLate := errors.Is(err, os.ErrDeadlineExceeded); err == nil || isLate != (do == Stall) || i > 0 && back != "" {
				t.Errorf("%s: call %d gets %q, %v", do, i, back, err)
			}
		}
		p.Set(None)
		if back, err := talk(t, address); back != said+said || err != nil {
			t.Errorf("%s: afterwards the client gets %q, %v", do, back, err)
		}
	}
}

func TestTurns(t *testing.T) {
	server, _ := startServer(t)
	p, address := Start(t, server)
	p.Set(None)
	if _, err := talk(t, address); err != nil {
		t.Fatal(err)
	}
	want := []Turn{{Client, 0, 10, 1}, {Server, 0, 10, 1}, {Client, 10, 10, 1}, {Server, 10, 10, 1}}
	if got := p.Turns(); !reflect.DeepEqual(got, want) {
		t.Errorf("the turns are %v, want %v", got, want)
	}
}

// TestDelay: answers come later by twice the delay, and much may be under way.
func TestDelay(t *testing.T) {
	server, _ := startServer(t)
	p, address := Start(t, server)
	const delay = 20 * time.Millisecond
	p.SetDelay(delay)
	began := time.Now()
	if _, err := talk(t, address); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 4*delay {
		t.Errorf("two answers take %v, want %v", took, 4*delay)
	}
}

func TestRedirect(t *testing.T) {
	p := &FTP{Control: newProxy(t), Data: newProxy(t)}
	for line, kept := range map[string]bool{
		"229 Entering Extended Passive Mode (|||40000|)\r\n": false,
		"227 Entering Passive Mode (10,0,0,1,156,64)\r\n":    false,
		"229 Entering\r\n": true, "226 (|||40000|)\r\n": true, "227 (1,2)\r\n": true,
	} {
		if got := string(p.redirect("127.0.0.1", []byte(line))); (got == line) != kept || got[:3] != line[:3] {
			t.Errorf("%q becomes %q", line, got)
		}
	}
}

func TestChoose(t *testing.T) {
	s := Suite{Stall: time.Second, Cases: 200}
	turns := [][]Turn{{{Side: Client, Len: 100}, {Side: Server, Len: 50}}, {{Side: Client, Len: 1000}}}
	chosen := s.choose("Put", turns)
	if len(chosen) > s.Cases || len(s.choose("Put", nil)) != 0 {
		t.Errorf("%d cases are chosen of %d", len(chosen), s.Cases)
	}
	seen := make(map[string]bool)
	for _, f := range chosen {
		if seen[fmt.Sprint(f)] {
			t.Errorf("%s is chosen twice", f)
		}
		seen[fmt.Sprint(f)] = true
	}
	for _, do := range []Action{Cut, Reset, Stall, Drip, Drop} {
		for _, place := range places {
			found := false
			for _, f := range chosen {
				found = found || f.Do == do && f.place == place
			}
			if !found {
				t.Errorf("no %s at the %s", do, place)
			}
		}
	}
}
