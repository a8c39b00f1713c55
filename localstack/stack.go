package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"onlineshop/platform/platformtest"
)

// skipped are the resource types that the emulator lacks and the shop can do
// without there, with the reason. It passes over what it lacks and says so in
// its log alone.
var skipped = map[string]string{
	"AWS::CloudWatch::Dashboard": "people look at it; nothing depends on it",
}

var skippedLine = regexp.MustCompile(`No resource provider found for "([^"]+)"`)

// app is what can be deployed as the stack Shop.
type app struct {
	root    string   // of its module; empty: this one
	plugins string   // as make lambdas calls them
	bundles string   // folder of its functions
	command []string // the CDK's option, where cdk.json does not say it
	env     []string // of the app
}

var shop = app{plugins: "shop", bundles: "bin/lambdas"}

// library is the conformance suite's plugins, whose world is served there.
func (e emulator) library(world string) app {
	bundles := e.path("library")
	return app{
		plugins: "library", bundles: bundles, command: []string{"--app", "go run -tags library ./cdk"},
		env: []string{"LIBRARY_BUNDLES=" + bundles, platformtest.WorldVariable + "=" + world},
	}
}

// deploy builds the app's Lambdas for this machine, and deploys its stack with
// the given context values.
func (e emulator) deploy(ctx context.Context, a app, values ...string) error {
	if err := e.answers(ctx); err != nil {
		return err
	}
	if err := e.put(ctx, a, values...); err != nil {
		return err
	}
	if e.name == miniStack.name {
		return nil // it refuses a stack with resource types that it lacks
	}
	return e.checkSkipped()
}

// put is deploy, on whichever emulator it is.
func (e emulator) put(ctx context.Context, a app, values ...string) error {
	arch := "arm64"
	if runtime.GOARCH == "amd64" {
		arch = "x86_64"
	}
	root := cmp.Or(a.root, e.root)
	say("building the Lambdas of the %s for %s, and bootstrapping the account", a.plugins, arch)
	built := make(chan error, 1)
	go func() {
		built <- e.do(ctx, root, e.environment(), "make", "-s", "lambdas", "ARCH="+arch, "PLUGINS="+a.plugins, "BUNDLES="+a.bundles)
	}()
	err := e.do(ctx, e.root, e.environment(), "make", "-s", "node_modules")
	if err == nil {
		err = e.cdk(ctx, e.home, nil, "bootstrap", "aws://000000000000/us-east-1") // there it finds no app to run
	}
	if err := errors.Join(<-built, err); err != nil {
		return err
	}
	say("deploying the %s with %s", a.plugins, strings.Join(values, " "))
	args := []string{"deploy", "Shop", "--require-approval", "never", "--output", e.path("cdk.out"), "--outputs-file", e.path("outputs.json")}
	if err := e.cdk(ctx, root, a.env, slices.Concat(args, a.command, contexts(arch, values))...); err != nil {
		return fmt.Errorf("%w\nthe end of %s:\n%s", err, e.path("log"), tail(e.path("log"), 40))
	}
	return nil
}

var undeletedLine = regexp.MustCompile(`Failed to delete resource with id (\S+ of type [A-Za-z0-9:]+)`)

// destroy removes the stack. The CDK's command line is content where the emulator
// could not delete a resource, whose log tells.
func (e emulator) destroy(ctx context.Context) error {
	say("destroying the stack")
	// cdk.out is the deployed stack's: nothing is synthesized again.
	if err := e.cdk(ctx, e.home, nil, "destroy", "Shop", "--force", "--app", e.path("cdk.out")); err != nil {
		return err
	}
	return e.checkDestroyed()
}

func (e emulator) checkDestroyed() error {
	left, err := e.logged(undeletedLine)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("destroying the stack left resources behind: %s", strings.Join(left, ", "))
	}
	return err
}

