package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
)

// difference is where a stored row is not what the log says.
type difference struct {
	ID     string          `json:"id"`
	Field  string          `json:"field,omitempty"`
	Stored json.RawMessage `json:"stored,omitempty"`
	Folded json.RawMessage `json:"folded,omitempty"`
	Reason string          `json:"reason,omitempty"`
}

// check compares a read model's rows with what the log says, and fails if any differs.
func (s *session) check(ctx context.Context, model string) error {
	rows, more := map[string]bool{}, 0
	var all []difference
	total, err := s.steps(ctx, "rebuild", step{ReadModel: model, Check: true}, "streams compared", func(p progress) {
		more += p.More
		all = append(all, p.Differences...)
		for _, d := range p.Differences {
			rows[d.ID] = true
			if !s.JSON {
				s.printf("%s\n", d.text(model))
			}
		}
	})
	if err != nil {
		return err
	}
	if s.JSON {
		err = s.printJSON(progress{Done: total, Differences: all, More: more})
	} else if more > 0 {
		s.printf("And %d more differences.\n", more)
	}
	switch {
	case err != nil:
		return err
	case len(rows) > 0:
		return fmt.Errorf("rows of %s that are not what the log says: %d; shop rebuild %s folds them again", model, len(rows), model)
	case !s.JSON:
		s.printf("%d streams compared: every row of %s is what the log says.\n", total, model)
	}
	return nil
}

// text says it for people.
func (d difference) text(model string) string {
	if d.Reason != "" {
		return fmt.Sprintf("%s %s can't be folded: %s", model, d.ID, d.Reason)
	}
	field := "the row"
	if d.Field != "" {
		field = d.Field
	}
	shown := func(v json.RawMessage) string { return cmp.Or(string(v), "absent") }
	return fmt.Sprintf("%s %s: %s is %s, the log says %s", model, d.ID, field, shown(d.Stored), shown(d.Folded))
}
