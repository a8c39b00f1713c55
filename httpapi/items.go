package httpapi

import (
	"encoding/json"
	"net/http"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/wire"
)

// itemsPath is where the rows below one id are listed.
func itemsPath(list string) string { return list + "/" + idSegment + "/items" }

// itemsOf lists the rows below one id, of those that list has all of.
func (a *api) itemsOf(list *endpoint, d es.ReadModelDefinition, row *schema) *endpoint {
	return &endpoint{
		method: http.MethodGet, path: itemsPath(list.path), tag: list.tag, name: d.Name + "-items",
		summary: "The rows of " + d.Name + " below one id", allow: list.allow, id: anyID, owner: list.owner,
		query: []parameter{limitParameter, cursorParameter, minVersionParameter}, answers: pageSchema(row), refuses: []int{409, 422},
		serve: func(c *call) (*answer, error) {
			rows, next, err := a.Engine.Items(c.Context(), c.caller, d.Name, c.id, c.minVersion, c.cursor, c.limit)
			if err != nil {
				return nil, err
			}
			p := page{Items: []json.RawMessage{}}
			if p.Next, err = c.encodeCursor(next); err != nil {
				return nil, err
			}
			for _, r := range rows {
				p.Items = append(p.Items, itemBelow(r))
			}
			return &answer{body: marshal(p)}, nil
		},
	}
}

// itemBelow is a row below an id as callers see it.
func itemBelow(row engine.Row) []byte {
	id, subID := engine.SplitItemID(row.ID)
	b := wire.AppendString([]byte(`{"id":`), id)
	return view(wire.AppendString(append(b, `,"subId":`...), subID), row)
}
