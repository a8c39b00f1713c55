package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/schollz/progressbar/v3"

	"onlineshop/platform/aws"
	"onlineshop/platform/local"
	"onlineshop/platform/portable"
)

type restoreCommand struct {
	File      string    `arg:"" optional:"" help:"What shop backup wrote." type:"existingfile"`
	Keys      string    `help:"The file with the identity of age that opens the keys of personal data in it." placeholder:"FILE" type:"existingfile"`
	BringBack bool      `help:"With --keys: bring back also whoever was erased after the backup was made."`
	Erase     bool      `help:"Restore without the keys of personal data: nobody can ever read that again."`
	FromTable []string  `help:"With --stack, in place of a file: bring back the commits that a plugin's log has lost, out of a table that still has them. PLUGIN alone is its own table, with --at; for an empty stack, EVENTS, CURSORS and, if it has personal data, KEYS of every plugin are needed." placeholder:"PLUGIN[=EVENTS[,CURSORS[,KEYS]]]" sep:"none"`
	At        time.Time `help:"Take the tables as they were at that time, by DynamoDB's point-in-time recovery." placeholder:"2026-11-23T08:00:00Z"`
}

// Help is shown by --help.
func (restoreCommand) Help() string {
	return examples("Makes a shop of a backup, in a data folder or a stack that has none. It checks the whole file before it begins, and what it has made at its end, as shop verify does. Everything keeps its id, time and version; nothing is sent or shipped again. If it is interrupted, run it again as before: it goes on. A stack is closed meanwhile, and opened when all is there.",
		"shop restore shop.backup --data ./restored", "shop restore shop.backup --stack Shop",
		"shop restore --stack Shop --from-table Ordering --at 2026-11-23T08:00:00Z",
		"shop restore --stack New --from-table Catalog=OldCatalogEvents,OldCatalogCursors --from-table Ordering=OldOrderingEvents,OldOrderingCursors,OldOrderingKeys")
}

// restored is what restore tells.
type restored struct {
	Commits int64 `json:"commits"`
	Before  int64 `json:"before,omitempty"` // of them, those that an earlier attempt had restored
}

