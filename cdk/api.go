package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/jsii-runtime-go"

	"onlineshop/es/naming"
	"onlineshop/httpapi"
)

// How many requests a second the API takes, on average and at once. More are a 429.
const throttleRate, throttleBurst = 500, 1000

// stage ends the API's URL.
const stage = "prod"

// restAPI makes the REST API, as yet without paths: what has to know its address is made
// before the functions that answer them.
func (s *shop) restAPI() awsapigateway.RestApi {
	logs := s.logGroup("Access", nil)
	api := awsapigateway.NewRestApi(s.stack, jsii.String("Api"), &awsapigateway.RestApiProps{
		RestApiName:                 s.stack.StackName(),
		Description:                 jsii.String("The shop's HTTP API"),
		EndpointTypes:               &[]awsapigateway.EndpointType{awsapigateway.EndpointType_REGIONAL},
		BinaryMediaTypes:            jsii.Strings("*/*"), // as text a body would come mended: U+FFFD for what is no UTF-8
		CloudWatchRole:              jsii.Bool(true),
		CloudWatchRoleRemovalPolicy: s.removal(),
		DeployOptions: &awsapigateway.StageOptions{
			StageName:            jsii.String(stage),
			AccessLogDestination: awsapigateway.NewLogGroupLogDestination(logs),
			AccessLogFormat:      awsapigateway.AccessLogFormat_Custom(jsii.String(accessLog())),
			LoggingLevel:         awsapigateway.MethodLoggingLevel_ERROR,
			MetricsEnabled:       jsii.Bool(true),
			TracingEnabled:       jsii.Bool(true),
			ThrottlingRateLimit:  jsii.Number(throttleRate),
			ThrottlingBurstLimit: jsii.Number(throttleBurst),
		},
	})
	// API Gateway would make this one itself, and keep it for ever.
	errors := s.logGroup("Execution", jsii.String("API-Gateway-Execution-Logs_"+*api.RestApiId()+"/"+stage))
	api.DeploymentStage().Node().AddDependency(errors)
	api.Node().TryRemoveChild(jsii.String("Endpoint")) // an output with a generated name; ours is ApiUrl
	return api
}

// origin is the API's, and so the page's. Unlike the API's URL it waits for no function.
func (s *shop) origin() string {
	return "https://" + *s.api.RestApiId() + ".execute-api." + *s.stack.Region() + "." + *s.stack.UrlSuffix()
}

// consoleURL is the page's address.
func (s *shop) consoleURL() string { return s.origin() + "/" + stage + "/console/" }

// routes leads POST below an aggregate's path to the aggregate's function, and
// everything else, existing or not, to the query function, so that every path is
// answered by the contract. The API reads nothing of a request itself; tokens are
// verified by the functions.
func (s *shop) routes() {
	api, queries := s.api, integration(s.query)
	everything := func(r awsapigateway.IResource) { r.AddMethod(jsii.String("ANY"), queries, nil) }
	below := func(r awsapigateway.IResource) awsapigateway.Resource {
		proxy := r.AddResource(jsii.String("{proxy+}"), nil)
		everything(proxy)
		return proxy
	}
	everything(api.Root())
	below(api.Root())
	for _, p := range s.plugins {
		plugin := api.Root().AddResource(jsii.String(naming.PathSegment(p.Name)), nil)
		everything(plugin)
		below(plugin)
		for _, c := range p.commands {
			if c.Internal {
				continue
			}
			aggregate := plugin.AddResource(jsii.String(naming.PathSegment(naming.Short(c.Name))), nil)
			everything(aggregate)
			below(aggregate).AddMethod(jsii.String(http.MethodPost), integration(c.function), nil)
		}
	}
	for _, r := range refusals() {
		api.AddGatewayResponse(jsii.String(*r.typ.ResponseType()), &awsapigateway.GatewayResponseOptions{
			Type: r.typ, StatusCode: jsii.String(fmt.Sprint(r.status)), ResponseHeaders: r.headers(),
			Templates: &map[string]*string{"application/json": jsii.String(r.body())},
		})
	}
}

func integration(f *function) awsapigateway.LambdaIntegration {
	return awsapigateway.NewLambdaIntegration(f.Function, &awsapigateway.LambdaIntegrationOptions{
		ScopePermissionToMethod: jsii.Bool(false), // a function's policy has room for few methods
	})
}

