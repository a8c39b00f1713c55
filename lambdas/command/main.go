// The command function decides on one aggregate's commands, which come by HTTP
// and, from mappings and extensions, through its inbox.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"onlineshop/httpapi"
	"onlineshop/lambdas/internal/function"
	"onlineshop/platform/aws/wiring"
)

func main() {
	function.Start(func(f function.Function) (lambda.Handler, error) {
		if os.Getenv(wiring.Auth) == "" { // an internal aggregate's, which only followers send to
			return f.Inbox(f.Aggregate), nil
		}
		api, err := f.API(httpapi.Config{})
		if err != nil {
			return nil, err
		}
		return f.Commands(f.Aggregate, api), nil
	})
}
