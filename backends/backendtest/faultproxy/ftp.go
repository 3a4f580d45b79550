package faultproxy

import (
	"bytes"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"testing"
)

// FTP is a proxy for an FTP server without TLS: the answers to PASV and EPSV
// lead to a port of its own, so that transfers go through Data.
type FTP struct {
	Control, Data *Proxy
}

// passive finds the port in an answer (RFC 959, 4.1.2; RFC 2428, 3).
var (
	passive         = regexp.MustCompile(`\((\d+),(\d+),(\d+),(\d+),(\d+),(\d+)\)`)
	extendedPassive = regexp.MustCompile(`\(\|\|\|(\d+)\|\)`)
)

// StartFTP starts a proxy for a server, "host:port", that ends with the test,
// and returns it with the address it listens on.
func StartFTP(t testing.TB, server string) (p *FTP, address string) {
	t.Helper()
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	p = &FTP{Data: newProxy(t)}
	p.Control = newProxy(t)
	p.Control.rewrite = func(line []byte) []byte { return p.redirect(host, line) }
	if address, err = p.Control.listen(server); err != nil {
		t.Fatal(err)
	}
	return p, address
}

// redirect replaces the port in an answer that has one.
func (p *FTP) redirect(host string, line []byte) []byte {
	switch {
	case bytes.HasPrefix(line, []byte("229 ")):
		if m := extendedPassive.FindSubmatch(line); m != nil {
			return fmt.Appendf(nil, "229 Entering Extended Passive Mode (|||%d|)\r\n", p.dataPort(host, number(m[1])))
		}
	case bytes.HasPrefix(line, []byte("227 ")):
		if m := passive.FindSubmatch(line); m != nil {
			port := p.dataPort(host, number(m[5])<<8|number(m[6]))
			return fmt.Appendf(nil, "227 Entering Passive Mode (127,0,0,1,%d,%d).\r\n", port>>8, port&0xff)
		}
	}
	return line
}

func number(digits []byte) int {
	n, _ := strconv.Atoi(string(digits)) // 0, which no port is, where they are too many
	return n
}

// dataPort returns the port of a listener for one of the server's. A transfer
// without it fails, which the test sees.
func (p *FTP) dataPort(host string, port int) int {
	address, err := p.Data.listen(net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return 0
	}
	_, digits, _ := net.SplitHostPort(address)
	return number([]byte(digits))
}
