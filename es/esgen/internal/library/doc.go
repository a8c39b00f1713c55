// Package library is a plugin for testing the generator: small, but with at
// least one of everything that it writes.
//
//es:plugin Library heartbeat=90s
package library

//go:generate go run onlineshop/es/esgen
