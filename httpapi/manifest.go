package httpapi

import (
	"encoding/json"
	"slices"

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
		Asks                     []pointManifest     `json:"asks"` // of others' extension points: requests, under the names that they travel by
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
		Name        string          `json:"name"`
		Path        string          `json:"path"`
		Access      accessManifest  `json:"access"`
		Schema      json.RawMessage `json:"schema"`
		Help        string          `json:"help,omitempty"`
		Creates     bool            `json:"creates"`          // may be sent to an id that is not there yet
		Changes     bool            `json:"changes"`          // may be sent to one that is
		Destructive bool            `json:"destructive"`      // ends something for good
		Erases      []string        `json:"erases,omitempty"` // the personal fields that are gone after it
	}
	eventManifest struct {
		Name    string          `json:"name"`
		Version int             `json:"version"`
		Schema  json.RawMessage `json:"schema"`
	}
	readModelManifest struct {
		Name      string          `json:"name"`
		Kind      es.ViewKind     `json:"kind"`
		Path      string          `json:"path"`                // of the list
		Aggregate string          `json:"aggregate,omitempty"` // that a row's id names: its commands act on the row
		Sources   []string        `json:"sources"`
		Indexes   []string        `json:"indexes"`
		Sorts     []string        `json:"sorts"`           // fields that rows can be sorted by, and listed by ranges of
		Searches  []string        `json:"searches"`        // fields whose words are searched; none: there is no search
		Label     string          `json:"label,omitempty"` // the field that names a row for people
		Access    accessManifest  `json:"access"`
		Schema    json.RawMessage `json:"schema"`          // of a row's view, its id apart
		Items     string          `json:"items,omitempty"` // path of the rows below one id, with {id}
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
		Due          bool    `json:"due,omitempty"`        // it acts when its event says, not after a delay
		OnRejected   string  `json:"onRejected,omitempty"` // the aggregate that hears of a refusal
	}
	pointManifest struct {
		Name    string          `json:"name"`
		Source  string          `json:"source"` // the first of the sources
		Sources []string        `json:"sources"`
		Events  []eventManifest `json:"events"`
	}
	extensionManifest struct {
		Name    string `json:"name"`
		Point   string `json:"point"`
		Target  string `json:"target"`
		Accepts bool   `json:"accepts,omitempty"` // requests of other plugins, to its own point
		// The aggregate that hears of a refusal.
		OnRejected string `json:"onRejected,omitempty"`
	}
	effectManifest struct {
		Name   string `json:"name"`
		Source string `json:"source,omitempty"` // an aggregate, or
		Point  string `json:"point,omitempty"`  // an extension point
		Task   string `json:"task"`
		// The read models that it reads, and the aggregates whose ids it lists.
		Reads []string `json:"reads,omitempty"`
	}
	taskManifest struct {
		Name   string `json:"name"`
		Bucket string `json:"bucket,omitempty"`
		View   string `json:"view,omitempty"`   // the read model that says what became of each object
		Report string `json:"report,omitempty"` // path of an object's report, with {id}
		Files  string `json:"files,omitempty"`  // path of a report that a schedule has written, with {id}, its key
		Upload string `json:"upload,omitempty"` // path to ask at where an object is to be sent
		// The text of an object to start from.
		Example   string             `json:"example,omitempty"`
		Schedules []scheduleManifest `json:"schedules,omitempty"`
		// The aggregates that it sends commands to; nil: it may send to any of its plugin.
		Sends []string `json:"sends,omitzero"`
		Reads []string `json:"reads,omitempty"` // like a side effect's
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
		ExtensionPoints: []pointManifest{}, Asks: []pointManifest{}, Extensions: []extensionManifest{}, SideEffects: []effectManifest{}, Tasks: []taskManifest{},
	}
	for _, x := range p.Aggregates {
		d := x.Definition()
		am := aggregateManifest{d.Name, base + naming.PathSegment(naming.Short(d.Name)) + "/" + idSegment, d.Internal, []commandManifest{}, eventManifests(d.Events)}
		for _, c := range d.Commands {
			if c.Internal {
				continue
			}
			if !d.Internal {
				am.Commands = append(am.Commands, commandManifest{
					c.Name, am.Path + "/" + naming.PathSegment(c.Name), accessOf(c.Access), c.Schema, c.Help, c.Creates, c.Changes, c.Destructive, c.Erases,
				})
			}
		}
		m.Aggregates = append(m.Aggregates, am)
	}
	for _, x := range p.ReadModels {
		d := x.Definition()
		rm := readModelManifest{
			naming.Full(p.Name, d.Name), d.Kind, base + naming.PathSegment(d.Name), d.Sources[0], d.Sources,
			append([]string{}, d.Indexes...), append([]string{}, d.Sorts...), append([]string{}, d.Searches...), d.Label, accessOf(d.Access), d.Schema, "",
		}
		if d.Kind == es.ViewKeyed {
			rm.Aggregate = ""
		}
		if d.Kind == es.ViewItems {
			rm.Items = itemsPath(rm.Path)
		}
		m.ReadModels = append(m.ReadModels, rm)
	}
	for _, d := range p.Mappings {
		m.Mappings = append(m.Mappings, mappingManifest{naming.Full(p.Name, d.Name), d.Source, d.Target, d.Delay.Seconds(), d.DueAt != nil, heardBy(d.Rejected)})
	}
	for _, d := range p.Publications {
		points := &m.ExtensionPoints
		if d.Asks {
			points = &m.Asks
		}
		i := slices.IndexFunc(*points, func(x pointManifest) bool { return x.Name == d.Point.Name })
		if i < 0 {
			i = len(*points)
			*points = append(*points, pointManifest{d.Point.Name, d.Source, nil, eventManifests(d.Point.Events)})
		}
		if x := &(*points)[i]; !slices.Contains(x.Sources, d.Source) {
			x.Sources = append(x.Sources, d.Source)
		}
	}
	for _, d := range p.Extensions {
		m.Extensions = append(m.Extensions, extensionManifest{naming.Full(p.Name, d.Name), d.Point.Name, d.Target, d.Accepts, heardBy(d.Rejected)})
	}
	for _, t := range p.Tasks {
		tm := taskManifest{Name: naming.Full(p.Name, t.Name), Bucket: t.Bucket, Example: t.Example, Sends: sentTo(t), Reads: readBy(p.Name, t.Reads)}
		if t.Reports != nil {
			tm.View = naming.Full(p.Name, t.Reports.Name())
			tm.Report = base + naming.PathSegment(t.Reports.Name()) + "/" + idSegment + "/report"
			if a.Uploads != nil && t.Bucket != "" {
				tm.Upload = uploadsPath(base[:len(base)-1], t)
			}
		}
		if t.Reports == nil && len(t.Schedules) > 0 {
			tm.Files = filesPath(base[:len(base)-1], t)
		}
		tm.Schedules = scheduleManifests(tm.Name, t)
		m.Tasks = append(m.Tasks, tm)
		for _, d := range t.SideEffects {
			m.SideEffects = append(m.SideEffects, effectManifest{naming.Full(p.Name, d.Name), d.Source, d.Point.Name, tm.Name, readBy(p.Name, d.Readable)})
		}
	}
	return m
}

// heardBy is the aggregate that a reaction sends to; empty: there is none.
func heardBy(r *es.Reaction) string {
	if r == nil {
		return ""
	}
	return r.Target
}

// sentTo are the aggregates that a task sends commands to; nil: it may send to any.
func sentTo(t es.Task) []string {
	if t.Sends == nil && t.Works() {
		return nil
	}
	names := []string{}
	for _, a := range t.Sends {
		names = append(names, a.Definition().Name)
	}
	return names
}

// readBy are the full names of what a plugin's task or side effect says that it reads.
func readBy(plugin string, reads []es.Readable) (names []string) {
	views, aggregates := es.ReadsOf(reads)
	for _, v := range views {
		names = append(names, naming.Full(plugin, v.Name()))
	}
	for _, a := range aggregates {
		names = append(names, a.Definition().Name)
	}
	return names
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
