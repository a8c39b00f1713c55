package generate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
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
	switch {
	case sent && f.typ.number():
		s = f.typ.numberSchema(f.doc, f.min, f.max)
	case sent:
		s = strings.TrimSuffix(s, "}") + f.limits() + "}"
	}
	return strings.TrimSuffix(s, "}") + f.annotations() + "}"
}

// annotations are what a page wants to know of a field.
func (f *field) annotations() (s string) {
	if f.title != "" {
		s += `,"title":` + quoted(f.title)
	}
	if f.ref != "" {
		s += `,"x-ref":` + quoted(f.ref)
	}
	if f.subject() != nil {
		s += `,"x-personal":true`
	}
	return s
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

// numberSchema is the schema of a number in those bounds; "": in its type's.
func (t *wireType) numberSchema(doc, min, max string) string {
	kind, unit, format := "number", "", ""
	switch t.kind {
	case integer:
		kind = "integer"
		min = cmp.Or(min, strconv.FormatInt(int64(-1)<<(t.bits-1), 10))
		max = cmp.Or(max, strconv.FormatUint(uint64(1)<<(t.bits-1)-1, 10))
	case natural:
		kind = "integer"
		min, max = cmp.Or(min, "0"), cmp.Or(max, strconv.FormatUint(^uint64(0)>>(64-t.bits), 10))
	case float:
		if t.bits == 32 {
			min, max = cmp.Or(min, "-3.4028234663852886e38"), cmp.Or(max, "3.4028234663852886e38")
		}
	case price:
		min, max, unit = cmp.Or(min, "0"), cmp.Or(max, "999999999999.9999"), "0.0001"
		format = `,"format":"price"`
		if doc == "" {
			doc = exact
		} else {
			doc += " (" + exact + ")"
		}
	}
	s := `{"type":"` + kind + `"` + format + description(doc)
	for _, k := range []struct{ keyword, value string }{{"minimum", min}, {"maximum", max}, {"multipleOf", unit}} {
		if k.value != "" {
			s += `,"` + k.keyword + `":` + k.value
		}
	}
	return s + "}"
}

const exact = "an exact decimal with at most 4 digits after the point"

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
	case integer, natural, float, price:
		return t.numberSchema(doc, "", "")
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
