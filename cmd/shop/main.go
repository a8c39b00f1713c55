// Command shop serves the online shop from this machine, and operates one that
// is being served.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal drains, a second one ends the process at once
	os.Exit(program{os.Stdout, os.Stderr}.Run(ctx, os.Args[1:]...))
}
