//go:build !library

package function

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"onlineshop/console"
	"onlineshop/es"
	"onlineshop/es/email"
	"onlineshop/es/engine"
	"onlineshop/platform/aws"
	"onlineshop/platform/aws/wiring"
	"onlineshop/plugins"
	"onlineshop/plugins/ordering/mail"
)

const title = plugins.Title

// deployed are the plugins that the functions run. forget removes what they keep of a stream's
// subject; nil where a function can't, since nothing that it does is kept.
func deployed(config awssdk.Config, w wiring.Wiring) (all []es.Plugin, forget func(context.Context, engine.Stream) error, err error) {
	delay, err := time.ParseDuration(cmp.Or(os.Getenv(plugins.ShipDelayVariable), "0s"))
	if err != nil {
		return nil, nil, fmt.Errorf("the ship delay in %s: %w", plugins.ShipDelayVariable, err)
	}
	mailer := aws.NewMailer(config, w, os.Getenv(wiring.EmailFrom), plugins.EmailFrom)
	if w.Reports != "" {
		forget = mailer.Forget
	}
	all = plugins.All(deps{shipDelay: delay, mailer: mailer})
	for i, p := range all {
		all[i].UIBundleURL = console.BundleURL(p.Name)
	}
	return all, forget, nil
}

// deps implements [plugins.Deps] on AWS.
type deps struct {
	mailer    *aws.Mailer
	shipDelay time.Duration
}

func (d deps) Sender() email.Sender            { return d.mailer }
func (d deps) EmailService() mail.EmailService { return mail.By(d.mailer) }
func (d deps) ShipDelay() time.Duration        { return d.shipDelay }
