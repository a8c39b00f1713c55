package generate

import (
	"encoding/json"
	"fmt"
	"strings"
)

// schema is an object's JSON Schema 2020-12. The limits of fields are part of
// what users send, not of what is stored or shown.
func (o *object) schema(doc string, sent bool) string {
	var properties, required []string
	for _, l := range o.leaves() {
		properties = append(properties, quoted(l.wire)+":"+l.schema(sent))
		if !l.optional {
			required = append(required, quoted(l.wire))
		}
	}
	s := `{"type":"object"` + description(doc) + `,"properties":{` + strings.Join(properties, ",") + `}`
	if required != nil {
		s += `,"required":[` + strings.Join(required, ",") + `]`
	}
	return s + `,"additionalProperties":false}`
}

func (f *field) schema(sent bool) string {
	s := f.typ.schema(f.doc, sent)
	if !sent {
		return s
	}
	return strings.TrimSuffix(s, "}") + f.limits() + "}"
}

// limits are a field's keywords beside those of its type.
func (f *field) limits() (s string) {
	min, max, unit := 0, -1, "Length"
	if f.length != nil {
		min, max = f.length.min, f.length.max
	}
	if f.typ.kind == list {
		unit = "Items"
	} else if f.typ.kind == text && f.optional && min == 0 {
		min = 1 // an empty text is left out
	}
	if min > 0 {
		s += fmt.Sprintf(`,"min%s":%d`, unit, min)
	}
	if max >= 0 {
		s += fmt.Sprintf(`,"max%s":%d`, unit, max)
	}
	if f.trim && min > 0 {
		s += `,"pattern":"\\S"`
	}
	if f.email {
		s += `,"format":"email"`
	}
	return s
}

func (t *wireType) schema(doc string, sent bool) string {
	switch t.kind {
	case text:
		s := `{"type":"string"` + description(doc)
		if t.values != nil {
			var values []string
			for _, v := range t.values {
				values = append(values, quoted(v))
			}
			s += `,"enum":[` + strings.Join(values, ",") + `]`
		}
		return s + "}"
	case truth:
		return `{"type":"boolean"` + description(doc) + "}"
	case integer:
		return fmt.Sprintf(`{"type":"integer"%s,"minimum":%d,"maximum":%d}`, description(doc), int64(-1)<<(t.bits-1), int64(uint64(1)<<(t.bits-1)-1))
	case natural:
		return fmt.Sprintf(`{"type":"integer"%s,"minimum":0,"maximum":%d}`, description(doc), ^uint64(0)>>(64-t.bits))
	case float:
		if t.bits == 32 {
			return `{"type":"number"` + description(doc) + `,"minimum":-3.4028234663852886e38,"maximum":3.4028234663852886e38}`
		}
		return `{"type":"number"` + description(doc) + "}"
	case price:
		const exact = "an exact decimal with at most 4 digits after the point"
		if doc == "" {
			doc = exact
		} else {
			doc += " (" + exact + ")"
		}
		return `{"type":"number","minimum":0,"maximum":999999999999.9999` + description(doc) + "}"
	case moment:
		return `{"type":"string","format":"date-time"` + description(doc) + "}"
	case list:
		return `{"type":"array"` + description(doc) + `,"items":` + t.item.schema("", sent) + "}"
	}
	if doc == "" {
		doc, _ = split(t.named.doc)
	}
	return t.object.schema(doc, sent)
}

func description(doc string) string {
	if doc == "" {
		return ""
	}
	return `,"description":` + quoted(doc)
}

func quoted(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return `""` // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}
