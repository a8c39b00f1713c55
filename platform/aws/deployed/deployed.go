// Package deployed finds the resources of a shop that is deployed, for programs
// that work on it from outside with credentials of their own.
package deployed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"onlineshop/platform/aws"
	"onlineshop/platform/aws/wiring"
)

// Names of a stack's outputs.
const (
	APIURL       = "ApiUrl"
	ImportBucket = "ImportBucket"
	ReportBucket = "ReportBucket"
	eventMapping = "EventMapping" // followed by the plugin's name
)

// Bucket is the output that names the bucket of a plugin's task.
func Bucket(plugin, task string) string { return "Bucket" + plugin + task }

// Stack is a deployed shop.
type Stack struct {
	Name    string
	Outputs map[string]string
	Wiring  wiring.Wiring // of everything, but for snapshots
}

// Find reads a stack's outputs, from the account or from the file that cdk deploy
// --outputs-file wrote: at is a stack's name or such a file's. What they lack it
// reads from the configuration of the plugins' eventmapping functions.
func Find(ctx context.Context, c awssdk.Config, at string) (s Stack, err error) {
	if s.Name, s.Outputs, err = fromFile(at); errors.Is(err, fs.ErrNotExist) {
		s.Name = at
		s.Outputs, err = fromAccount(ctx, c, at)
	}
	if err != nil {
		return s, err
	}
	s.Wiring = wiring.Wiring{
		Plugins: map[string]wiring.PluginWiring{}, Rows: map[string]string{}, Inboxes: map[string]string{}, Reports: s.Outputs[ReportBucket],
	}
	client := lambda.NewFromConfig(c)
	for name, function := range s.Outputs {
		plugin, ok := strings.CutPrefix(name, eventMapping)
		if !ok {
			continue
		}
		w, err := aws.Told(ctx, client, function)
		if err != nil {
			return s, err
		}
		p := w.Plugins[plugin]
		p.EventMapping = function
		s.Wiring.Plugins[plugin], s.Wiring.Bus = p, w.Bus
		maps.Copy(s.Wiring.Rows, w.Rows)
		maps.Copy(s.Wiring.Inboxes, w.Inboxes)
	}
	if len(s.Wiring.Plugins) == 0 {
		return s, fmt.Errorf("%s has no output %s<Plugin>: it is not a shop's stack", at, eventMapping)
	}
	return s, nil
}

// fromFile reads {"<stack>": {"<output>": "<value>"}} with one stack.
func fromFile(path string) (name string, outputs map[string]string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	var stacks map[string]map[string]string
	if err := json.Unmarshal(b, &stacks); err != nil || len(stacks) != 1 {
		return "", nil, fmt.Errorf("%s is not a file of one stack's outputs, as cdk deploy --outputs-file writes it", path)
	}
	for name, outputs := range stacks {
		return name, outputs, nil
	}
	return "", nil, nil
}

func fromAccount(ctx context.Context, c awssdk.Config, name string) (map[string]string, error) {
	out, err := cloudformation.NewFromConfig(c).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		return nil, fmt.Errorf("find the stack %s in %s: %w", name, c.Region, err)
	}
	outputs := map[string]string{}
	for _, o := range out.Stacks[0].Outputs {
		outputs[awssdk.ToString(o.OutputKey)] = awssdk.ToString(o.OutputValue)
	}
	return outputs, nil
}
