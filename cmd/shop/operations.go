package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
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
	shop := s.client()
	const path = "/operations/parked"
	if s.JSON {
		return each(ctx, shop, path, func(p json.RawMessage) error { return s.printJSON(p) })
	}
	table := s.table("CONSUMER", "STREAM", "ATTEMPTS", "SINCE", "LAST", "ERROR")
	n := 0
	err := each(ctx, shop, path, func(p parked) error {
		n++
		_, err := fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\n", p.Consumer, p.Stream, p.Attempts,
			p.Since.Local().Format(time.DateTime), p.Last.Local().Format(time.DateTime), p.Error)
		return err
	})
	switch {
	case err != nil:
		return err
	case n == 0:
		s.printf("Nothing is parked.\n")
		return nil
	}
	return table.Flush()
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
}

// Help is shown by --help.
func (rebuildCommand) Help() string {
	return examples("Folds a read model's rows again from the log, in place, while the shop is open. It sends no command and no e-mail.",
		"shop rebuild Catalog.Products", "shop rebuild ordering/orders --json")
}

// Run rebuilds page by page.
func (c rebuildCommand) Run(ctx context.Context, s *session) error {
	m, err := s.client().component(ctx, c.ReadModel, func(p pluginManifest) []component { return p.ReadModels })
	if err != nil {
		return err
	}
	return s.operate(ctx, "rebuild", m.Name, "streams folded into "+m.Name)
}

// step asks for one bounded step of an operation.
type step struct {
	ReadModel string `json:"readModel,omitempty"`
	Cursor    string `json:"cursor,omitempty"`
}

// progress is what a step did, and where the next one goes on.
type progress struct {
	Done int    `json:"done"`
	Next string `json:"next,omitempty"`
}

// operate takes an operation's steps to its end.
func (s *session) operate(ctx context.Context, operation, readModel, done string) error {
	shop := s.client().patient(s.err)
	drawn := io.Discard
	if s.watched() {
		drawn = s.err
	}
	// Drawn with each step only: the spinner's own goroutine races with Add.
	bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(drawn), progressbar.OptionSetDescription(operation),
		progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionSetSpinnerChangeInterval(0))
	total := 0
	for next := (step{ReadModel: readModel}); ; {
		var p progress
		if err := shop.post(ctx, "/operations/"+operation, "", next, &p); err != nil {
			return fmt.Errorf("%w (%d %s before)", err, total, done)
		}
		total += p.Done
		_ = bar.Add(p.Done) // it is only drawn
		if next.Cursor = p.Next; next.Cursor == "" {
			break
		}
	}
	_ = bar.Finish()
	if s.JSON {
		return s.printJSON(progress{Done: total})
	}
	s.printf("%d %s.\n", total, done)
	return nil
}
