// Command localstack runs the shop's AWS deployment on this machine: it installs
// and starts the emulator, deploys the stack to it by the same cdk deploy that
// AWS gets, and runs the end-to-end suite.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

const usage = `localstack up      install and start the emulator
localstack deploy  build the Lambdas and deploy the shop to it, without an identity provider
localstack env     print what a shell needs to reach it: eval "$(bin/localstack env)"
localstack down    stop it; what was deployed is gone
localstack e2e     all of it from nothing, with the end-to-end suite; leaves nothing behind
localstack roles   its suite of the functions' roles alone, with every permission taken away in turn
localstack e2e REGEXP   the same with those tests of the suite alone

EMULATOR=MiniStack has the first four use another emulator, which deploys in seconds.
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
	e, err := chosen(root)
	if err != nil {
		return err
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
		if e.name != localStack.name {
			return fmt.Errorf("the suite counts on %s: make localstack-down ends %s", localStack.name, e.name)
		}
		return e.endToEnd(ctx, tests...)
	}
	return fmt.Errorf("there is no such command; there are\n%s", usage)
}

// chosen is the emulator that the environment names, or otherwise the one that runs.
func chosen(root string) (emulator, error) {
	port := cmp.Or(os.Getenv("LOCALSTACK_PORT"), "4566")
	tested := emulator{localStack, root, filepath.Join(root, "localstack", ".home"), port}
	fast := emulator{miniStack, root, miniStackHome(root), port}
	switch name := os.Getenv("EMULATOR"); {
	case strings.EqualFold(name, fast.name), name == "" && fast.running() != 0:
		return fast, nil
	case strings.EqualFold(name, tested.name), name == "":
		return tested, nil
	default:
		return emulator{}, fmt.Errorf("EMULATOR is %q; there are %s and %s", name, tested.name, fast.name)
	}
}
