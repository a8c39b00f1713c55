// The query function answers what commands don't: views, histories, operations
// and descriptions of all plugins. It writes nothing but the key of its cursors, once.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"onlineshop/httpapi"
	"onlineshop/lambdas/internal/function"
)

func main() {
	function.Start(func(f function.Function) (lambda.Handler, error) {
		page, err := f.Console()
		if err != nil {
			return nil, err
		}
		api, err := f.API(httpapi.Config{Operations: f.Operations(), Health: f.Health, Reports: f.Platform, Uploads: f.Platform, CursorKey: f.CursorKey, Console: page})
		if err != nil {
			return nil, err
		}
		return f.Queries(api), nil
	})
}
