package mysqlfs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tklbam/pkg/command"
)

// marker tells of a server that was restarted. A boot takes it away, as it
// does the server.
const marker = "/run/tklbam-mysql.restarted"

// System is this system's server, with what it takes to get to it when it
// refuses the credentials there are.
type System struct {
	Runner command.Runner

	// Guard is a command that calls PutBack once its standard input ends. It
	// runs beside, so that the server is put back also when this process is
	// killed. None leaves that to the next one.
	Guard []string
}

// Use calls do with the server: the first way to it that Find knows or, if all
// are refused, with the server restarted so that it asks for no credentials,
// and put back afterwards. The errors are those of Find, and do's.
func (s System) Use(ctx context.Context, do func(context.Context, *Server) error) error {
	if _, err := s.PutBack(ctx); err != nil {
		return err
	}
	server, err := Find(ctx, s.Runner, DebianConfig)
	if err == nil {
		return useAndClose(ctx, server, do)
	}
	if !errors.Is(err, ErrDenied) {
		return err
	}
	daemon, derr := SystemDaemon(s.Runner)
	if derr != nil {
		return errors.Join(err, derr)
	}
	release := s.guard(ctx)
	derr = Detour{Service: daemon, Marker: marker}.Do(ctx, func(ctx context.Context) error {
		server, err := Open(s.Runner, Access{DefaultsFile: "/dev/null", Socket: daemon.Socket()})
		if err != nil {
			return err
		}
		return useAndClose(ctx, server, do)
	})
	return errors.Join(derr, release())
}

func useAndClose(ctx context.Context, server *Server, do func(context.Context, *Server) error) error {
	return errors.Join(do(ctx, server), server.Close())
}

// PutBack puts back the server that an earlier run restarted and was killed
// before it could do so, and reports whether there was one.
func (s System) PutBack(ctx context.Context) (bool, error) {
	daemon, err := SystemDaemon(s.Runner)
	if err != nil { // then nobody has restarted it
		return false, nil
	}
	return Detour{Service: daemon, Marker: marker}.Undo(ctx)
}

// guard starts the guard, and returns what ends it.
func (s System) guard(ctx context.Context) func() error {
	if len(s.Guard) == 0 {
		return func() error { return nil }
	}
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := s.Runner.Run(context.WithoutCancel(ctx), command.Command{Args: s.Guard, Stdin: r})
		done <- errors.Join(err, r.Close())
	}()
	return func() error {
		err := errors.Join(w.Close(), <-done)
		if err != nil {
			err = fmt.Errorf("guard the restarted database server: %w", err)
		}
		return err
	}
}
