package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"onlineshop/es/engine"
)

// exportSchedule is what writes the catalogue to a file, and exports where the API has it.
const (
	exportSchedule = "Catalog.ExportProducts.Nightly"
	exports        = "/catalog/export-products/"
)

// exportTime is how long an export may take: on AWS a schedule begins within a minute or
// so, and a run has 15.
const exportTime = 20 * time.Minute

type exportCommand struct {
	File string `arg:"" optional:"" help:"Where to write the file; - is standard output. Without it, where the shop has it is printed."`
}

// Help is shown by --help.
func (exportCommand) Help() string {
	return examples("Has the shop export its catalogue now, as it does every night, and fetches the file. Imported again, the file changes nothing; a shop that is empty gets the same products, if it has their categories.",
		"shop export", "shop export catalogue.csv", "shop export - | wc -l")
}

// Run exports, and fetches what was exported.
func (c exportCommand) Run(ctx context.Context, s *session) error {
	shop := s.client()
	before, err := exported(ctx, shop)
	if err == nil {
		err = await(ctx, func() (bool, error) { return caughtUp(ctx, shop) })
	}
	if err != nil {
		return err
	}
	if err := shop.post(ctx, "/operations/run", "", map[string]string{"schedule": exportSchedule}, nil); err != nil {
		return err
	}
	var run schedule
	asked := time.Now()
	err = await(ctx, func() (bool, error) {
		if run, err = exported(ctx, shop); err == nil && time.Since(asked) > exportTime {
			err = fmt.Errorf("the export has not ended within %s: see shop schedules", exportTime)
		}
		return run.Asked.IsZero() && run.Planned.After(before.Planned) && run.Outcome != engine.OutcomeRunning, err
	})
	switch {
	case err != nil:
		return err
	case run.Outcome != engine.OutcomeDone:
		return fmt.Errorf("the export failed: %s", run.Error)
	}
	path := exports + url.PathEscape("products-"+run.Planned.UTC().Format(time.DateOnly)+".csv") + "/report"
	switch {
	case c.File != "":
		return c.fetch(ctx, s, shop, path)
	case s.JSON:
		return s.printJSON(map[string]string{"report": path})
	}
	s.printf("%s%s\n", shop.base, path)
	return nil
}

// caughtUp reports whether the view that is exported has all that was committed, as far as the
// shop can tell: an import goes on in its views for a while.
func caughtUp(ctx context.Context, shop *client) (bool, error) {
	var health struct {
		Plugins []struct {
			Consumers []engine.ConsumerHealth `json:"consumers"`
		} `json:"plugins"`
	}
	err := shop.get(ctx, "/health", &health)
	for _, p := range health.Plugins {
		for _, c := range p.Consumers {
			if c.Name == "readmodel:Catalog.Products" && (c.LagSeconds > 0 || c.Stale) {
				return false, err
			}
		}
	}
	return true, err
}

// exported is the schedule as it stands.
func exported(ctx context.Context, shop *client) (found schedule, err error) {
	err = each(ctx, shop, "/operations/schedules", func(x schedule) error {
		if x.Name == exportSchedule {
			found = x
		}
		return nil
	})
	if err == nil && found.Name == "" {
		err = fmt.Errorf("the shop at %s has no schedule %s: it is of an earlier version", shop.base, exportSchedule)
	}
	return found, err
}

// fetch writes the file whole or not at all.
func (c exportCommand) fetch(ctx context.Context, s *session, shop *client, path string) (err error) {
	if c.File == "-" {
		return shop.download(ctx, path, s.out)
	}
	f, err := os.CreateTemp(filepath.Dir(c.File), ".export-*")
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return fmt.Errorf("write %s: %w", c.File, p.Err) // nobody asked for the file that becomes it
	}
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := shop.download(ctx, path, f); err != nil {
		_ = f.Close() // what is in it is of no use
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(f.Name(), c.File)
}

// download copies what a path answers, which may be elsewhere.
func (c *client) download(ctx context.Context, path string, to io.Writer) error {
	return c.send(ctx, http.MethodGet, path, "", nil, to)
}
