package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

type schedulesCommand struct{}

// Help is shown by --help.
func (schedulesCommand) Help() string {
	return examples("Lists what tasks do by schedule: when each runs next, for when its latest run was planned, and how that ended.",
		"shop schedules", "shop schedules --json")
}

// schedule is an item of /operations/schedules.
type schedule struct {
	Name     string    `json:"name"`
	Next     time.Time `json:"next"`
	Planned  time.Time `json:"planned"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Outcome  string    `json:"outcome"`
	Error    string    `json:"error"`
	Asked    time.Time `json:"asked"`
	Overdue  time.Time `json:"overdue"`
}

// ended tells people how the latest run ended.
func (s schedule) ended() string {
	switch {
	case !s.Overdue.IsZero():
		return "overdue"
	case !s.Asked.IsZero():
		return "asked to run"
	case s.Error != "":
		return s.Outcome + ": " + s.Error
	}
	return s.Outcome
}

// Run lists them all.
func (schedulesCommand) Run(ctx context.Context, s *session) error {
	shop := s.client()
	const path = "/operations/schedules"
	if s.JSON {
		return each(ctx, shop, path, func(x json.RawMessage) error { return s.printJSON(x) })
	}
	table := s.table("SCHEDULE", "NEXT", "PLANNED", "STARTED", "FINISHED", "OUTCOME")
	n := 0
	at := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.Local().Format(time.DateTime)
	}
	err := each(ctx, shop, path, func(x schedule) error {
		n++
		_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", x.Name, at(x.Next), at(x.Planned), at(x.Started), at(x.Finished), x.ended())
		return err
	})
	switch {
	case err != nil:
		return err
	case n == 0:
		s.printf("No task has a schedule.\n")
		return nil
	}
	return table.Flush()
}

type runCommand struct {
	Schedule string `arg:"" help:"The schedule's full name, e.g. Catalog.ExportProducts.Nightly." name:"schedule"`
}

// Help is shown by --help.
func (runCommand) Help() string {
	return examples("Runs a schedule once more: now, or on AWS within a minute or so. Its plan stays as it is.",
		"shop run Catalog.ExportProducts.Nightly")
}

// Run asks for it.
func (c runCommand) Run(ctx context.Context, s *session) error {
	var done struct {
		Done int `json:"done"`
	}
	shop := s.client()
	err := shop.post(ctx, "/operations/run", "", map[string]string{"schedule": c.Schedule}, &done)
	var refused *problem
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return shop.noSchedule(ctx, c.Schedule)
	}
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(done)
	}
	s.printf("%s runs; see how it ends with: shop schedules\n", c.Schedule)
	return nil
}

// noSchedule says which schedules there are.
func (c *client) noSchedule(ctx context.Context, name string) error {
	var names []string
	if err := each(ctx, c, "/operations/schedules", func(x schedule) error { names = append(names, x.Name); return nil }); err != nil {
		return err
	}
	if len(names) == 0 {
		return usagef("the shop has no schedule %q: no task has one", name)
	}
	return usagef("the shop has no schedule %q; it has %s", name, strings.Join(names, ", "))
}
