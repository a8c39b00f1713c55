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
	"onlineshop/platform/aws"
	"onlineshop/platform/aws/wiring"
	"onlineshop/plugins"
	"onlineshop/plugins/catalog"
	"onlineshop/plugins/ordering"
	"onlineshop/plugins/ordering/mail"
)

// deployed are the plugins that the functions run.
func deployed(config awssdk.Config, w wiring.Wiring) ([]es.Plugin, error) {
	delay, err := time.ParseDuration(cmp.Or(os.Getenv(wiring.ShipDelay), "0s"))
	if err != nil {
		return nil, fmt.Errorf("the ship delay in %s: %w", wiring.ShipDelay, err)
	}
	return plugins.All(plugins.Deps{
		Catalog: catalog.Deps{UIBundleURL: os.Getenv("CATALOG_UI_BUNDLE_URL")},
		Ordering: ordering.Deps{
			UIBundleURL: os.Getenv("ORDERING_UI_BUNDLE_URL"), ShipDelay: delay,
			EmailService: mailer{aws.NewMailer(config, w, os.Getenv(wiring.EmailFrom))},
		},
	}), nil
}

// mailer is Ordering's e-mail service on AWS.
type mailer struct{ *aws.Mailer }

// SendOrderConfirmation implements [mail.EmailService].
func (m mailer) SendOrderConfirmation(ctx context.Context, c mail.OrderConfirmation) error {
	subject, body := c.Text()
	return m.Send(ctx, c.MessageID, c.To, subject, body)
}
