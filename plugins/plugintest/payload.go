package plugintest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"onlineshop/es"
)

// Command is a command that users may send.
type Command struct {
	Plugin, Aggregate, Name string // Catalog, Catalog.Product, UpdatePrice
	schema                  json.RawMessage
}

// Commands are all commands that users of the plugins may send.
func Commands(all []es.Plugin) (out []Command) {
	for _, p := range all {
		for _, a := range p.Aggregates {
			d := a.Definition()
			for _, c := range d.Commands {
				if !d.Internal && !c.Internal {
					out = append(out, Command{p.Name, d.Name, c.Name, c.Schema})
				}
			}
		}
	}
	return out
}

// Payload is a payload that the command's schema allows. Texts are mostly short, and often
// the same, so that references find something.
func (c Command) Payload(r *rand.Rand) string {
	b, err := json.Marshal(ParseSchema(c.schema).value(r))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Schema is as much of a JSON Schema as the generator writes.
type Schema struct {
	Type                         string
	Format                       string
	Enum                         []string
	Properties                   map[string]*Schema
	Required                     []string
	Items                        *Schema
	MinLength, MaxLength         *int
	MinItems, MaxItems           *int
	Minimum, Maximum, MultipleOf *float64
}

// ParseSchema reads what the generator wrote.
func ParseSchema(raw json.RawMessage) *Schema {
	var s Schema
	if err := json.Unmarshal(raw, &s); err != nil {
		panic(fmt.Sprintf("schema %s: %v", raw, err))
	}
	return &s
}

func (s *Schema) value(r *rand.Rand) any {
	switch s.Type {
	case "object":
		out := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			if slices.Contains(s.Required, name) || r.IntN(2) == 0 {
				out[name] = s.Properties[name].value(r)
			}
		}
		return out
	case "array":
		out := []any{}
		for range between(r, s.MinItems, s.MaxItems, 3) {
			out = append(out, s.Items.value(r))
		}
		return out
	case "boolean":
		return r.IntN(2) == 0
	case "integer", "number":
		return json.Number(s.number(r))
	case "string":
		switch {
		case s.Enum != nil:
			return s.Enum[r.IntN(len(s.Enum))]
		case s.Format == "email":
			return string(letter(r)) + "@example.com"
		case s.Format == "date-time":
			return fmt.Sprintf("2026-02-0%dT04:05:06.007Z", 1+r.IntN(9))
		}
		return strings.Repeat(string(letter(r)), between(r, s.MinLength, s.MaxLength, 1))
	}
	panic("a schema of type " + s.Type)
}

func letter(r *rand.Rand) byte { return "abc"[r.IntN(3)] }

// between is a number from low (default 0) to high, or to usual if that allows it.
func between(r *rand.Rand, low, high *int, usual int) int {
	from, to := 0, usual
	if low != nil {
		from = *low
	}
	if high != nil {
		to = min(to, *high)
	}
	to = max(from, to)
	return from + r.IntN(to-from+1)
}

func (s *Schema) number(r *rand.Rand) string {
	low, high := 0.0, 5.0
	if s.Minimum != nil {
		low = max(low, *s.Minimum)
	}
	if s.Maximum != nil {
		high = min(max(high, low), *s.Maximum)
		low = min(low, high)
	}
	n := math.Ceil(low) + math.Floor(r.Float64()*(math.Floor(high)-math.Ceil(low)+1))
	if n > high || n < low {
		return fmt.Sprint(low)
	}
	return fmt.Sprintf("%.0f", n)
}
