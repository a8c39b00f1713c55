// The task function runs any plugin's task on each new object of the task's bucket.
// Which task that is its environment says.
package main

import "onlineshop/lambdas/internal/function"

func main() { function.Start(function.RunTask) }
