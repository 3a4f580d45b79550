package backends_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"tklbam/backends"
)

// recorder is a driver that fails and keeps what it was called with.
type recorder struct {
	address backends.Address
	opts    backends.Options
}

func (r *recorder) open(_ context.Context, a backends.Address, opts backends.Options) (backends.Backend, error) {
	r.address, r.opts = a, opts
	return nil, fs.ErrNotExist
}

func TestOpenPicksDriver(t *testing.T) {
	var one, two recorder
	drivers := []backends.Driver{
		{Schemes: []string{"sftp", "scp"}, Open: one.open},
		{Schemes: []string{"file"}, Open: two.open},
	}
	b, err := backends.Open(t.Context(), drivers, "SCP://user:secret@host/dir", backends.Options{Create: true})
	if b != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open returns %v, %v", b, err)
	}
	if one.address.Path != "dir" || !one.opts.Create || two.address.Scheme != "" {
		t.Errorf("the drivers were called with %+v and %+v", one, two)
	}
	if want := "open scp://user@host/dir: file does not exist"; err.Error() != want {
		t.Errorf("the error is %q, want %q", err, want)
	}

	_, err = backends.Open(t.Context(), drivers, "gdocs://user:secret@host/dir", backends.Options{})
	if want := `open gdocs://user@host/dir: unknown scheme "gdocs": known are file, scp, sftp`; err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %q", err, want)
	}

	_, err = backends.Open(t.Context(), drivers, "/mnt/backup", backends.Options{})
	if err == nil || !strings.Contains(err.Error(), "file:///mnt/backup") {
		t.Errorf("the error for a bare path is %v", err)
	}
}
