// The eventmapping function tells followers and extension points of one plugin's
// new commits, and does the plugin's operations when it is asked.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"onlineshop/lambdas/internal/function"
)

func main() {
	function.Start(func(f function.Function) (lambda.Handler, error) {
		return f.EventMapping(f.Plugin), nil
	})
}
