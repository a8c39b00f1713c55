package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"onlineshop/plugins"
)

// Exit codes of the program.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// program is the command line with where it writes to.
type program struct{ out, err io.Writer }

// Run parses the arguments, runs what they name and returns the exit code.
func (p program) Run(ctx context.Context, args ...string) int {
	p.out = shown{p.out}
	var c cli
	parser, err := kong.New(&c,
		kong.Name("shop"),
		kong.Description(description),
		kong.Vars{"emailFrom": plugins.EmailFrom, "title": title, "currency": plugins.Currency},
		kong.Writers(p.out, p.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		panic(err) // a malformed tag of ours
	}
	var usage *usageError
	k, err := parser.Parse(args)
	if err == nil {
		s := &session{program: p, settings: c.settings}
		if err = s.open(ctx, k.Command()); err == nil {
			err = k.Run(s)
		}
	} else {
		usage = &usageError{err.Error()}
		if wrong := (*kong.ParseError)(nil); errors.As(err, &wrong) {
			k = wrong.Context
		}
	}
	switch {
	case usage != nil, errors.As(err, &usage):
		fmt.Fprintf(shown{p.err}, "shop: %s\nTry \"%s --help\".\n", usage, named(k))
		return exitUsage
	case err != nil && ctx.Err() != nil:
		fmt.Fprintf(shown{p.err}, "shop: interrupted: %v\n", err)
		return exitFailed
	case err != nil:
		fmt.Fprintf(shown{p.err}, "shop: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// named is how to call the command that was named, or the program where none was.
func named(k *kong.Context) string {
	if k == nil || k.Selected() == nil {
		return "shop"
	}
	return "shop " + k.Selected().Name
}

// usageError is a mistake in the command line or the settings.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

const description = `An event-sourced online shop on this machine.

Start it with "shop serve"; the other commands talk to a shop that is being served, or with --stack to one on AWS.`

// settings are the flags of every command.
type settings struct {
	Addr  string `help:"Where the shop listens: host:port, or a URL." env:"SHOP_ADDR" default:"127.0.0.1:8080"`
	Data  string `help:"The shop's data folder." env:"SHOP_DATA" default:"data"`
	Token string `help:"Bearer token to identify with." env:"SHOP_TOKEN" placeholder:"JWT"`
	Stack string `help:"Work on a shop on AWS instead, with the credentials of the AWS SDK's environment: the stack's name, or the file that cdk deploy --outputs-file wrote." env:"SHOP_STACK" placeholder:"NAME"`
	JSON  bool   `help:"Print JSON, one value a line." name:"json"`
}

type cli struct {
	settings

	Serve      serveCommand      `cmd:"" help:"Serve the shop from this machine."`
	Import     importCommand     `cmd:"" help:"Import products from CSV files."`
	Export     exportCommand     `cmd:"" help:"Export the catalogue to a CSV file."`
	Seed       seedCommand       `cmd:"" help:"Fill the shop with a demo catalogue, customers and orders."`
	Events     eventsCommand     `cmd:"" help:"Print an aggregate's events."`
	Parked     parkedCommand     `cmd:"" help:"List what failed and waits to be tried again."`
	Rejections rejectionsCommand `cmd:"" help:"List what commands of mappings and extensions were refused."`
	Schedules  schedulesCommand  `cmd:"" help:"List what tasks do by schedule."`
	Run        runCommand        `cmd:"" help:"Run a schedule now."`
	Redrive    redriveCommand    `cmd:"" help:"Try again what is parked."`
	Sweep      sweepCommand      `cmd:"" help:"Bring every follower and view up to date from the log."`
	Rebuild    rebuildCommand    `cmd:"" help:"Fold a read model again from the log."`
	Backup     backupCommand     `cmd:"" help:"Write a file that holds the whole shop."`
	Restore    restoreCommand    `cmd:"" help:"Make a shop of a backup."`
	Verify     verifyCommand     `cmd:"" help:"See whether the log, and what follows from it, is what it was."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// session is what a command runs with.
type session struct {
	program
	settings
	cloud *cloud // nil: the shop is at Addr
}

// open finds the shop where it is a stack on AWS.
func (s *session) open(ctx context.Context, command string) (err error) {
	switch {
	case s.Stack == "" || command == "version":
		return nil
	case command == "serve":
		return usagef("serve serves the shop from this machine; --stack (SHOP_STACK) names one on AWS, which runs by itself")
	}
	logger := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelError}))
	if s.cloud, err = openCloud(ctx, s.Stack, logger); err != nil {
		return fmt.Errorf("stack %s: %w", s.Stack, err)
	}
	return nil
}

// client talks to the shop that the settings name.
func (s *session) client() *client {
	if s.cloud != nil {
		return s.cloud.client()
	}
	return newClient(s.Addr, s.Token)
}

// printf writes to standard output, for people.
func (s *session) printf(format string, args ...any) { fmt.Fprintf(s.out, format, args...) }

// printJSON writes a value as a line of standard output, for programs.
func (s *session) printJSON(v any) error { return json.NewEncoder(s.out).Encode(v) }

// watched says whether somebody looks on: progress is drawn on a terminal only.
func (s *session) watched() bool {
	f, ok := s.err.(*os.File)
	return ok && !s.JSON && term.IsTerminal(int(f.Fd()))
}

// examples is the help of a command that shows how to call it.
func examples(about string, lines ...string) string {
	return about + "\n\nExamples:\n\n  " + strings.Join(lines, "\n  ")
}
