package cli

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange puts a GNU command line into the order the flag parser takes:
// options first, then "--", then arguments. Options may stand anywhere before
// a "--", values follow "=" or come as the next word, long names may be cut
// as far as they stay unique, and short ones be joined.
func arrange(flags []cli.Flag, args []string) ([]string, error) {
	var options, rest []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		var found []option
		var err error
		switch {
		case strings.HasPrefix(arg, "--"):
			found, err = longOption(flags, arg[2:])
		case len(arg) > 1 && arg[0] == '-':
			found, err = shortOptions(flags, arg)
		default:
			rest = append(rest, arg)
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			if o.takesValue && !o.hasValue {
				if i++; i == len(args) {
					return nil, usagef("option --%s needs a value", o.name)
				}
				o.value, o.hasValue = args[i], true
			}
			options = append(options, o.String())
		}
	}
	return append(append(options, "--"), rest...), nil
}

type option struct {
	name, value          string
	takesValue, hasValue bool
}

func (o option) String() string {
	if o.hasValue {
		return "--" + o.name + "=" + o.value
	}
	return "--" + o.name
}

func longOption(flags []cli.Flag, text string) ([]option, error) {
	name, value, hasValue := strings.Cut(text, "=")
	var matches []option
	for _, f := range flags {
		for _, n := range f.Names() {
			if len(n) > 1 && strings.HasPrefix(n, name) {
				o := option{n, value, takesValue(f), hasValue}
				if n == name {
					return o.check()
				}
				matches = append(matches, o)
			}
		}
	}
	switch len(matches) {
	case 0:
		return nil, usagef("unknown option --%s", name)
	case 1:
		return matches[0].check()
	}
	return nil, usagef("option --%s is not unique: --%s, --%s", name, matches[0].name, matches[1].name)
}

func (o option) check() ([]option, error) {
	if o.hasValue && !o.takesValue {
		return nil, usagef("option --%s takes no value", o.name)
	}
	return []option{o}, nil
}

// shortOptions reads "-q", "-qh" or "-ovalue".
func shortOptions(flags []cli.Flag, arg string) (found []option, err error) {
	for i := 1; i < len(arg); i++ {
		f := shortFlag(flags, arg[i:i+1])
		if f == nil {
			return nil, usagef("unknown option %s: an argument that begins with %q goes after %q", arg, "-", "--")
		}
		o := option{name: f.Names()[0], takesValue: takesValue(f)}
		if o.takesValue && i+1 < len(arg) {
			o.value, o.hasValue = arg[i+1:], true
			return append(found, o), nil
		}
		found = append(found, o)
	}
	return found, nil
}

func shortFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name {
				return f
			}
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	_, isBool := f.(*cli.BoolFlag)
	return !isBool
}
