package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"tklbam/backends"
	"tklbam/backends/cache"
	"tklbam/backends/limit"
	"tklbam/backends/mirror"
	"tklbam/backends/retry"
	"tklbam/chain"
	"tklbam/chain/filename"
	"tklbam/pkg/backup"
	"tklbam/pkg/conf"
	"tklbam/pkg/progress"
)

// serverFlags say how servers are reached. They are options of the file conf
// too, as transferFlags and storeFlags are.
func serverFlags(more ...cli.Flag) []cli.Flag {
	return append(more, &cli.StringFlag{Name: "ca-file"}, &cli.StringFlag{Name: "imap-mailbox"})
}

// transferFlags say how content travels.
func transferFlags(more ...cli.Flag) []cli.Flag {
	return serverFlags(append(more,
		&cli.StringFlag{Name: "parallel"},
		&cli.StringFlag{Name: "limit-upload"},
		&cli.StringFlag{Name: "limit-download"})...)
}

// storeFlags say how it is stored.
func storeFlags(more ...cli.Flag) []cli.Flag {
	return transferFlags(append(more,
		&cli.BoolFlag{Name: "require-mount"},
		&cli.StringFlag{Name: "s3-storage-class"},
		&cli.StringFlag{Name: "s3-parallel-uploads"})...)
}

// target opens a target with what stands between it and a session: limits of
// bandwidth and, where there is a network, another attempt at what failed.
func (a *app) target(cf *conf.Conf, text string, opts backends.Options) (backends.Backend, error) {
	return a.counted(cf, text, opts, nil)
}

// counted opens a target which sent, if that is not nil, is told by how many
// bytes were stored in: what waits for another attempt is not, and comes off.
func (a *app) counted(cf *conf.Conf, text string, opts backends.Options, sent func(bytes int64)) (backends.Backend, error) {
	limits, err := a.bandwidth(cf)
	if err != nil {
		return nil, err
	}
	address, err := backends.ParseAddress(text)
	if err == nil {
		address, err = a.login(address)
	}
	if err != nil {
		return nil, err
	}
	b, err := a.reach(cf, address, opts)
	if err != nil {
		return nil, err
	}
	if b = limits.Wrap(b); address.Scheme == "file" {
		return b, nil
	}
	if sent != nil {
		b = newSender(b, sent)
	}
	return retry.New(b, retry.Options{SpoolDir: a.spoolDir(), Notify: a.retrying}), nil
}

// A sender tells how much goes into a target.
type sender struct {
	backends.Backend
	sent func(bytes int64)
}

func newSender(b backends.Backend, sent func(bytes int64)) backends.Backend {
	s := &sender{b, sent}
	if space, ok := b.(backends.Spacer); ok {
		return struct {
			*sender
			backends.Spacer
		}{s, space}
	}
	return s
}

// Put implements backends.Backend.
func (s *sender) Put(ctx context.Context, name string, write func(io.Writer) error) error {
	count := &sentWriter{sent: s.sent}
	err := s.Backend.Put(ctx, name, func(w io.Writer) error {
		count.Writer = w
		return write(count)
	})
	if err != nil {
		s.sent(-count.n)
	}
	return err
}

type sentWriter struct {
	io.Writer
	sent func(bytes int64)
	n    int64
}

func (w *sentWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.n += int64(n)
	w.sent(int64(n))
	return n, err
}

// sent shows what goes over the network to the target of a backup, in the place
// of what is ready to.
func (a *app) sent(bytes int64) {
	if rep := a.showing.Load(); rep != nil {
		rep.meter.AddStored(bytes)
	}
}

// openAttempts is how often a server is called that does not answer: for some
// seconds, since somebody may be waiting.
const openAttempts = 4

// reach opens a target, and tries again where a server does not answer.
func (a *app) reach(cf *conf.Conf, address backends.Address, opts backends.Options) (backends.Backend, error) {
	for attempt := 1; ; attempt++ {
		b, err := a.openAddress(cf, address, opts)
		if !errors.Is(err, backends.ErrUnavailable) || address.Scheme == "file" || attempt == openAttempts {
			return b, err
		}
		wait := time.Second << (attempt - 1)
		a.retrying("open", "", attempt, wait, err)
		select {
		case <-time.After(wait):
		case <-a.ctx.Done():
			return nil, a.ctx.Err()
		}
	}
}

// bandwidth is what all targets of a run share.
func (a *app) bandwidth(cf *conf.Conf) (*limit.Limits, error) {
	if a.limits != nil {
		return a.limits, nil
	}
	var schedules [2]limit.Schedule
	for i, o := range []struct{ name, text string }{{"limit-upload", cf.LimitUpload}, {"limit-download", cf.LimitDownload}} {
		if o.text == "" {
			continue
		}
		s, err := limit.ParseSchedule(o.text)
		if err != nil {
			return nil, &usageError{fmt.Errorf("option %s: %w", o.name, err)}
		}
		schedules[i] = s
	}
	a.limits = limit.New(schedules[0], schedules[1])
	return a.limits, nil
}

// retrying tells that something is going to be done again, which its error
// names.
func (a *app) retrying(_, _ string, attempt int, wait time.Duration, err error) {
	text := fmt.Sprintf("%v: attempt %d follows in %s", err, attempt+1, progress.Duration(wait))
	if rep := a.showing.Load(); rep != nil {
		rep.retry(text)
		return
	}
	fmt.Fprintln(a.stderr, "warning:", printable(text))
}

