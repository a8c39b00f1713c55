// Package plugintest gives tests what the shop's plugins ask for.
package plugintest

import (
	"time"

	"onlineshop/plugins"
	"onlineshop/plugins/ordering/mail"
)

// Deps implements [plugins.Deps] with its fields.
type Deps struct {
	plugins.NoDeps
	Mail  mail.EmailService
	Delay time.Duration // until an order is shipped
}

// EmailService is Mail.
func (d Deps) EmailService() mail.EmailService { return d.Mail }

// ShipDelay is Delay.
func (d Deps) ShipDelay() time.Duration { return d.Delay }
