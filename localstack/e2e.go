package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// endToEnd installs, starts, deploys, tests, destroys and stops, and stops too
// where something before it fails. With a pattern, it runs those tests of the
// suite alone.
func (e emulator) endToEnd(ctx context.Context, pattern ...string) (err error) {
	if pid := e.running(); pid != 0 {
		return fmt.Errorf("an emulator runs already, as process %d, and may have a shop that somebody uses: make localstack-down ends it", pid)
	}
	began := time.Now()
	defer func() { say("%s in all", time.Since(began).Round(time.Second)) }()
	defer func() { // before up: it may be interrupted half-way
		err = errors.Join(err, e.stop())
	}()
	if err := e.up(ctx); err != nil {
		return err
	}
	if len(pattern) == 0 {
		if err := e.conformance(ctx); err != nil {
			return err
		}
	}
	provider, err := newIssuer(ctx)
	if err != nil {
		return err
	}
	defer provider.server.Close()
	// The import must go on several times, and an order can be cancelled for a while.
	err = e.deploy(ctx, "auth=jwt", "jwtIssuer="+provider.url, "jwtAudience="+audience, "shipDelay=20s", "importTimeout=20")
	if err != nil {
		return err
	}
	tested := e.suite(ctx, provider, pattern...)
	if ctx.Err() != nil {
		return tested // the emulator forgets the stack when it stops
	}
	return errors.Join(tested, e.destroy(ctx))
}

// conformance runs the suite that every platform passes on platform/aws, against
// DynamoDB Local.
func (e emulator) conformance(ctx context.Context) error {
	endpoint, stop, err := e.dynamoDB(ctx)
	if err != nil {
		return err
	}
	say("testing platform/aws against DynamoDB Local at %s", endpoint)
	tested := e.do(ctx, e.root, append(withoutAWS(), "SHOP_DYNAMODB_ENDPOINT="+endpoint),
		"go", "test", "-count=1", "-timeout", "20m", "./platform/aws/...")
	return errors.Join(tested, stop())
}

// suite runs the end-to-end suite on what is deployed.
func (e emulator) suite(ctx context.Context, provider *issuer, pattern ...string) error {
	out, err := e.outputs()
	if err != nil {
		return err
	}
	say("testing the shop at %s", out["ApiUrl"])
	args := []string{"test", "-count=1", "-v", "-timeout", "30m", "./localstack/e2e"}
	for _, p := range pattern {
		args = append(args, "-run", p)
	}
	return e.do(ctx, e.root, e.environment(
		"SHOP_E2E_API="+out["ApiUrl"], "SHOP_E2E_OUTPUTS="+e.path("outputs.json"), "SHOP_E2E_ISSUER="+provider.url,
	), "go", args...)
}
