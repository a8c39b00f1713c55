//go:build !library

package main

import (
	"time"

	"onlineshop/console"
	"onlineshop/es"
	"onlineshop/es/email"
	"onlineshop/platform/local"
	"onlineshop/plugins"
	"onlineshop/plugins/ordering/mail"
)

const (
	title   = plugins.Title
	hasDemo = true
)

// plugins are those that are served. They send e-mails by way of that folder.
func (c serveCommand) plugins(sent *local.Outbox) []es.Plugin {
	all := plugins.All(deps{shipDelay: c.ShipDelay, outbox: sent})
	for i, p := range all {
		all[i].UIBundleURL = console.BundleURL(p.Name)
	}
	return all
}

// deps implements [plugins.Deps] on this machine.
type deps struct {
	outbox    *local.Outbox
	shipDelay time.Duration
}

func (d deps) Sender() email.Sender            { return d.outbox }
func (d deps) EmailService() mail.EmailService { return mail.By(d.outbox) }
func (d deps) ShipDelay() time.Duration        { return d.shipDelay }
