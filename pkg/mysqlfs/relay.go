package mysqlfs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
)

// A relay stands between a client and the server, and rewrites queries that
// the client makes. Nothing else that passes is changed.
type relay struct {
	server  string // path of the server's socket
	rewrite func(database, query string) string

	dir      string // that only this user can enter
	listener net.Listener
	sealed   atomic.Bool // a client has encrypted what it sends
	done     sync.WaitGroup
	close    context.CancelFunc
}

// newRelay starts a relay to the server at a socket.
func newRelay(ctx context.Context, server string, rewrite func(database, query string) string) (*relay, error) {
	dir, err := os.MkdirTemp("", "tklbam-")
	if err != nil {
		return nil, err
	}
	r := &relay{server: server, rewrite: rewrite, dir: dir}
	if r.listener, err = net.Listen("unix", r.socket()); err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	ctx, r.close = context.WithCancel(ctx)
	context.AfterFunc(ctx, func() { r.listener.Close() }) // what Close says comes from Accept
	r.done.Go(func() { r.accept(ctx) })
	return r, nil
}

func (r *relay) socket() string { return filepath.Join(r.dir, "s") }

// Close ends all connections.
func (r *relay) Close() error {
	r.close()
	r.done.Wait()
	return os.RemoveAll(r.dir)
}

// accept serves clients until the listener is closed. One that cannot be
// served is hung up on, which it complains of.
func (r *relay) accept(ctx context.Context) {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", r.server)
		if err != nil {
			client.Close()
			continue
		}
		r.done.Go(func() { r.serve(ctx, client, server) })
	}
}

// serve passes on what client and server say until either hangs up.
func (r *relay) serve(ctx context.Context, client, server net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { client.Close(); server.Close() })
	r.done.Go(func() {
		defer cancel()
		_, _ = io.CopyBuffer(onlyWriter{client}, onlyReader{server}, make([]byte, rowsBuffer))
	})
	_ = r.requests(server, client)
}

// onlyWriter and onlyReader hide the methods that io.CopyBuffer would take in
// place of the buffer, with a smaller one.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// Bytes of the protocol, from the description of client/server packets in
// MySQL's and MariaDB's manuals: three bytes of length, the lowest first, one
// of sequence, which a command starts at 0, then the command's own.
const (
	packetHeader  = 4
	maxPayload    = 1<<24 - 1
	sealedPayload = 32 // the length of what asks for encryption, and of nothing else that early
	commandUse    = 2
	commandQuery  = 3
)

// requests passes on what a client sends, with queries rewritten.
func (r *relay) requests(to io.Writer, from io.Reader) error {
	in := bufio.NewReader(from)
	database := ""
	for {
		var head [packetHeader]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return err
		}
		payload := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
		if _, err := io.ReadFull(in, payload); err != nil {
			return err
		}
		sequence := head[3]
		if sequence == 1 && len(payload) == sealedPayload {
			r.sealed.Store(true)
			_, err := to.Write(append(head[:], payload...))
			_, cerr := io.Copy(to, in)
			return errors.Join(err, cerr)
		}
		if sequence == 0 && len(payload) > 0 {
			payload, database = r.command(payload, database)
		}
		if _, err := to.Write(append(packet(len(payload), sequence), payload...)); err != nil {
			return err
		}
	}
}

// packet returns the header of a packet.
func packet(length int, sequence byte) []byte {
	return binary.LittleEndian.AppendUint32(nil, uint32(length)|uint32(sequence)<<24)
}

// noAttributes are between a query's command and its text from clients of
// newer MySQL versions, which could have parameters there: none, of one set.
var noAttributes = []byte{0, 1}

// command returns what to send for a command, and the database in use from
// then on.
func (r *relay) command(payload []byte, database string) ([]byte, string) {
	switch payload[0] {
	case commandUse:
		return payload, string(payload[1:])
	case commandQuery:
		text := bytes.TrimPrefix(payload[1:], noAttributes)
		if st := parse(text); st.kind == kindUse {
			return payload, st.name
		}
		head := bytes.Clone(payload[:len(payload)-len(text)])
		if rewritten := append(head, r.rewrite(database, string(text))...); len(rewritten) < maxPayload {
			return rewritten, database
		}
	}
	return payload, database
}

// local returns the path of the server's socket, as far as the server is on
// this machine.
func (s *Server) local(ctx context.Context) (string, error) {
	rows, err := s.query(ctx, "SELECT SUBSTRING_INDEX(USER(), '@', -1), @@socket, @@datadir")
	if err != nil {
		return "", err
	}
	if len(rows) != 1 || len(rows[0]) != 3 || strings.ToLower(rows[0][0]) != "localhost" {
		return "", errors.New("the database server is not on this machine")
	}
	socket, data := rows[0][1], rows[0][2]
	if !filepath.IsAbs(socket) {
		socket = filepath.Join(data, socket)
	}
	return socket, nil
}

// through returns a server that is reached through a relay, after a test of
// that.
func (s *Server) through(ctx context.Context, r *relay, known map[string]bool) (*Server, error) {
	via := *s
	via.options = append(append([]string{}, s.options...), "--host=localhost", "--protocol=socket", "--socket="+r.socket())
	switch {
	case known["ssl-mode"]:
		via.options = append(via.options, "--ssl-mode=DISABLED")
	case known["ssl"]:
		via.options = append(via.options, "--skip-ssl")
	}
	err := via.Check(ctx)
	if err == nil && r.sealed.Load() {
		err = errors.New("the connection is encrypted")
	}
	if err != nil {
		return nil, fmt.Errorf("reach the database server by its socket: %w", err)
	}
	return &via, nil
}
