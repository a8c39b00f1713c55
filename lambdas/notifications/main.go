// The notifications function runs one plugin's side effects.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"onlineshop/lambdas/internal/function"
)

func main() {
	function.Start(func(f function.Function) (lambda.Handler, error) {
		return f.Inbox(""), nil
	})
}
