package aws

import (
	"context"
	"encoding/json"
	"fmt"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"golang.org/x/sync/errgroup"

	"onlineshop/platform/aws/wiring"
)

// Told returns what a function is told of the stack.
func Told(ctx context.Context, client *lambda.Client, function string) (w wiring.Wiring, err error) {
	out, err := client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &function})
	if err != nil {
		return w, fmt.Errorf("read how the function %s is configured: %w", function, err)
	}
	if out.Environment == nil || json.Unmarshal([]byte(out.Environment.Variables[wiring.Variable]), &w) != nil {
		return w, fmt.Errorf("the function %s has no %s that can be read: it is not one of a shop's stack", function, wiring.Variable)
	}
	return w, nil
}

// Whole returns the wiring with what there was no room for in the function's variables, if
// there is any: it asks for the plugins' event mappings, side by side.
func Whole(ctx context.Context, c awssdk.Config, w wiring.Wiring) (wiring.Wiring, error) {
	if !w.Rest {
		return w, nil
	}
	client := lambda.NewFromConfig(c)
	told := map[string]*wiring.Wiring{}
	g, ctx := errgroup.WithContext(ctx)
	for plugin, p := range w.Plugins {
		out := &wiring.Wiring{}
		told[plugin] = out
		g.Go(func() (err error) {
			*out, err = Told(ctx, client, p.EventMapping)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return w, err
	}
	for plugin, t := range told {
		w.Add(plugin, *t)
	}
	w.Rest = false
	return w, nil
}
