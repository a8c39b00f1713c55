//go:build !library

package function

import (
	"cmp"
	"fmt"
	"os"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"onlineshop/console"
	"onlineshop/es"
	"onlineshop/es/email"
	"onlineshop/platform/aws"
	"onlineshop/platform/aws/wiring"
	"onlineshop/plugins"
	"onlineshop/plugins/ordering/mail"
)

const title = plugins.Title

// deployed are the plugins that the functions run.
func deployed(config awssdk.Config, w wiring.Wiring) ([]es.Plugin, error) {
	delay, err := time.ParseDuration(cmp.Or(os.Getenv(plugins.ShipDelayVariable), "0s"))
	if err != nil {
		return nil, fmt.Errorf("the ship delay in %s: %w", plugins.ShipDelayVariable, err)
	}
	all := plugins.All(deps{shipDelay: delay, mailer: aws.NewMailer(config, w, os.Getenv(wiring.EmailFrom), plugins.EmailFrom)})
	for i, p := range all {
		all[i].UIBundleURL = console.BundleURL(p.Name)
	}
	return all, nil
}

// deps implements [plugins.Deps] on AWS.
type deps struct {
	mailer    *aws.Mailer
	shipDelay time.Duration
}

func (d deps) Sender() email.Sender            { return d.mailer }
func (d deps) EmailService() mail.EmailService { return mail.By(d.mailer) }
func (d deps) ShipDelay() time.Duration        { return d.shipDelay }
