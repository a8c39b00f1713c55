package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// addDescriptions adds what the shop tells everybody about itself.
func (a *api) addDescriptions() error {
	describe := func(path, name, summary string, answers *schema, serve func(*call) (*answer, error)) *endpoint {
		return &endpoint{method: http.MethodGet, path: path, tag: "Shop", name: name, summary: summary, answers: answers, serve: serve}
	}
	fixed := func(document *[]byte) func(*call) (*answer, error) {
		return func(*call) (*answer, error) { return &answer{body: *document}, nil }
	}
	var manifest, openAPI []byte
	errs := []error{
		a.add(describe("/manifest.json", "manifest", "The plugins' components and what connects them", manifestSchema, fixed(&manifest))),
		a.add(describe("/openapi.json", "openapi", "This document", inline(map[string]any{"type": "object"}), fixed(&openAPI))),
	}
	if a.Health != nil {
		e := describe("/health", "health", "Health of the shop", healthSchema, a.health)
		e.refuses = []int{503}
		errs = append(errs, a.add(e))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	manifest = marshal(a.manifest())
	var err error
	openAPI, err = a.openAPI()
	return err
}

// health is the answer of /health. Its shape differs from the engine's in times
// only: a plugin that never reported has none.
func (a *api) health(c *call) (*answer, error) {
	h, err := a.Health(c.Context())
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			a.Logger.ErrorContext(c.Context(), "health is not known", "correlationId", c.correlation, "error", err)
		}
		return nil, errUnavailable.Because("the shop's health is not known now; try again in a moment")
	}
	type plugin struct {
		Name          string                  `json:"name"`
		Connected     bool                    `json:"connected"`
		LastHeartbeat string                  `json:"lastHeartbeat,omitempty"`
		Consumers     []engine.ConsumerHealth `json:"consumers"`
	}
	type problem struct {
		Component string `json:"component"`
		Detail    string `json:"detail"`
		Since     string `json:"since"`
	}
	out := struct {
		Status   string    `json:"status"`
		Version  string    `json:"version"`
		Problems []problem `json:"problems,omitempty"`
		Plugins  []plugin  `json:"plugins"`
	}{h.Status, h.Version, nil, []plugin{}}
	if p := a.Identity.problem(); p != nil {
		h.Status, h.Problems = "degraded", append(slices.Clone(h.Problems), *p)
	}
	out.Status = h.Status
	for _, p := range h.Problems {
		out.Problems = append(out.Problems, problem{p.Component, p.Detail, es.FormatTime(p.Since)})
	}
	for _, p := range h.Plugins {
		o := plugin{p.Name, p.Connected, "", append([]engine.ConsumerHealth{}, p.Consumers...)}
		if !p.LastHeartbeat.IsZero() {
			o.LastHeartbeat = es.FormatTime(p.LastHeartbeat)
		}
		out.Plugins = append(out.Plugins, o)
	}
	return &answer{body: marshal(out)}, nil
}
