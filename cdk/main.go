// Command cdk describes the shop on AWS: one stack, Shop, made from the plugins'
// definitions. The CDK's command line runs it, as cdk.json says; it needs no
// credentials and writes nothing but the stack's template.
//
// A new aggregate, read model, connection or task appears in the stack without
// a change here.
package main

import (
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

func main() {
	err := synthesize()
	jsii.Close()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cdk:", err)
		os.Exit(1)
	}
}

func synthesize() error {
	app := awscdk.NewApp(nil)
	s, err := readSettings(func(name string) any { return app.Node().TryGetContext(jsii.String(name)) })
	if err != nil {
		return err
	}
	all := deployed(&s)
	if err := checkBundles(s, s.kinds(all)); err != nil {
		return err
	}
	newShop(app, s, all)
	app.Synth(nil)
	return nil
}
