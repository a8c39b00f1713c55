// Package ordering handles the purchase flow: who is buying, and what they
// ordered.
//
// Other plugins see onlineshop/plugins/ordering/orders and nothing else; who
// runs the plugin gives it onlineshop/plugins/ordering/mail's EmailService.
//
//es:plugin Ordering heartbeat=5m
package ordering

//go:generate go run onlineshop/es/esgen
