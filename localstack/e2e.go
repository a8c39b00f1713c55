package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"onlineshop/docs/tutorial"
	"onlineshop/platform/platformtest"
)

// endToEnd installs, starts, runs the suites and stops, and stops too where
// something before it fails. With a pattern, as go test -run takes it, it runs
// those tests alone.
func (e emulator) endToEnd(ctx context.Context, pattern ...string) (err error) {
	if err := e.free(); err != nil {
		return err
	}
	began := time.Now()
	defer func() { say("%s in all", time.Since(began).Round(time.Second)) }()
	defer func() { // before up: it may be interrupted half-way
		err = errors.Join(err, e.stop())
	}()
	if err := e.up(ctx); err != nil {
		return err
	}
	run, test := ".", []string{"test", "-short"}
	if len(pattern) > 0 {
		run, test = pattern[0], []string{"test"}
	}
	none := true
	for _, suite := range []struct {
		folder string
		run    func(ctx context.Context, test func(env ...string) error) error
		long   bool // takes minutes: run if it is asked for
	}{
		{"platform/aws", e.onDynamoDB, false},
		{"localstack/conformance", e.onTheLibrary, false},
		{"localstack/e2e", e.onTheShop, false},
		{"docs/tutorial", e.onTheTutorial, true},
		{"localstack/roles", e.onTheRoles, false},
	} {
		if suite.long && len(pattern) == 0 {
			continue
		}
		has, err := hasTest(filepath.Join(e.root, suite.folder), run)
		if err != nil {
			return err
		}
		if !has {
			continue
		}
		none = false
		err = suite.run(ctx, func(env ...string) error {
			return e.do(ctx, e.root, env, "go", slices.Concat(test, []string{"-count=1", "-v", "-timeout", "30m", "-run", run, "./" + suite.folder})...)
		})
		if err != nil {
			return err
		}
	}
	if none {
		return fmt.Errorf("no suite has a test whose name matches %q", run)
	}
	return nil
}

var testName = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

// hasTest says whether the folder has a test that go test -run would run.
func hasTest(folder, run string) (bool, error) {
	top, _, _ := strings.Cut(run, "/")
	pattern, err := regexp.Compile(top)
	if err != nil {
		return false, fmt.Errorf("which tests are to run: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return false, err
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return false, err
		}
		for _, m := range testName.FindAllSubmatch(text, -1) {
			if pattern.Match(m[1]) {
				return true, nil
			}
		}
	}
	return false, nil
}

// onDynamoDB tests platform/aws with a DynamoDB Local of its own.
func (e emulator) onDynamoDB(ctx context.Context, test func(env ...string) error) error {
	endpoint, stop, err := e.dynamoDB(ctx)
	if err != nil {
		return err
	}
	say("testing platform/aws against DynamoDB Local at %s", endpoint)
	return errors.Join(test(append(withoutAWS(), "SHOP_DYNAMODB_ENDPOINT="+endpoint)...), stop())
}

// onTheLibrary tests the platform as it is deployed, with the plugins of the
// suite that every platform passes.
func (e emulator) onTheLibrary(ctx context.Context, test func(env ...string) error) error {
	world, err := serve(ctx, platformtest.Serve(platformtest.NewWorld()))
	if err != nil {
		return fmt.Errorf("serve the library's world: %w", err)
	}
	return e.deployed(ctx, e.library(world), func() error {
		dynamoDB, err := os.ReadFile(e.path("dynamodb"))
		if err != nil {
			return err
		}
		say("testing the platform as it is deployed")
		return test(e.environment("AWS_ENDPOINT_URL_DYNAMODB="+string(dynamoDB), "SHOP_E2E_OUTPUTS="+e.path("outputs.json"), platformtest.WorldVariable+"="+world)...)
	}, "auth=none")
}

// onTheShop tests the shop as it is deployed.
func (e emulator) onTheShop(ctx context.Context, test func(env ...string) error) error {
	provider, err := newIssuer(ctx)
	if err != nil {
		return err
	}
	return e.deployed(ctx, shop, func() error {
		out, err := e.outputs()
		if err != nil {
			return err
		}
		say("testing the shop at %s", out["ApiUrl"])
		// An order can be cancelled for a while, and an import must go on several times.
		return test(e.environment("SHOP_E2E_API="+out["ApiUrl"], "SHOP_E2E_OUTPUTS="+e.path("outputs.json"), "SHOP_E2E_ISSUER="+provider.url)...)
	}, "auth=jwt", "jwtIssuer="+provider.url, "jwtAudience="+audience, "shipDelay=20s", "importTimeout=20")
}

// onTheTutorial tests the shop with the plugin that the tutorial writes.
func (e emulator) onTheTutorial(ctx context.Context, test func(env ...string) error) error {
	made := app{root: e.path("tutorial"), plugins: shop.plugins, bundles: shop.bundles}
	say("following %s", tutorial.Document)
	if err := tutorial.Make(ctx, e.root, made.root); err != nil {
		return err
	}
	return e.deployed(ctx, made, func() error {
		out, err := e.outputs()
		if err != nil {
			return err
		}
		say("testing the tutorial's shop at %s", out["ApiUrl"])
		return test(e.environment("SHOP_TUTORIAL_API=" + out["ApiUrl"])...)
	}, "auth=none", "shipDelay=1h")
}

// deployed does something with the app while it is deployed.
func (e emulator) deployed(ctx context.Context, a app, do func() error, values ...string) error {
	if err := e.deploy(ctx, a, values...); err != nil {
		return err
	}
	err := do()
	if ctx.Err() != nil {
		return err // the emulator forgets the stack when it stops
	}
	return errors.Join(err, e.destroy(ctx))
}
