// The importproducts function runs Catalog's task ImportProducts on each new object of
// its bucket. Tasks without a program of their own run in lambdas/task.
package main

import "onlineshop/lambdas/internal/function"

func main() { function.Start(function.RunTask) }
