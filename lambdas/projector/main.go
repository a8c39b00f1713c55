// The projector function folds one plugin's new commits into its read models.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"onlineshop/lambdas/internal/function"
)

func main() {
	function.Start(func(f function.Function) (lambda.Handler, error) {
		return f.Projector(f.Plugin), nil
	})
}
