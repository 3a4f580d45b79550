// Command tklbam backs up and restores systems. It is one binary for all of
// its commands: see package cli.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"tklbam/pkg/cli"
)

func main() {
	if os.Getenv("GOGC") == "" {
		// Little of the heap has pointers: collecting often costs next to
		// nothing, and halves the memory of a backup.
		debug.SetGCPercent(10)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := cli.Main(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