// logged are what such lines of the emulator's log name, each once.
func (e emulator) logged(line *regexp.Regexp) (names []string, err error) {
	log, err := os.ReadFile(e.path("log"))
	for _, m := range line.FindAllSubmatch(log, -1) {
		names = append(names, string(m[1]))
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

func contexts(arch string, values []string) (args []string) {
	for _, v := range append([]string{"removal=destroy", "arch=" + arch}, values...) {
		args = append(args, "-c", v)
	}
	return args
}

// cdk runs the pinned command line of the CDK in dir against the emulator.
func (e emulator) cdk(ctx context.Context, dir string, env []string, args ...string) error {
	quiet := []string{"CDK_DISABLE_CLI_TELEMETRY=true", "CI=true", "NODE_NO_WARNINGS=1", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=true"}
	return e.do(ctx, dir, e.environment(append(quiet, env...)...), e.root+"/node_modules/.bin/cdk", append(args, "--no-notices", "--no-version-reporting")...)
}

// answers fails where no emulator listens; it may be one in Docker.
func (e emulator) answers(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url()+"/_localstack/health", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("no emulator runs (%w): start it with make localstack-up", err)
	}
	return res.Body.Close()
}

// checkSkipped fails where the emulator passed over a resource that matters.
func (e emulator) checkSkipped() error {
	if e.running() == 0 {
		say("the emulator was started elsewhere: its log says which resource types it passed over (No resource provider found)")
		return nil
	}
	return e.checkLog()
}

func (e emulator) checkLog() error {
	types, err := e.logged(skippedLine)
	if err != nil {
		return err
	}
	var missed []string
	for _, t := range types {
		if why, ok := skipped[t]; ok {
			say("the emulator has no %s, which is passed over: %s", t, why)
		} else {
			missed = append(missed, t)
		}
	}
	if len(missed) > 0 {
		return fmt.Errorf("the emulator has no %s and passed over them in silence: what depends on them is not deployed", strings.Join(missed, ", "))
	}
	return nil
}

// outputs are the deployed stack's, with ApiUrl as the emulator serves it.
func (e emulator) outputs() (map[string]string, error) {
	b, err := os.ReadFile(e.path("outputs.json"))
	if err != nil {
		return nil, err
	}
	var stacks struct{ Shop map[string]string }
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&stacks); err != nil {
		return nil, fmt.Errorf("read %s: %w", e.path("outputs.json"), err)
	}
	// https://<id>.execute-api.<…>/<stage>/ is a name that need not resolve here.
	u, err := url.Parse(stacks.Shop["ApiUrl"])
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("the stack's output ApiUrl is %q, no address", stacks.Shop["ApiUrl"])
	}
	id, _, _ := strings.Cut(u.Host, ".")
	stacks.Shop["ApiUrl"] = e.url() + "/_aws/execute-api/" + id + "/" + strings.Trim(u.Path, "/")
	return stacks.Shop, nil
}

// deployForPeople deploys a shop where everybody may do everything.
func (e emulator) deployForPeople(ctx context.Context) error {
	if err := e.deploy(ctx, shop, "auth=none"); err != nil {
		return err
	}
	fmt.Print(`
The shop is deployed. Tell your shell where, and ask the shop how it is:

  eval "$(bin/localstack env)"
  curl "$SHOP/health"
`)
	return nil
}

// printEnvironment prints, for a shell, what AWS clients and docs/aws.md need.
func (e emulator) printEnvironment() error {
	out, err := e.outputs()
	if err != nil {
		return fmt.Errorf("find the deployed shop (make localstack-deploy deploys one): %w", err)
	}
	if _, err := os.Stat(e.path("venv/bin/aws")); err == nil { // LocalStack brings the AWS command line
		fmt.Printf("export PATH=%q:\"$PATH\"\n", e.path("venv/bin"))
	}
	for _, v := range e.credentials() {
		fmt.Println("export", v)
	}
	fmt.Printf("export SHOP=%s IMPORTS=%s REPORTS=%s\n", out["ApiUrl"], out["ImportBucket"], out["ReportBucket"])
	return nil
}
