// Command localstack runs the shop's AWS deployment on this machine: it installs
// and starts the emulator, deploys the stack to it by the same cdk deploy that
// AWS gets, and runs the end-to-end suite.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

const usage = `localstack up      install and start the emulator
localstack deploy  build the Lambdas and deploy the shop to it, without an identity provider
localstack env     print what a shell needs to reach it: eval "$(bin/localstack env)"
localstack down    stop it; what was deployed is gone
localstack e2e     all of it from nothing, with the end-to-end suite; leaves nothing behind
localstack roles   its suite of the functions' roles alone, with every permission taken away in turn
localstack e2e REGEXP   the same with those tests of the suite alone
`

func main() {
	if len(os.Args) < 2 || len(os.Args) > 3 || len(os.Args) == 3 && os.Args[1] != "e2e" {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	// Never stopped: a second signal must not end the program before it has cleaned up.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := run(ctx, os.Args[1], os.Args[2:]...); err != nil {
		if context.Cause(ctx) != nil {
			err = errors.New("interrupted; everything that was started is stopped")
		}
		fmt.Fprintf(os.Stderr, "localstack %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command string, tests ...string) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, "cdk.json")); err != nil {
		return errors.New("run it in the project's root, where cdk.json is")
	}
	e := emulator{root: root, home: filepath.Join(root, "localstack", ".home"), port: "4566"}
	if p := os.Getenv("LOCALSTACK_PORT"); p != "" {
		e.port = p
	}
	switch command {
	case "up":
		return e.up(ctx)
	case "deploy":
		return e.deployForPeople(ctx)
	case "env":
		return e.printEnvironment()
	case "down":
		return e.stop()
	case "roles":
		return e.everyRole(ctx)
	case "e2e":
		return e.endToEnd(ctx, tests...)
	}
	return fmt.Errorf("there is no such command; there are\n%s", usage)
}
