// Package plugins is the shop's plugins: every plugin in a folder below. A new one is
// made by make plugin, and found by itself.
//
//es:plugins
package plugins

//go:generate go run onlineshop/es/esgen

// Title is what the plugins are together.
const Title = "Online shop"

// Currency is that of prices, by its ISO 4217 code, where nobody says another.
const Currency = "EUR"

// EmailFrom is the sender of e-mails where no other is set.
const EmailFrom = "shop@example.com"

// ShipDelayVariable is the environment variable that says how long an order waits until
// it is shipped, as a Go duration.
const ShipDelayVariable = "SHOP_SHIP_DELAY"
