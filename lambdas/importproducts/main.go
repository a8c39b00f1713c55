// The importproducts function runs a plugin's task on each new object of the
// task's bucket.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"onlineshop/lambdas/internal/function"
)

func main() {
	function.Start(func(f function.Function) (lambda.Handler, error) {
		return f.Imports(f.Plugin, f.Task), nil
	})
}
