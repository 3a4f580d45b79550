package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tklbam/pkg/command"
	"tklbam/pkg/words"
)

// programTimeout bounds the time that a program gets, be it the command or
// sendmail.
const programTimeout = 30 * time.Second

// A Command is a program that is run on every event, with the event as a JSON
// object on its standard input and in these variables of its environment:
// TKLBAM_NOTIFY_EVENT (start, success or failure), TKLBAM_NOTIFY_OPERATION,
// TKLBAM_NOTIFY_HOST, TKLBAM_NOTIFY_TIME (RFC 3339), TKLBAM_NOTIFY_STEP,
// TKLBAM_NOTIFY_MESSAGE and TKLBAM_NOTIFY_SUMMARY, the last three cut at
// 16 KB, and set only if there is something to say. It has 30 seconds.
type Command struct {
	Args    []string // no shell sees them
	Runner  command.Runner
	Environ []string
}

// ParseCommand reads the value of notify-command: words apart by white space,
// quoted as for a shell. Nothing is expanded.
func ParseCommand(value string) ([]string, error) {
	args, err := words.Split(value)
	if err != nil {
		return nil, err
	}
	if len(args) == 0 || args[0] == "" {
		return nil, errors.New("it names no program")
	}
	return args, nil
}

func newCommand(opts Options) (Notifier, error) {
	args, err := ParseCommand(opts.Command)
	if err != nil {
		return nil, err
	}
	return Command{Args: args, Runner: opts.Runner, Environ: opts.Environ}, nil
}

// Notify implements Notifier.
func (c Command) Notify(ctx context.Context, e Event) error {
	stdin, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("notify by command: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, programTimeout)
	defer cancel()
	err = c.Runner.Run(ctx, command.Command{
		Args:  c.Args,
		Env:   c.environ(e),
		Stdin: bytes.NewReader(append(stdin, '\n')),
	})
	if err != nil {
		return fmt.Errorf("notify by command: %w", err)
	}
	return nil
}

const variablePrefix = "TKLBAM_NOTIFY_"

func (c Command) environ(e Event) []string {
	env := slices.DeleteFunc(slices.Clone(c.Environ), func(s string) bool {
		return strings.HasPrefix(s, variablePrefix)
	})
	for _, v := range []struct{ name, value string }{
		{"EVENT", string(e.Kind)},
		{"OPERATION", e.Operation},
		{"HOST", e.Host},
		{"TIME", e.Time.Format(time.RFC3339)},
		{"STEP", e.Step},
		{"MESSAGE", e.Message},
		{"SUMMARY", e.Summary},
	} {
		if v.value != "" {
			env = append(env, variablePrefix+v.name+"="+shorten(v.value))
		}
	}
	return env
}
