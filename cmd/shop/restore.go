package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"

	"onlineshop/platform/local"
	"onlineshop/platform/portable"
)

type restoreCommand struct {
	File string `arg:"" help:"What shop backup wrote." type:"existingfile"`
}

// Help is shown by --help.
func (restoreCommand) Help() string {
	return examples("Makes a shop of a backup, in a data folder or a stack that has none. It checks the whole file before it begins, and what it has made at its end, as shop verify does. Everything keeps its id, time and version; nothing is sent or shipped again. If it is interrupted, run it again with the same file.",
		"shop restore shop.backup --data ./restored", "shop restore shop.backup --stack Shop")
}

// restored is what restore tells.
type restored struct {
	Commits int64 `json:"commits"`
	Before  int64 `json:"before,omitempty"` // of them, those that an earlier attempt had restored
}

// Run restores, and verifies.
func (c restoreCommand) Run(ctx context.Context, s *session) error {
	t, err := c.check(ctx, s)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	target, err := local.OpenToRestore(ctx, s.Data)
	if err != nil {
		return err
	}
	bar := s.counting("restore", t.Commits)
	r, err := portable.Restore(ctx, c.open, t, target, func(n int64) { _ = bar.Set64(n) })
	_ = bar.Finish() // it is only drawn
	if err = errors.Join(err, target.Close()); err != nil {
		return err
	}
	bar = s.counting("views", -1)
	err = local.Fold(ctx, s.folder(), func(n int) { _ = bar.Set(n) })
	_ = bar.Finish()
	if err != nil {
		return err
	}
	if err := c.tell(s, r); err != nil {
		return err
	}
	here := *s
	here.Addr = "127.0.0.1" // where the folder is
	return verifyCommand{}.Run(ctx, &here)
}

func (c restoreCommand) open() (io.ReadCloser, error) { return os.Open(c.File) }

// check reads the whole file, and changes nothing.
func (c restoreCommand) check(ctx context.Context, s *session) (t portable.Trailer, err error) {
	info, err := os.Stat(c.File)
	if err != nil {
		return t, err
	}
	bar := s.bar("check", info.Size())
	defer func() { _ = bar.Finish() }() // it is only drawn
	scratch, err := local.OpenScratch("")
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	seen := func() (io.ReadCloser, error) {
		f, err := c.open()
		if err != nil {
			return nil, err
		}
		r := progressbar.NewReader(f, bar)
		return &r, nil
	}
	_, t, err = portable.Check(ctx, seen, scratch, pluginNames(s.folder().Plugins))
	return t, err
}

func (c restoreCommand) tell(s *session, r portable.Restored) error {
	if s.JSON {
		return s.printJSON(restored{r.Commits, r.Before})
	}
	again := ""
	if r.Before > 0 {
		again = fmt.Sprintf(" %d of them were there from an earlier attempt.", r.Before)
	}
	s.printf("%d commits are restored.%s\n", r.Commits, again)
	return nil
}