// accessLog is a line of the access log. It leaves the caller's address out.
func accessLog() string {
	b, err := json.Marshal(map[string]string{
		"requestId": "$context.requestId", "time": "$context.requestTime",
		"method": "$context.httpMethod", "path": "$context.path", "status": "$context.status",
		"bytes": "$context.responseLength", "milliseconds": "$context.responseLatency",
		"error": "$context.error.responseType", "trace": "$context.xrayTraceId",
	})
	if err != nil {
		panic(err) // strings
	}
	return string(b)
}

// refusal is an answer of API Gateway's own, in the form of httpapi's problems.
type refusal struct {
	typ          awsapigateway.ResponseType
	status       int
	code, detail string
}

func refusals() []refusal {
	const (
		nothing = "there is nothing at this path"
		private = "this is not for you"
		tooMany = "too many requests at once; try again in a moment"
		later   = "the shop can't answer now; try again in a moment"
	)
	return []refusal{
		{awsapigateway.ResponseType_DEFAULT_4XX(), http.StatusBadRequest, "MalformedRequest", "the request could not be read"},
		{awsapigateway.ResponseType_ACCESS_DENIED(), http.StatusForbidden, "Forbidden", private},
		{awsapigateway.ResponseType_WAF_FILTERED(), http.StatusForbidden, "Forbidden", private},
		// What API Gateway calls a missing token is a path that it does not know; what
		// it calls a signature is an Authorization header that it can't read.
		{awsapigateway.ResponseType_MISSING_AUTHENTICATION_TOKEN(), http.StatusNotFound, "NotFound", nothing},
		{awsapigateway.ResponseType_RESOURCE_NOT_FOUND(), http.StatusNotFound, "NotFound", nothing},
		{awsapigateway.ResponseType_UNAUTHORIZED(), http.StatusUnauthorized, "Unauthenticated", "sign in: the header Authorization: Bearer <token> is missing"},
		{awsapigateway.ResponseType_INVALID_SIGNATURE(), http.StatusUnauthorized, "Unauthenticated", "the header Authorization must be there once, as Bearer <token>"},
		{awsapigateway.ResponseType_REQUEST_TOO_LARGE(), http.StatusRequestEntityTooLarge, "PayloadTooLarge", fmt.Sprintf("a body may have at most %d bytes", httpapi.MaxBodyBytes)},
		{awsapigateway.ResponseType_UNSUPPORTED_MEDIA_TYPE(), http.StatusUnsupportedMediaType, "UnsupportedMediaType", "a body must be sent with Content-Type: application/json, in UTF-8 and not encoded otherwise"},
		{awsapigateway.ResponseType_THROTTLED(), http.StatusTooManyRequests, "TooManyRequests", tooMany},
		{awsapigateway.ResponseType_QUOTA_EXCEEDED(), http.StatusTooManyRequests, "TooManyRequests", tooMany},
		{awsapigateway.ResponseType_DEFAULT_5XX(), http.StatusServiceUnavailable, "Unavailable", later},
		{awsapigateway.ResponseType_INTEGRATION_FAILURE(), http.StatusServiceUnavailable, "Unavailable", later},
		{awsapigateway.ResponseType_INTEGRATION_TIMEOUT(), http.StatusServiceUnavailable, "Unavailable", later},
	}
}

func (r refusal) body() string {
	words := strings.ReplaceAll(naming.PathSegment(r.code), "-", " ")
	title := strings.ToUpper(words[:1]) + words[1:]
	return fmt.Sprintf(`{"status":%d,"title":%q,"detail":%q,"code":%q,"correlationId":"$context.requestId"}`, r.status, title, r.detail, r.code)
}

func (r refusal) headers() *map[string]*string {
	h := map[string]*string{
		"Content-Type":           jsii.String("'application/problem+json'"),
		"X-Correlation-Id":       jsii.String("context.requestId"),
		"X-Content-Type-Options": jsii.String("'nosniff'"),
		"Cache-Control":          jsii.String("'no-store'"),
	}
	switch r.status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h["Retry-After"] = jsii.String("'1'")
	case http.StatusUnauthorized:
		h["WWW-Authenticate"] = jsii.String("'Bearer'")
	}
	return &h
}
