// The notifications function runs one plugin's side effects.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"

	"onlineshop/lambdas/internal/function"
)

func main() {
	function.Start(func(_ context.Context, f function.Function) (lambda.Handler, error) {
		return f.Inbox(""), nil
	})
}
