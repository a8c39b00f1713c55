package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

type parkedCommand struct{}

// Help is shown by --help.
func (parkedCommand) Help() string {
	return examples("Lists every follower and view that failed on a stream. The shop tries them again by itself, ever more seldom; all other streams go on meanwhile.",
		"shop parked", "shop parked --json")
}

// parked is an item of /operations/parked.
type parked struct {
	Consumer string    `json:"consumer"`
	Stream   string    `json:"stream"`
	Error    string    `json:"error"`
	Since    time.Time `json:"since"`
	Last     time.Time `json:"last"`
	Attempts int       `json:"attempts"`
}

// Run lists page by page.
func (parkedCommand) Run(ctx context.Context, s *session) error {
	return listed(ctx, s, "/operations/parked", "Nothing is parked.", []string{"CONSUMER", "STREAM", "ATTEMPTS", "SINCE", "LAST", "ERROR"}, func(p parked) []any {
		return []any{p.Consumer, p.Stream, p.Attempts, p.Since.Local().Format(time.DateTime), p.Last.Local().Format(time.DateTime), p.Error}
	})
}

// listed prints a list of the shop's: with --json its items as they are, otherwise a table.
func listed[T any](ctx context.Context, s *session, path, none string, columns []string, row func(T) []any) error {
	shop := s.client()
	if s.JSON {
		return each(ctx, shop, path, func(item json.RawMessage) error { return s.printJSON(item) })
	}
	table := s.table(columns...)
	format := strings.Repeat("%v\t", len(columns)-1) + "%v\n"
	n := 0
	err := each(ctx, shop, path, func(item T) error {
		n++
		_, err := fmt.Fprintf(table, format, row(item)...)
		return err
	})
	switch {
	case err != nil:
		return err
	case n == 0:
		s.printf("%s\n", none)
		return nil
	}
	return table.Flush()
}

type rejectionsCommand struct {
	Follower string `help:"Only those of this follower, e.g. mapping:Ordering.AutoShip." placeholder:"NAME"`
}

// Help is shown by --help.
func (rejectionsCommand) Help() string {
	return examples("Lists what commands of mappings and extensions were refused by a rule, which is final, and what an operator skipped: newest first, of the latest 30 days.",
		"shop rejections", "shop rejections --follower mapping:Ordering.AutoShip --json")
}

// rejection is an item of /operations/rejections.
type rejection struct {
	Follower string    `json:"follower"`
	Stream   string    `json:"stream"`
	Target   string    `json:"target"`
	Code     string    `json:"code"`
	Detail   string    `json:"detail"`
	Time     time.Time `json:"time"`
	User     string    `json:"user"`
}

// Run lists page by page.
func (c rejectionsCommand) Run(ctx context.Context, s *session) error {
	path := "/operations/rejections"
	if c.Follower != "" {
		path += "?follower=" + url.QueryEscape(c.Follower)
	}
	return listed(ctx, s, path, "Nothing was refused.", []string{"TIME", "FOLLOWER", "STREAM", "TARGET", "CODE", "DETAIL"}, func(r rejection) []any {
		if r.User != "" {
			r.Detail += " (" + r.User + ")"
		}
		return []any{r.Time.Local().Format(time.DateTime), r.Follower, r.Stream, r.Target, r.Code, r.Detail}
	})
}

type redriveCommand struct{}

// Help is shown by --help.
func (redriveCommand) Help() string {
	return examples("Tries everything that is parked again, once, without waiting for its turn.", "shop redrive", "shop parked")
}

// Run tries page by page.
func (redriveCommand) Run(ctx context.Context, s *session) error {
	return s.operate(ctx, "redrive", "", "parked keys tried again")
}

type sweepCommand struct{}

// Help is shown by --help.
func (sweepCommand) Help() string {
	return examples("Goes through every stream and makes sure that no follower and no view lacks anything of it: after adding a plugin or a follower, or restoring a backup. It repeats nothing.", "shop sweep")
}

// Run sweeps page by page.
func (sweepCommand) Run(ctx context.Context, s *session) error {
	return s.operate(ctx, "sweep", "", "streams swept")
}

type rebuildCommand struct {
	ReadModel string `arg:"" name:"readmodel" help:"The read model's name, e.g. Catalog.Products or catalog/products."`
	Check     bool   `help:"Compare the rows with what the log says, and change nothing. The exit code is 1 if any differs."`
}

// Help is shown by --help.
func (rebuildCommand) Help() string {
	return examples("Folds a read model's rows again from the log, in place, while the shop is open. It sends no command and no e-mail.",
		"shop rebuild Catalog.Products", "shop rebuild ordering/orders --json", "shop rebuild Catalog.Products --check")
}

// Run rebuilds page by page.
func (c rebuildCommand) Run(ctx context.Context, s *session) error {
	m, err := s.client().component(ctx, c.ReadModel, func(p pluginManifest) []component { return p.ReadModels })
	if err != nil {
		return err
	}
	if c.Check {
		return s.check(ctx, m.Name)
	}
	return s.operate(ctx, "rebuild", m.Name, "streams folded into "+m.Name)
}

// step asks for one bounded step of an operation.
type step struct {
	ReadModel string `json:"readModel,omitempty"`
	Check     bool   `json:"check,omitempty"`
	Cursor    string `json:"cursor,omitempty"`
}

// progress is what a step did, and where the next one goes on.
type progress struct {
	Done int    `json:"done"`
	Next string `json:"next,omitempty"`

	Differences []difference `json:"differences,omitempty"`
	More        int          `json:"more,omitempty"`
}

// operate takes an operation's steps to its end.
func (s *session) operate(ctx context.Context, operation, readModel, done string) error {
	total, err := s.steps(ctx, operation, step{ReadModel: readModel}, done, func(progress) {})
	if err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(progress{Done: total})
	}
	s.printf("%d %s.\n", total, done)
	return nil
}

// after is an error that came when some of the work was done.
func after(err error, total int, done string) error {
	if total == 0 {
		return err
	}
	return fmt.Errorf("%w (%d %s before)", err, total, done)
}

// steps takes an operation's steps to its end, and counts what is done.
func (s *session) steps(ctx context.Context, operation string, next step, done string, each func(progress)) (total int, err error) {
	shop := s.client().patient(s.err)
	bar := s.counting(operation, -1)
	for {
		var p progress
		if err := shop.post(ctx, "/operations/"+operation, "", next, &p); err != nil {
			return total, after(err, total, done)
		}
		total += p.Done
		each(p)
		_ = bar.Add(p.Done) // it is only drawn
		if next.Cursor = p.Next; next.Cursor == "" {
			break
		}
	}
	_ = bar.Finish()
	return total, nil
}