// parallelFor is how many volumes are on their way at once.
func parallelFor(cf *conf.Conf, address string) int {
	switch {
	case cf.Parallel > 0:
		return cf.Parallel
	case overNetwork(address):
		return 4
	}
	return 0 // what suits a disk
}

// A source is where a restore or status reads from.
type source struct {
	chain.Reader
	address string // of the target, or of its mirror if there is only that
	closers []io.Closer
}

func (s *source) Close() error {
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Drop implements what chain asks of a store that keeps what it gives.
func (s *source) Drop(name string) {
	if d, ok := s.Reader.(interface{ Drop(name string) }); ok {
		d.Drop(name)
	}
}

// source opens a target to read from, and its mirror in case it fails.
func (a *app) source(cf *conf.Conf, address, mirrored string, keep bool) (*source, error) {
	open := func(address string) (backends.Backend, error) {
		b, err := a.target(cf, address, backends.Options{})
		if err == nil && keep {
			b = a.cached(cf, b)
		}
		return b, err
	}
	b, err := open(address)
	if mirrored == "" {
		if err != nil {
			return nil, err
		}
		return &source{b, b.String(), []io.Closer{b}}, nil
	}
	second, serr := open(mirrored)
	switch {
	case err != nil && serr != nil:
		return nil, fmt.Errorf("%w; and the mirror: %w", err, serr)
	case err != nil:
		a.caution("reading from the mirror", err)
		return &source{second, second.String(), []io.Closer{second}}, nil
	case serr != nil:
		a.caution("the mirror can't be read", serr)
		return &source{b, b.String(), []io.Closer{b}}, nil
	}
	return &source{mirror.Reader(b, second, func(err error) { a.caution("mirror", err) }), b.String(), []io.Closer{b, second}}, nil
}

// caution tells of what does not keep the command from its work.
func (a *app) caution(what string, err error) {
	err = fmt.Errorf("%s: %w", what, err)
	if rep := a.showing.Load(); rep != nil {
		rep.Problem(chain.Problem{Err: err})
		return
	}
	fmt.Fprintln(a.stderr, "warning:", printable(err.Error()))
}

// cached keeps the volumes that are fetched, in case a restore is repeated.
func (a *app) cached(cf *conf.Conf, b backends.Backend) backends.Backend {
	if !overNetwork(b.String()) {
		return b
	}
	return cache.New(b, cache.Options{
		Dir: cf.RestoreCacheDir, Size: cf.RestoreCacheSize.Of,
		Keep: func(name string) bool {
			n, err := filename.Parse(name)
			return err == nil && n.Kind == filename.Volume
		},
		Report: func(err error) { a.caution("the restore cache is not used", err) },
	})
}

// mirrorOf is the mirror for an address: that of the configuration is for the
// one there.
func mirrorOf(c *cli.Context, cf *conf.Conf) string {
	if c.IsSet("address") && !c.IsSet("mirror") {
		return ""
	}
	return cf.Mirror
}

// withMirror returns a target that stores in the mirror too, once that is up to
// date. A mirror that fails costs the session nothing, but lost is told.
func (a *app) withMirror(cf *conf.Conf, address string, primary backends.Backend, rep *reporter, lost func(error)) (backends.Backend, error) {
	second, err := a.target(cf, address, backends.Options{Create: true})
	if err != nil {
		lost(err)
		return primary, a.ctx.Err()
	}
	rep.Phase("bringing the mirror up to date")
	copied, err := chain.Copy(a.ctx, chain.CopyOptions{
		From: primary, To: second, Mirror: true, Parallel: parallelFor(cf, address), Report: rep,
	})
	if err == nil && copied.Failed > 0 {
		err = fmt.Errorf("%s could not be copied: nothing is stored there", plural(copied.Failed, "set"))
	}
	if err != nil {
		lost(errors.Join(err, second.Close()))
		return primary, a.ctx.Err()
	}
	return mirror.New(primary, second, lost), nil
}

// checkTarget finds out whether a target can be read and, the first time, be
// written to, before hours go by.
func (a *app) checkTarget(cf *conf.Conf, b backends.Backend) error {
	enough := errors.New("it can be read")
	err := b.List(a.ctx, func(string, int64) error { return enough })
	if err != nil && !errors.Is(err, enough) {
		return fmt.Errorf("list %s: %w", b, err)
	}
	known := backup.TargetCache(cf.CacheDir, b.String()) + ".writable"
	if _, err := os.Stat(known); err == nil {
		return nil
	}
	name := fmt.Sprintf("tklbam-write-check-%x", time.Now().UnixNano())
	if err := b.Put(a.ctx, name, func(w io.Writer) error {
		_, err := io.WriteString(w, "Written to see whether that is possible. It can be removed.\n")
		return err
	}); err != nil {
		return err
	}
	// Who may only add leaves it there.
	if err := b.Delete(a.ctx, name); err != nil {
		a.caution("the target can be written to, but nothing be removed from it", err)
	}
	if err := os.MkdirAll(cf.CacheDir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(known, nil, 0o600)
}
