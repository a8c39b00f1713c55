// Package function starts the shop's Lambda functions: what a function is for it
// learns from its environment, as package wiring describes it.
package function

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"

	"onlineshop/console"
	"onlineshop/es"
	"onlineshop/es/naming"
	"onlineshop/httpapi"
	"onlineshop/platform/aws"
	"onlineshop/platform/aws/wiring"
	"onlineshop/platform/telemetry"
)

// Function is what a function's handler is made of.
type Function struct {
	*aws.Platform
	Plugin    string  // that it works for; empty: all
	Aggregate string  // full name of the one that it decides on, where it does
	Task      es.Task // that it runs, where it runs one
}

// Start makes the function's platform and serves it with the handler that build
// returns. What is made here is made once per execution environment.
func Start(build func(f Function) (lambda.Handler, error)) {
	logger := aws.NewLogger(os.Stdout, slog.LevelInfo)
	slog.SetDefault(logger)
	handler, err := prepare(context.Background(), logger, build)
	if err != nil {
		logger.Error("the function can't start", "error", err)
		os.Exit(1)
	}
	lambda.Start(handler)
}

func prepare(ctx context.Context, logger *slog.Logger, build func(Function) (lambda.Handler, error)) (lambda.Handler, error) {
	w, err := wiring.FromEnvironment()
	if err != nil {
		return nil, err
	}
	config, err := aws.LoadConfig(ctx)
	if err != nil {
		return nil, err
	}
	if w, err = aws.Whole(ctx, config, w); err != nil {
		return nil, err
	}
	all, forget, err := deployed(config, w)
	if err != nil {
		return nil, err
	}
	version := cmp.Or(os.Getenv(wiring.Version), "unknown")
	f := Function{Aggregate: os.Getenv(wiring.Aggregate)}
	task := os.Getenv(wiring.Task)
	if f.Plugin, _, _ = strings.Cut(cmp.Or(f.Aggregate, task, os.Getenv(wiring.Plugin)), "."); f.Plugin != "" {
		all = slices.DeleteFunc(all, func(p es.Plugin) bool { return p.Name != f.Plugin })
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("plugin %q does not exist", f.Plugin)
	}
	for _, t := range all[0].Tasks {
		if naming.Full(f.Plugin, t.Name) == task {
			f.Task = t
		}
	}
	if task != "" && f.Task.Name == "" {
		return nil, fmt.Errorf("task %q does not exist", task)
	}
	spans, err := telemetry.New(ctx, cmp.Or(os.Getenv("AWS_LAMBDA_FUNCTION_NAME"), title), version)
	if err != nil {
		return nil, err
	}
	f.Platform, err = aws.New(aws.Options{
		Config: config, Wiring: w, Plugins: all, Version: version,
		ReadOnly: f.Plugin == "", Forget: forget, Logger: logger, Metrics: aws.NewMetrics(os.Stdout), Tracer: spans.Tracer(),
	})
	if err != nil {
		return nil, err
	}
	handler, err := build(f)
	if spans == nil || err != nil {
		return handler, err
	}
	return exporting{handler, spans, logger}, nil
}

// exporting sends a call's spans before it ends: afterwards the function stands still.
type exporting struct {
	lambda.Handler
	spans *telemetry.Exporter
	log   *slog.Logger
}

func (h exporting) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	out, err := h.Handler.Invoke(ctx, payload)
	if err := h.spans.Flush(ctx); err != nil {
		h.log.WarnContext(ctx, "spans are not exported", "error", err)
	}
	return out, err
}

// Console is the page for people.
func (f Function) Console() (*httpapi.Console, error) {
	origins, err := f.Origins(context.Background())
	if err != nil {
		return nil, err
	}
	return &httpapi.Console{
		Files: console.Files(), Name: cmp.Or(os.Getenv(wiring.Name), title), Currency: os.Getenv(wiring.Currency),
		LoginURL: os.Getenv(wiring.LoginURL), Connects: origins,
	}, nil
}

// API is the HTTP API of the function's plugins; c has what this function serves
// beside commands, views and histories.
func (f Function) API(c httpapi.Config) (http.Handler, error) {
	c.Engine, c.Plugins, c.Version, c.Logger, c.LogSuccess = f.Engine(), f.Plugins, f.Version, f.Logger, true
	c.Title = title
	switch auth := os.Getenv(wiring.Auth); auth {
	case "none":
		c.Identity = httpapi.InsecureAdmin()
	case "jwt":
		var err error
		if c.Identity, err = httpapi.JWT(os.Getenv(wiring.JWTIssuer), os.Getenv(wiring.JWTAudience)); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%s is %q: it must be none or jwt", wiring.Auth, auth)
	}
	return httpapi.New(c)
}

// RunTask returns the handler that runs the function's task.
func RunTask(f Function) (lambda.Handler, error) { return f.Imports(f.Plugin, f.Task), nil }
