//go:build !library

package function

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"onlineshop/es"
	"onlineshop/es/naming"
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
	all := plugins.All(deps{shipDelay: delay, mailer: mailer{aws.NewMailer(config, w, os.Getenv(wiring.EmailFrom), plugins.EmailFrom)}})
	for i, p := range all {
		all[i].UIBundleURL = os.Getenv(naming.UIBundleVariable(p.Name))
	}
	return all, nil
}

// deps implements [plugins.Deps] on AWS.
type deps struct {
	mailer    mailer
	shipDelay time.Duration
}

func (d deps) EmailService() mail.EmailService { return d.mailer }
func (d deps) ShipDelay() time.Duration        { return d.shipDelay }

// mailer is Ordering's e-mail service on AWS.
type mailer struct{ *aws.Mailer }

// SendOrderConfirmation implements [mail.EmailService].
func (m mailer) SendOrderConfirmation(ctx context.Context, c mail.OrderConfirmation) error {
	subject, body := c.Text()
	return m.Send(ctx, c.MessageID, c.To, subject, body)
}
