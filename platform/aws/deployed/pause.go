package deployed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// restoredVariable is an environment variable that no function reads: another value makes
// Lambda start new instances, which remember nothing.
const restoredVariable = "SHOP_RESTORED"

// Functions are a stack's functions, with what calls them.
type Functions struct {
	client   *lambda.Client
	names    []string
	mappings []string // ids of event source mappings
}

// Resources are the physical names of a stack's resources of a CloudFormation type, by their
// logical ids.
func (s Stack) Resources(ctx context.Context, c awssdk.Config, of string) (map[string]string, error) {
	out := map[string]string{}
	pages := cloudformation.NewListStackResourcesPaginator(cloudformation.NewFromConfig(c), &cloudformation.ListStackResourcesInput{StackName: &s.Name})
	for pages.HasMorePages() {
		p, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the resources of the stack %s: %w", s.Name, err)
		}
		for _, r := range p.StackResourceSummaries {
			if awssdk.ToString(r.ResourceType) == of {
				out[awssdk.ToString(r.LogicalResourceId)] = awssdk.ToString(r.PhysicalResourceId)
			}
		}
	}
	return out, nil
}

// Functions finds the stack's functions.
func (s Stack) Functions(ctx context.Context, c awssdk.Config) (*Functions, error) {
	f := &Functions{client: lambda.NewFromConfig(c)}
	functions, err1 := s.Resources(ctx, c, "AWS::Lambda::Function")
	mappings, err2 := s.Resources(ctx, c, "AWS::Lambda::EventSourceMapping")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	for name := range maps.Values(functions) {
		f.names = append(f.names, name)
	}
	for id := range maps.Values(mappings) {
		f.mappings = append(f.mappings, id)
	}
	if len(f.names) == 0 {
		return nil, fmt.Errorf("the stack %s has no functions", s.Name)
	}
	return f, nil
}

// Stop lets no function begin, and waits so long for those that have begun. Queues and
// streams keep what comes meanwhile. It can be repeated.
func (f *Functions) Stop(ctx context.Context, wait time.Duration) error {
	if err := f.enable(ctx, false); err != nil {
		return err
	}
	for _, name := range f.names {
		_, err := f.client.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: &name, ReservedConcurrentExecutions: awssdk.Int32(0)})
		if err != nil {
			return fmt.Errorf("stop the function %s: %w", name, err)
		}
	}
	return sleep(ctx, wait)
}

// Start lets the functions begin again, each as a new instance.
func (f *Functions) Start(ctx context.Context) error {
	for _, name := range f.names {
		if err := f.renew(ctx, name); err != nil {
			return fmt.Errorf("start the function %s: %w", name, err)
		}
	}
	return f.enable(ctx, true)
}

func (f *Functions) renew(ctx context.Context, name string) error {
	now, err := f.client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	if err != nil {
		return err
	}
	variables := map[string]string{restoredVariable: time.Now().UTC().Format(time.RFC3339)}
	if now.Environment != nil {
		for k, v := range now.Environment.Variables {
			if k != restoredVariable {
				variables[k] = v
			}
		}
	}
	if _, err := f.client.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{FunctionName: &name, Environment: &types.Environment{Variables: variables}}); err != nil {
		return err
	}
	if err := lambda.NewFunctionUpdatedV2Waiter(f.client).Wait(ctx, &lambda.GetFunctionInput{FunctionName: &name}, changeTime); err != nil {
		return err
	}
	_, err = f.client.DeleteFunctionConcurrency(ctx, &lambda.DeleteFunctionConcurrencyInput{FunctionName: &name})
	return err
}

// changeTime is how long a function or mapping may take to become what it is told to be.
const changeTime = 5 * time.Minute

// enable lets streams and queues call the functions, or not.
func (f *Functions) enable(ctx context.Context, on bool) error {
	want := "Disabled"
	if on {
		want = "Enabled"
	}
	for _, id := range f.mappings {
		if _, err := f.client.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: &id, Enabled: &on}); err != nil {
			return fmt.Errorf("set the event source mapping %s to %s: %w", id, want, err)
		}
	}
	end := time.Now().Add(changeTime)
	for _, id := range f.mappings {
		for {
			m, err := f.client.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: &id})
			if err == nil && awssdk.ToString(m.State) == want {
				break
			}
			if err == nil && time.Now().After(end) {
				err = fmt.Errorf("it is still %s", awssdk.ToString(m.State))
			}
			if err = cmp.Or(err, sleep(ctx, time.Second)); err != nil {
				return fmt.Errorf("wait until the event source mapping %s is %s: %w", id, strings.ToLower(want), err)
			}
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
