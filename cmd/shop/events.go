package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

type eventsCommand struct {
	Aggregate string `arg:"" help:"The aggregate's name, e.g. Catalog.Product or catalog/product."`
	ID        string `arg:"" name:"id" help:"The aggregate's id."`
}

// Help is shown by --help.
func (eventsCommand) Help() string {
	return examples("Prints what happened to one aggregate, from the first event on. Internal aggregates have histories too.",
		"shop events Catalog.Product desk-lamp", "shop events ordering/order order-1001 --json", "shop events Catalog.ProductImport june.csv")
}

// event is an item of a history.
type event struct {
	Version       int64           `json:"version"`
	Type          string          `json:"type"`
	Data          json.RawMessage `json:"data"`
	Time          time.Time       `json:"time"`
	User          string          `json:"user"`
	MessageID     string          `json:"messageId"`
	CorrelationID string          `json:"correlationId"`
	CausationID   string          `json:"causationId,omitempty"`
}

// Run prints the history page by page.
func (c eventsCommand) Run(ctx context.Context, s *session) error {
	shop := s.client()
	a, err := shop.component(ctx, c.Aggregate, func(p pluginManifest) []component { return p.Aggregates })
	if err != nil {
		return err
	}
	path := a.Path + "/" + url.PathEscape(c.ID) + "/events"
	if s.JSON {
		return each(ctx, shop, path, func(e json.RawMessage) error { return s.printJSON(e) })
	}
	table := s.table("VERSION", "TIME", "EVENT", "USER", "DATA")
	n := 0
	err = each(ctx, shop, path, func(e event) error {
		n++
		_, err := fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", e.Version, e.Time.Local().Format(time.DateTime), e.Type, e.User, e.Data)
		return err
	})
	if err == nil && n == 0 {
		s.printf("Nothing has happened to %s %s.\n", c.Aggregate, c.ID)
		return nil
	}
	if err == nil {
		err = table.Flush()
	}
	return err
}

// table aligns columns that are separated by tabs.
func (s *session) table(columns ...string) *tabwriter.Writer {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(columns, "\t"))
	return w
}

// manifest is what /manifest.json says of names and paths.
type manifest struct {
	Plugins []pluginManifest `json:"plugins"`
}

type pluginManifest struct {
	Name       string      `json:"name"`
	Aggregates []component `json:"aggregates"`
	ReadModels []component `json:"readModels"`
}

type component struct {
	Name string `json:"name"` // full, e.g. Catalog.Product
	Path string `json:"path"` // an aggregate's ends in /{id}
}

// component finds a component by its name, e.g. Catalog.Products, or its path,
// e.g. catalog/products.
func (c *client) component(ctx context.Context, name string, of func(pluginManifest) []component) (component, error) {
	var m manifest
	if err := c.get(ctx, "/manifest.json", &m); err != nil {
		return component{}, err
	}
	var names []string
	for _, p := range m.Plugins {
		for _, x := range of(p) {
			x.Path = strings.TrimSuffix(x.Path, "/{id}")
			if x.Name == name || strings.Trim(x.Path, "/") == strings.Trim(name, "/") {
				return x, nil
			}
			names = append(names, x.Name)
		}
	}
	return component{}, usagef("the shop has no %q; it has %s", name, strings.Join(names, ", "))
}
