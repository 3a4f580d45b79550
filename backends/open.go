package backends

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Options are what a caller tells a driver besides the address.
type Options struct {
	// Create makes the target when it is absent, readable for its owner
	// alone: for a backup. Without it an absent target is fs.ErrNotExist.
	Create bool
}

// A Driver opens the targets of one kind.
type Driver struct {
	// Schemes are the address schemes it serves, in lower case.
	Schemes []string

	// Open returns a backend for an address with one of the schemes. Its
	// errors need not name the address.
	Open func(ctx context.Context, a Address, opts Options) (Backend, error)
}

// Open parses an address and opens it with the driver of its scheme. Errors
// name the address, without secrets.
func Open(ctx context.Context, drivers []Driver, address string, opts Options) (Backend, error) {
	a, err := ParseAddress(address)
	if err != nil {
		return nil, err
	}
	return OpenAddress(ctx, drivers, a, opts)
}

// OpenAddress is Open for an address that is parsed already.
func OpenAddress(ctx context.Context, drivers []Driver, a Address, opts Options) (Backend, error) {
	i := slices.IndexFunc(drivers, func(d Driver) bool { return slices.Contains(d.Schemes, a.Scheme) })
	if i < 0 {
		return nil, fmt.Errorf("open %s: unknown scheme %q: known are %s", a, a.Scheme, schemes(drivers))
	}
	b, err := drivers[i].Open(ctx, a, opts)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", a, err)
	}
	return b, nil
}

// schemes lists what the drivers serve, sorted, for a message.
func schemes(drivers []Driver) string {
	var all []string
	for _, d := range drivers {
		all = append(all, d.Schemes...)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
