// Command tklbam backs up and restores systems. It is one binary for all of
// its commands: see package cli.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"tklbam/pkg/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := cli.Main(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