// Run restores, and verifies.
func (c restoreCommand) Run(ctx context.Context, s *session) error {
	switch {
	case (c.File == "") == (len(c.FromTable) == 0):
		return usagef("restore needs a file, or --from-table, and not both")
	case len(c.FromTable) > 0 && s.cloud == nil:
		return usagef("--from-table is for a stack: say which with --stack")
	case len(c.FromTable) == 0 && !c.At.IsZero():
		return usagef("--at is for --from-table")
	case len(c.FromTable) > 0:
		return c.refill(ctx, s)
	}
	var identities []age.Identity
	if c.Keys != "" {
		var err error
		if identities, err = identitiesIn(c.Keys); err != nil {
			return err
		}
	}
	of := portable.File{Open: c.open, Identities: identities}
	checked, err := c.check(ctx, s, of)
	if err == nil {
		err = c.allowed(checked)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	t := checked.Trailer
	if s.cloud != nil {
		return c.toStack(ctx, s, of, t)
	}
	target, err := local.OpenToRestore(ctx, s.Data)
	if err != nil {
		return err
	}
	r, err := c.restore(ctx, s, of, t, target)
	if err = errors.Join(err, target.Close()); err != nil {
		return err
	}
	bar := s.counting("views", -1)
	err = local.Fold(ctx, s.folder(), func(n int) { _ = bar.Set(n) })
	_ = bar.Finish() // it is only drawn
	if err != nil {
		return err
	}
	if err := r.tell(s); err != nil {
		return err
	}
	here := *s
	here.Addr = "127.0.0.1" // where the folder is
	return verifyCommand{}.Run(ctx, &here)
}

func aggregates(n int64) string {
	if n == 1 {
		return "one aggregate"
	}
	return fmt.Sprintf("%d aggregates", n)
}

// allowed says whether what the file does to people is wanted.
func (c restoreCommand) allowed(f portable.Checked) error {
	switch {
	case f.Closed > 0 && !c.Erase:
		return fmt.Errorf("it has personal data of %s whose keys are not in it, or not to be opened: give the file with the identity that opens them with --keys; or restore without them with --erase, and nobody can ever read that data again", aggregates(f.Closed))
	case f.Opened > 0 && !c.BringBack:
		return fmt.Errorf("it has the keys of personal data of %s as of %s: whoever was erased after that would be back; to go on nevertheless, say --bring-back, and erase them again", aggregates(f.Opened), f.Time.Format(time.RFC3339))
	}
	return nil
}

func (c restoreCommand) restore(ctx context.Context, s *session, of portable.File, t portable.Trailer, to portable.Target) (restored, error) {
	bar := s.counting("restore", t.Commits)
	r, err := portable.Restore(ctx, of, t, to, func(n int64) { _ = bar.Set64(n) })
	_ = bar.Finish() // it is only drawn
	return restored{r.Commits, r.Before}, err
}

func (c restoreCommand) open() (io.ReadCloser, error) { return os.Open(c.File) }

// check reads the whole file, and changes nothing.
func (c restoreCommand) check(ctx context.Context, s *session, of portable.File) (checked portable.Checked, err error) {
	info, err := os.Stat(c.File)
	if err != nil {
		return checked, err
	}
	bar := s.bar("check", info.Size())
	defer func() { _ = bar.Finish() }() // it is only drawn
	scratch, err := local.OpenScratch("")
	if err != nil {
		return checked, err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	seen := func() (io.ReadCloser, error) {
		f, err := of.Open()
		if err != nil {
			return nil, err
		}
		r := progressbar.NewReader(f, bar)
		return &r, nil
	}
	here := s.folder().Plugins
	if s.cloud != nil {
		here = s.cloud.platform.Plugins
	}
	return portable.Check(ctx, portable.File{Open: seen, Identities: of.Identities}, scratch, pluginNames(here))
}

func (r restored) tell(s *session) error {
	if s.JSON {
		return s.printJSON(r)
	}
	again := ""
	if r.Before > 0 {
		again = fmt.Sprintf(" %d of them were there from an earlier attempt.", r.Before)
	}
	s.printf("%d commits are restored.%s\n", r.Commits, again)
	return nil
}

// How long functions may take to end what they have begun: in a stack that nobody has used
// nothing takes long.
const (
	workTime  = time.Minute
	emptyTime = 15 * time.Second
)

func (c restoreCommand) toStack(ctx context.Context, s *session, of portable.File, t portable.Trailer) error {
	whole, err := s.cloud.platform.Restorable(ctx, t.SHA256)
	if err != nil {
		return err
	}
	r := restored{t.Commits, t.Commits}
	if whole { // an earlier attempt was killed when all was there
		err = s.started(ctx)
	} else {
		err = s.closed(ctx, emptyTime, func() (err error) {
			r, err = c.restore(ctx, s, of, t, s.cloud.platform.Restore())
			return err
		})
	}
	if err != nil {
		return err
	}
	return s.reopened(ctx, r, s.cloud.platform.Opened)
}

// started starts the stack's functions.
func (s *session) started(ctx context.Context) error {
	functions, err := s.cloud.stack.Functions(ctx, s.cloud.config)
	if err != nil {
		return err
	}
	s.say("The stack's functions are being started.")
	return functions.Start(ctx)
}

// closed does something while no function of the stack runs. Where that fails in the middle,
// they stay stopped: what they would see is a part.
func (s *session) closed(ctx context.Context, wait time.Duration, do func() error) error {
	functions, err := s.cloud.stack.Functions(ctx, s.cloud.config)
	if err != nil {
		return err
	}
	s.say("The stack's functions are being stopped.")
	if err := functions.Stop(ctx, wait); err != nil {
		return err
	}
	refused := do()
	if refused != nil && !errors.Is(refused, aws.ErrUnchanged) {
		return fmt.Errorf("%w; the stack's functions stay stopped until the same command comes to its end", refused)
	}
	s.say("The stack's functions are being started.")
	return errors.Join(refused, functions.Start(ctx))
}

// say tells people what takes a while.
func (s *session) say(text string) {
	if !s.JSON {
		fmt.Fprintln(s.err, text)
	}
}

// reopened brings every follower and view of the stack up to date, tells that, and verifies.
func (s *session) reopened(ctx context.Context, r restored, opened func(context.Context) error) error {
	if err := r.tell(s); err != nil {
		return err
	}
	if _, err := s.steps(ctx, "sweep", step{}, "streams swept", func(progress) {}); err != nil {
		return err
	}
	if err := opened(ctx); err != nil {
		return err
	}
	return verifyCommand{}.Run(ctx, s)
}

// refill brings back what logs have lost.
func (c restoreCommand) refill(ctx context.Context, s *session) (err error) {
	from, err := c.tables(s)
	if err != nil {
		return err
	}
	platform := s.cloud.platform
	scratch, err := local.OpenScratch("")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	snapshots, err := s.cloud.stack.Resources(ctx, s.cloud.config, "AWS::DynamoDB::Table")
	if err != nil {
		return err
	}
	var made []string
	var r restored
	err = s.closed(ctx, workTime, func() error {
		if made, err = c.asOf(ctx, s, from); err != nil {
			return err
		}
		bar := s.counting("compare", -1)
		r.Commits, err = platform.Refill(ctx, scratch, from, func(n int64) { _ = bar.Set64(n) })
		_ = bar.Finish() // it is only drawn
		if err != nil {
			return err
		}
		for _, o := range from {
			for logical, table := range snapshots {
				if !strings.HasPrefix(logical, o.Plugin+"Snapshots") {
					continue
				}
				if err := platform.EmptySnapshots(ctx, table); err != nil {
					return fmt.Errorf("empty the snapshots of %s: %w", o.Plugin, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.reopened(ctx, r, func(context.Context) error { return nil }); err != nil {
		return err
	}
	for _, table := range made {
		if err := platform.DropTable(ctx, table); err != nil {
			return fmt.Errorf("delete the table %s, which is not needed any more: %w", table, err)
		}
	}
	return nil
}

// tables are those that the command line names.
func (c restoreCommand) tables(s *session) (from []aws.OldTables, err error) {
	for _, x := range c.FromTable {
		plugin, tables, named := strings.Cut(x, "=")
		own, here := s.cloud.platform.Wiring.Plugins[plugin]
		switch {
		case !here:
			return nil, usagef("--from-table %s: the stack has no plugin %s", x, plugin)
		case !named && c.At.IsZero():
			return nil, usagef("--from-table %s: it is the stack's own table, so say as of which time with --at", x)
		case !named:
			tables = own.Events
		}
		events, rest, _ := strings.Cut(tables, ",")
		cursors, keys, _ := strings.Cut(rest, ",")
		from = append(from, aws.OldTables{Plugin: plugin, Events: events, Cursors: cursors, Keys: keys})
	}
	return from, nil
}

// asOf replaces the tables by those of the time that is asked for, and returns their names.
func (c restoreCommand) asOf(ctx context.Context, s *session, from []aws.OldTables) (made []string, err error) {
	if c.At.IsZero() {
		return nil, nil
	}
	s.say("DynamoDB is restoring tables, which takes from minutes to hours.")
	for i := range from {
		for _, table := range []*string{&from[i].Events, &from[i].Cursors} {
			if *table == "" {
				continue
			}
			if *table, err = s.cloud.platform.TableAt(ctx, *table, c.At); err != nil {
				return nil, err
			}
			made = append(made, *table)
		}
	}
	return made, nil
}
