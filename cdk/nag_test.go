package main

import (
	"regexp"
	"testing"
)

// finding is something that cdk-nag's pack AwsSolutions points at.
type finding struct{ path, rule string }

// accepted are the findings that stay, each with its reason.
var accepted = []struct{ rule, path, reason string }{
	{`IAM5\[Resource::\*\]`, `Role/DefaultPolicy/Resource$`,
		"X-Ray's actions, dynamodb:ListStreams and cloudwatch:GetMetricData take no resource; TestNothingIsAllowedOnEverythingWithoutNeed holds that nothing else is allowed on everything"},
	{`IAM5\[Resource::<Reports\w+.Arn>/(reports|emails|about/\w+)/\*\]`, `Role/DefaultPolicy/Resource$`,
		"a report is named by its object's key, an e-mail by its message and whom it is about, which nobody knows beforehand"},
	{`IAM5\[Resource::<\w+Bucket\w+.Arn>/\*\]`, `QueryRole/DefaultPolicy/Resource$`,
		"the query function signs where a file is to be sent, and people name their files as they like"},
	{`IAM5\[Resource::<\w+Bucket\w+.Arn>/\*\]`, `Objects/Resource$`,
		"a task reads whatever is put into its bucket"},
	{`IAM4\[.*AmazonAPIGatewayPushToCloudWatchLogs\]`, `/Api/CloudWatchRole/Resource$`,
		"API Gateway's role for logs is one for the whole account, and this is the policy that AWS gives for it"},
	{`APIG4`, `/Api/Default/`,
		"tokens are verified by httpapi in the functions, alike on every platform; health and descriptions are public"},
	{`COG4`, `/Api/Default/`,
		"tokens are verified by httpapi in the functions, whoever issues them"},
	{`APIG2`, `/Api/Resource$`,
		"httpapi checks requests against the generated schemas, alike on every platform, and in the order that its contract gives"},
	{`APIG3`, `/Api/DeploymentStage.prod/Resource$`,
		"a web application firewall costs a monthly fee and depends on who the visitors are: for the shop's owner to add"},
	{`COG2`, `/Users/Resource$`,
		"a second factor is offered; to demand one of a shop's customers would turn them away"},
	{`COG3`, `/Users/Resource$`,
		"threat protection needs Cognito's Plus plan, which is paid for by user: for the shop's owner to choose"},
	{`S1`, `/(Reports|\w+Bucket)/Resource$`,
		"an upload is recorded by the events that it causes; S3's access logs would need a further bucket that itself has none"},
	{`SQS3`, `DeadLetters/Resource$`,
		"it is the dead-letter queue of asynchronous calls, which the rule does not see"},
}

func TestAwsSolutionsFindsNothingUnexplained(t *testing.T) {
	used := make([]bool, len(accepted))
	for _, f := range usual().findings {
		explained := false
		for i, a := range accepted {
			if regexp.MustCompile(`^(`+a.rule+`)$`).MatchString(f.rule) && regexp.MustCompile(a.path).MatchString(f.path) {
				explained, used[i] = true, true
			}
		}
		if !explained {
			t.Errorf("AwsSolutions-%s at %s: mend it, or accept it with a reason", f.rule, f.path)
		}
	}
	for i, a := range accepted {
		if !used[i] {
			t.Errorf("%s at %s is accepted, and not found any more", a.rule, a.path)
		}
		if a.reason == "" {
			t.Errorf("%s at %s is accepted without a reason", a.rule, a.path)
		}
	}
}
