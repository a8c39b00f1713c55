// Package catalog manages the product catalogue: what is available for sale,
// and how it is organized.
//
// Other plugins see onlineshop/plugins/catalog/products and nothing else.
//
//es:plugin Catalog heartbeat=5m
package catalog

//go:generate go run onlineshop/es/esgen
