package httpapi

import (
	"encoding/json"

	"onlineshop/es"
	"onlineshop/es/naming"
)

// The manifest is what a generated user interface needs: every component by its
// full name, where it is, and who may use it.
type (
	manifest struct {
		Version string           `json:"version"`
		Plugins []pluginManifest `json:"plugins"`
	}
	pluginManifest struct {
		Name                     string              `json:"name"`
		HeartbeatIntervalSeconds float64             `json:"heartbeatIntervalSeconds"`
		UIBundleURL              string              `json:"uiBundleUrl,omitempty"`
		Aggregates               []aggregateManifest `json:"aggregates"`
		ReadModels               []readModelManifest `json:"readModels"`
		Mappings                 []mappingManifest   `json:"mappings"`
		ExtensionPoints          []pointManifest     `json:"extensionPoints"`
		Extensions               []extensionManifest `json:"extensions"`
		SideEffects              []effectManifest    `json:"sideEffects"`
		Tasks                    []taskManifest      `json:"tasks"`
	}
	aggregateManifest struct {
		Name     string            `json:"name"`
		Path     string            `json:"path"` // of one aggregate, with {id}
		Internal bool              `json:"internal"`
		Commands []commandManifest `json:"commands"` // none where it is internal
		Events   []eventManifest   `json:"events"`
	}
	commandManifest struct {
		Name   string          `json:"name"`
		Path   string          `json:"path"`
		Access accessManifest  `json:"access"`
		Schema json.RawMessage `json:"schema"`
	}
	eventManifest struct {
		Name    string          `json:"name"`
		Version int             `json:"version"`
		Schema  json.RawMessage `json:"schema"`
	}
	readModelManifest struct {
		Name    string          `json:"name"`
		Path    string          `json:"path"` // of the list
		Sources []string        `json:"sources"`
		Indexes []string        `json:"indexes"`
		Access  accessManifest  `json:"access"`
		Schema  json.RawMessage `json:"schema"` // of a row's view, its id apart
	}
	// accessManifest without groups and owner is any signed-in user.
	accessManifest struct {
		Groups []string `json:"groups"`
		Owner  bool     `json:"owner"`
	}
	mappingManifest struct {
		Name         string  `json:"name"`
		Source       string  `json:"source"`
		Target       string  `json:"target"`
		DelaySeconds float64 `json:"delaySeconds"`
	}
	pointManifest struct {
		Name   string          `json:"name"`
		Source string          `json:"source"`
		Events []eventManifest `json:"events"`
	}
	extensionManifest struct {
		Name   string `json:"name"`
		Point  string `json:"point"`
		Target string `json:"target"`
	}
	effectManifest struct {
		Name   string `json:"name"`
		Source string `json:"source"`
		Task   string `json:"task"`
	}
	taskManifest struct {
		Name   string `json:"name"`
		Bucket string `json:"bucket,omitempty"`
		Report string `json:"report,omitempty"` // path of an object's report, with {id}
	}
)

func (a *api) manifest() manifest {
	m := manifest{a.Version, []pluginManifest{}}
	for _, p := range a.Plugins {
		m.Plugins = append(m.Plugins, a.pluginManifest(p))
	}
	return m
}

func (a *api) pluginManifest(p es.Plugin) pluginManifest {
	base := "/" + naming.PathSegment(p.Name) + "/"
	m := pluginManifest{
		Name: p.Name, HeartbeatIntervalSeconds: p.HeartbeatInterval.Seconds(), UIBundleURL: p.UIBundleURL,
		Aggregates: []aggregateManifest{}, ReadModels: []readModelManifest{}, Mappings: []mappingManifest{},
		ExtensionPoints: []pointManifest{}, Extensions: []extensionManifest{}, SideEffects: []effectManifest{}, Tasks: []taskManifest{},
	}
	for _, x := range p.Aggregates {
		d := x.Definition()
		am := aggregateManifest{d.Name, base + naming.PathSegment(naming.Short(d.Name)) + "/" + idSegment, d.Internal, []commandManifest{}, eventManifests(d.Events)}
		for _, c := range d.Commands {
			if c.Internal {
				continue
			}
			if !d.Internal {
				am.Commands = append(am.Commands, commandManifest{c.Name, am.Path + "/" + naming.PathSegment(c.Name), accessOf(c.Access), c.Schema})
			}
		}
		m.Aggregates = append(m.Aggregates, am)
	}
	for _, x := range p.ReadModels {
		d := x.Definition()
		m.ReadModels = append(m.ReadModels, readModelManifest{
			naming.Full(p.Name, d.Name), base + naming.PathSegment(d.Name), d.Sources, append([]string{}, d.Indexes...), accessOf(d.Access), d.Schema,
		})
	}
	for _, d := range p.Mappings {
		m.Mappings = append(m.Mappings, mappingManifest{naming.Full(p.Name, d.Name), d.Source, d.Target, d.Delay.Seconds()})
	}
	points := map[string]bool{}
	for _, d := range p.Publications {
		if !points[d.Point.Name] {
			points[d.Point.Name] = true
			m.ExtensionPoints = append(m.ExtensionPoints, pointManifest{d.Point.Name, d.Source, eventManifests(d.Point.Events)})
		}
	}
	for _, d := range p.Extensions {
		m.Extensions = append(m.Extensions, extensionManifest{naming.Full(p.Name, d.Name), d.Point.Name, d.Target})
	}
	for _, t := range p.Tasks {
		tm := taskManifest{Name: naming.Full(p.Name, t.Name), Bucket: t.Bucket}
		if t.Reports != nil {
			tm.Report = base + naming.PathSegment(t.Reports.Name()) + "/" + idSegment + "/report"
		}
		m.Tasks = append(m.Tasks, tm)
		for _, d := range t.SideEffects {
			m.SideEffects = append(m.SideEffects, effectManifest{naming.Full(p.Name, d.Name), d.Source, tm.Name})
		}
	}
	return m
}

func accessOf(a es.Access) accessManifest {
	return accessManifest{append([]string{}, a.Groups...), a.Owner}
}

func eventManifests(events []es.EventDefinition) []eventManifest {
	out := []eventManifest{}
	for _, e := range events {
		out = append(out, eventManifest{e.Name, e.Version, e.Schema})
	}
	return out
}
