package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tklbam/pkg/command"
	"tklbam/pkg/conf"
	"tklbam/pkg/hooks"
	"tklbam/pkg/notify"
	"tklbam/pkg/registry"
)

// afterwards is how long notices and error hooks may take once the command
// itself was interrupted.
const afterwards = time.Minute

// logged runs an operation that returns its summary, and logs its failure.
func (a *app) logged(log *logFile, run func() (string, error)) error {
	_, err := run()
	if err != nil {
		log.println("failed: " + err.Error())
	}
	return err
}

// noticed runs an operation and tells those whom the configuration names how
// it went. What goes wrong in telling them is only a warning.
func (a *app) noticed(cf *conf.Conf, operation string, log *logFile, run func() (string, error)) error {
	all, err := notify.New(notify.Options{
		Command: cf.NotifyCommand, Mail: cf.NotifyMail, Ping: cf.NotifyPing,
		Runner: command.Exec{}, Environ: os.Environ(),
	})
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	tell := func(e notify.Event) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), afterwards)
		defer cancel()
		e.Operation, e.Host, e.Time = operation, host, time.Now()
		if err := all.Notify(ctx, e); err != nil {
			a.warn(log, err)
		}
	}
	tell(notify.Event{Kind: notify.Start})
	var summary string
	err = a.logged(log, func() (string, error) {
		var err error
		summary, err = run()
		return summary, err
	})
	if err == nil {
		tell(notify.Event{Kind: notify.Success, Summary: summary})
		return nil
	}
	failure := failureOf(err)
	if herr := a.errorHooks(hooks.Operation(operation), failure); herr != nil {
		a.warn(log, herr)
	}
	tell(notify.Event{Kind: notify.Failure, Step: failure.Step, Message: failure.Message, Summary: summary})
	return err
}

func failureOf(err error) hooks.Failure {
	f := hooks.Failure{Step: "run", Message: err.Error()}
	if s, ok := errors.AsType[*hooks.StepError](err); ok {
		f.Step = s.Step
	}
	return f
}

// warn tells of what does not change the outcome.
func (a *app) warn(log *logFile, err error) {
	text := printable(err.Error())
	fmt.Fprintln(a.stderr, "warning:", text)
	log.println("warning: " + text)
}

// errorHooks runs the configuration's hooks after a failure, also one that
// was an interruption.
func (a *app) errorHooks(op hooks.Operation, f hooks.Failure) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), afterwards)
	defer cancel()
	h := a.hooks()
	return h.Run(ctx, hooks.Call{Operation: op, State: hooks.Error, Failure: f})
}

// hooks are the configuration's.
func (a *app) hooks() *hooks.Hooks {
	dir := a.getenv("TKLBAM_HOOKS")
	if dir == "" {
		dir = filepath.Join(a.confDir(), "hooks.d")
	}
	return &hooks.Hooks{Local: dir, TempDir: os.TempDir(), Runner: command.Exec{}, Environ: os.Environ(), Output: a.stdout}
}

// signedHooks are the configuration's and those of the profile. Standard output
// may be needed for something else than what they print.
func (a *app) signedHooks(p registry.Profile, aside bool) *hooks.Hooks {
	h := a.hooks()
	h.Profile, h.Verifier = p.Hooks, hooks.GPGV{Keyring: hooks.DefaultKeyring, Runner: command.Exec{}}
	h.Skipped = func(hook string, reason error) {
		fmt.Fprintf(a.stderr, "warning: hook %q is not run: %v\n", hook, reason)
	}
	if aside {
		h.Output = a.stderr
	}
	return h
}

func (a *app) confDir() string {
	if dir := a.getenv(conf.EnvVar); dir != "" {
		return dir
	}
	return conf.DefaultPath
}
