package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"onlineshop/platform/aws/wiring"
)

// How long the functions may take. Who waits for an answer over HTTP gets one
// within 29 seconds, API Gateway's limit.
const (
	commandTimeout      = 30 * time.Second
	queryTimeout        = 29 * time.Second
	projectorTimeout    = time.Minute
	eventMappingTimeout = time.Minute
	effectTimeout       = time.Minute
)

// function is a Lambda function. Its role may do what [function.may] says, write
// to its own log, and report traces.
type function struct {
	awslambda.Function
	name   string // construct id
	reader bool   // of a stream
}

// functionSpec is what makes a function.
type functionSpec struct {
	kind         string // folder below lambdas/
	about        string
	timeout      time.Duration
	memory       float64 // MB, of which its share of a processor follows
	wiring       wiring.Wiring
	env          map[string]string
	selfInvoking bool // may call itself as often as its work takes
}

func (s *shop) function(name string, f functionSpec) *function {
	logs := s.logGroup(name, nil)
	role := awsiam.NewRole(s.stack, jsii.String(name+"Role"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	variables := s.variables(f.wiring, f.env)
	if size := s.room(variables); size > wiring.MaxVariables {
		awscdk.Annotations_Of(s.stack).AddWarning(jsii.String(fmt.Sprintf(
			"The variables of the function %s may take %d bytes, and Lambda allows %d: make two plugins of one, or give the stack or its views shorter names.", name, size, wiring.MaxVariables)))
	}
	architecture := awslambda.Architecture_ARM_64()
	if s.arch == "x86_64" {
		architecture = awslambda.Architecture_X86_64()
	}
	props := &awslambda.FunctionProps{
		Description:   jsii.String(f.about),
		Runtime:       awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:  architecture,
		Code:          awslambda.Code_FromAsset(jsii.String(filepath.Join(s.bundles, f.kind)), nil),
		Handler:       jsii.String(bootstrap),
		Timeout:       seconds(f.timeout),
		MemorySize:    jsii.Number(f.memory),
		Environment:   &variables,
		Role:          role,
		LogGroup:      logs,
		LoggingFormat: awslambda.LoggingFormat_JSON,
		Tracing:       awslambda.Tracing_ACTIVE,
	}
	if f.selfInvoking {
		props.RecursiveLoop = awslambda.RecursiveLoop_ALLOW
	}
	out := &function{Function: awslambda.NewFunction(s.stack, jsii.String(name), props), name: name}
	out.allow("logs:CreateLogStream logs:PutLogEvents", logs.LogGroupArn())
	s.all = append(s.all, out)
	return out
}

// variables are those of a function.
func (s *shop) variables(w wiring.Wiring, own map[string]string) map[string]*string {
	out := map[string]*string{wiring.Variable: jsii.String(w.Encode())}
	for _, env := range []map[string]string{s.env, own} {
		for k, v := range env {
			out[k] = jsii.String(v)
		}
	}
	return out
}

// room is how many bytes variables take, once each name in them is what CloudFormation
// makes of a resource's: the stack's name, the resource's, and a dozen letters.
func (s *shop) room(variables map[string]*string) (n int) {
	around := len(*s.stack.StackName()) + len("-1ABCDEFGHIJKL-")
	var size func(v any) int
	size = func(v any) (n int) {
		switch v := v.(type) {
		case string:
			return len(v)
		case []any:
			for _, x := range v {
				n += size(x)
			}
		case map[string]any:
			for intrinsic, of := range v {
				switch of := of.(type) {
				case string: // Ref
					n += around + len(of)
					if strings.Contains(of, "Inbox") {
						n += len("https://sqs.ap-southeast-1.amazonaws.com/123456789012/")
					}
				case []any:
					if n += size(of); intrinsic == "Fn::GetAtt" {
						n += around
					}
				}
			}
		}
		return n
	}
	for name, v := range variables {
		n += len(name) + size(s.stack.Resolve(v))
	}
	return n
}

// logGroup makes one, with a generated name where called is nil.
func (s *shop) logGroup(name string, called *string) awslogs.LogGroup {
	return awslogs.NewLogGroup(s.stack, jsii.String(name+"Log"), &awslogs.LogGroupProps{
		LogGroupName:  called,
		Retention:     awslogs.RetentionDays_THREE_MONTHS,
		RemovalPolicy: s.removal(),
	})
}

// allow allows the actions, separated by spaces, on the resources.
func (f *function) allow(actions string, resources ...*string) {
	f.AddToRolePolicy(statement(actions, nil, resources))
}

// allowIf is allow under a condition: operator, key, values.
func (f *function) allowIf(operator, key string, values []string, actions string, resources ...*string) {
	f.AddToRolePolicy(statement(actions, &map[string]any{operator: map[string]any{key: values}}, resources))
}

func statement(actions string, conditions *map[string]any, resources []*string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings(strings.Fields(actions)...), Resources: &resources, Conditions: conditions,
	})
}

// Actions on tables, by the engine's port whose adapter performs them.
const (
	readLog     = "dynamodb:Query"
	listStreams = "dynamodb:Scan"
	appendToLog = "dynamodb:PutItem"
	moveCursor  = "dynamodb:GetItem dynamodb:UpdateItem"
	noteLag     = "dynamodb:UpdateItem"
	readRow     = "dynamodb:GetItem"
	writeRow    = "dynamodb:UpdateItem"
	removeRow   = "dynamodb:DeleteItem"
	listRows    = "dynamodb:Scan"
	queryRows   = "dynamodb:Query" // of an index, or below an id
	park        = "dynamodb:UpdateItem"
	readParked  = "dynamodb:GetItem"
	unpark      = "dynamodb:DeleteItem"
	listParked  = "dynamodb:Scan"
	hasNoCommit = "dynamodb:ConditionCheckItem" // an append's place is free
	unrejected  = "dynamodb:ConditionCheckItem" // and a rejection of the command is not kept
	readKey     = "dynamodb:GetItem"
	makeKey     = "dynamodb:PutItem"
	destroyKey  = "dynamodb:PutItem"
	unsnapshot  = "dynamodb:DeleteItem"
	restore     = "dynamodb:GetItem"
	snapshot    = "dynamodb:PutItem"
	invoke      = "lambda:InvokeFunction"
)

// appends lets the function append to the logs of those aggregates of the plugin.
func (f *function) appends(p *plugin, aggregates ...string) {
	f.allowIf("ForAllValues:StringLike", "dynamodb:LeadingKeys", streamKeys(aggregates), appendToLog, p.events.TableArn())
}

// streamKeys are the keys of the aggregates' streams.
func streamKeys(aggregates []string) (keys []string) {
	for _, a := range aggregates {
		keys = append(keys, wiring.StreamKey(a, "*"))
	}
	return keys
}

// allowAfterwards grants what mentions a thing that itself waits for the function; as part
// of its role's policy it would be waited for.
func (f *function) allowAfterwards(s *shop, name string, statements ...awsiam.PolicyStatement) {
	awsiam.NewPolicy(s.stack, jsii.String(f.name+name), &awsiam.PolicyProps{
		Roles: &[]awsiam.IRole{f.Role()}, Statements: &statements,
	})
}

// inBucket is a path in a bucket, as policies name it.
func inBucket(bucketARN *string, path string) *string {
	return awscdk.Fn_Join(jsii.String(""), &[]*string{bucketARN, jsii.String("/" + path)})
}
