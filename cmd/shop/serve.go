package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"filippo.io/age"
	"golang.org/x/text/currency"

	"onlineshop/console"
	"onlineshop/httpapi"
	"onlineshop/platform/local"
	"onlineshop/platform/telemetry"
	"onlineshop/plugins"
)

// drainTime is how long requests and work in hand may take after SIGTERM.
const drainTime = 20 * time.Second

type serveCommand struct {
	ShipDelay   time.Duration `help:"How long an order waits before it is shipped, and can be cancelled, e.g. 240h." env:"SHOP_SHIP_DELAY" default:"0s"`
	Auth        string        `help:"Who callers are: \"none\" makes everybody on this machine the user local in group Admin, \"jwt\" takes bearer tokens." env:"SHOP_AUTH" enum:"none,jwt" default:"none"`
	JWTIssuer   string        `help:"Issuer of the tokens: an OpenID Connect provider's URL." env:"SHOP_JWT_ISSUER" name:"jwt-issuer" placeholder:"URL"`
	JWTAudience string        `help:"Audience that the tokens must be meant for." env:"SHOP_JWT_AUDIENCE" name:"jwt-audience" placeholder:"NAME"`
	EmailFrom   string        `help:"Sender of the e-mails." env:"SHOP_EMAIL_FROM" default:"${emailFrom}"`
	Name        string        `help:"The shop's name, as its pages show it." env:"SHOP_NAME" default:"${title}"`
	Currency    string        `help:"The currency of prices, by its ISO 4217 code." env:"SHOP_CURRENCY" default:"${currency}"`
	AcceptLoss  bool          `help:"Go on although the end of the log is lost, which the shop says by itself." name:"accept-loss"`
	Verbose     bool          `help:"Log requests too." short:"v"`
}

// Help is shown by --help.
func (serveCommand) Help() string {
	return examples("Serves the HTTP API, imports CSV files dropped into product-imports/ of the data folder, and writes e-mails to its emails/. Ctrl-C or SIGTERM lets work in hand finish; whatever was acknowledged survives any crash.",
		"shop serve", "shop serve --addr 127.0.0.1:9000 --data ./other --ship-delay 10m",
		"shop serve --addr 127.0.0.1:8080 --auth jwt --jwt-issuer https://login.example.com --jwt-audience shop # behind a proxy that does TLS")
}

// check refuses settings that make no sense together.
func (c serveCommand) check(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	_, sender := mail.ParseAddress(c.EmailFrom)
	switch {
	case err != nil:
		return usagef("serve on %q: an address is host:port, e.g. 127.0.0.1:8080", addr)
	case c.ShipDelay < 0:
		return usagef("a ship delay (SHOP_SHIP_DELAY) of %s is not possible: it is at least 0s", c.ShipDelay)
	case sender != nil:
		return usagef("the sender %q (SHOP_EMAIL_FROM) is not an e-mail address", c.EmailFrom)
	case !isCurrency(c.Currency):
		return usagef("the currency %q (SHOP_CURRENCY) is not an ISO 4217 code, such as %s", c.Currency, plugins.Currency)
	case c.Auth == "jwt" && (c.JWTIssuer == "" || c.JWTAudience == ""):
		return usagef("--auth jwt needs --jwt-issuer (SHOP_JWT_ISSUER) and --jwt-audience (SHOP_JWT_AUDIENCE)")
	case c.Auth == "none" && !loopback(host):
		return usagef("%s can be reached from other machines, and without an identity provider anybody could do anything: listen on 127.0.0.1, or set --auth jwt with --jwt-issuer and --jwt-audience", addr)
	}
	return nil
}

func isCurrency(code string) bool {
	_, err := currency.ParseISO(code)
	return err == nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Run serves until ctx ends, then drains.
func (c serveCommand) Run(ctx context.Context, s *session) (err error) {
	if err := c.check(s.Addr); err != nil {
		return err
	}
	tuneMemory()
	level := slog.LevelWarn
	if c.Verbose {
		level = slog.LevelDebug
	}
	logger := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: level}))

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; stop what is there, or choose another address with --addr or SHOP_ADDR", s.Addr, err)
	}
	defer listener.Close()
	identity, err := c.identity(ctx, logger)
	if err != nil {
		return err
	}
	sent := local.NewOutbox(filepath.Join(s.Data, "emails"), c.EmailFrom)
	all := c.plugins(sent)
	spans, err := telemetry.New(ctx, cmp.Or(c.Name, title), programVersion())
	if err != nil {
		return err
	}
	defer func() {
		if err := drain(ctx, spans.Close); err != nil {
			logger.WarnContext(ctx, "spans are not exported", "error", err)
		}
	}()
	platform, err := local.Open(ctx, local.Options{Dir: s.Data, Plugins: all, Version: programVersion(), Logger: logger, Tracer: spans.Tracer(), Forget: sent.Forget, AcceptLoss: c.AcceptLoss})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drain(ctx, platform.Close)) }()

	url := baseURL(listener.Addr().String())
	handler, err := httpapi.New(httpapi.Config{
		Engine: platform.Engine(), Plugins: all, Title: title, Version: programVersion(), Identity: identity,
		Hosts: hosts(listener.Addr()), Health: platform.Health, Reports: platform, Uploads: platform, Emails: sent, Logger: logger,
		CursorKey: platform.CursorKey, Backup: func(ctx context.Context, w io.Writer, recipients ...age.Recipient) error {
			_, err := writeBackup(ctx, w, recipients, all, platform.Backup, func(int64) {})
			return err
		},
		Console: c.console(url), Metrics: newMetrics(platform),
	})
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:                      handler,
		DisableGeneralOptionsHandler: true, // OPTIONS * is a path like any other
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  time.Minute,
		WriteTimeout:                 5 * time.Minute, // a step of a sweep may take a while
		IdleTimeout:                  2 * time.Minute,
		MaxHeaderBytes:               64 << 10,
		ErrorLog:                     slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	if err := c.welcome(s, url, platform.Lost()); err != nil {
		return err
	}
	if host, _, _ := net.SplitHostPort(s.Addr); c.Auth == "jwt" && !loopback(host) {
		logger.Warn("tokens and data come over HTTP in clear: let a proxy that does TLS stand before the shop, and listen for that alone", "addr", s.Addr)
	}
	served := make(chan error, 1)
	go func() { served <- httpapi.Serve(server, listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", url, err)
	case <-ctx.Done():
		if !s.JSON {
			s.printf("Closing: work in hand is being finished. Again Ctrl-C stops at once; nothing acknowledged is lost.\n")
		}
		return shut(ctx, server, logger)
	}
}

// console is the page for people. Without an identity provider it offers the demo.
func (c serveCommand) console(url string) *httpapi.Console {
	page := &httpapi.Console{Files: console.Files(), Name: c.Name, Currency: c.Currency}
	if c.Auth == "none" && hasDemo {
		page.Demo = func(ctx context.Context) error {
			_, err := seed(ctx, newClient(url, ""))
			return err
		}
	}
	return page
}

// requestTime is how long requests in hand may take after SIGTERM.
const requestTime = 5 * time.Second

// shut lets requests in hand be answered. One that does not come to its end, such as
// a body that does not arrive, is cut off.
func shut(ctx context.Context, server *http.Server, logger *slog.Logger) error {
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
	defer cancel()
	err := server.Shutdown(late)
	if errors.Is(err, context.DeadlineExceeded) {
		logger.WarnContext(ctx, "requests that did not come to their end are cut off")
		return server.Close()
	}
	return err
}

// tuneMemory collects garbage seldom, since nearly all of it is short-lived, but
// keeps the process small during an import, however long the file is. GOGC and
// GOMEMLIMIT have the last word.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(120 << 20)
	}
}

// drain lets a closer finish work in hand, although ctx has ended.
func drain(ctx context.Context, closer func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	return closer(ctx)
}

func (c serveCommand) identity(ctx context.Context, logger *slog.Logger) (httpapi.Identity, error) {
	if c.Auth == "none" {
		return httpapi.Local(), nil
	}
	id, err := httpapi.JWT(c.JWTIssuer, c.JWTAudience)
	if err != nil {
		return nil, err
	}
	go discover(ctx, id, logger)
	return id, nil
}

// discover asks the identity provider until it answers. Whatever needs nobody to
// sign in goes on meanwhile: imports, shipping, e-mails.
func discover(ctx context.Context, id *httpapi.OpenID, logger *slog.Logger) {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := id.Discover(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		logger.WarnContext(ctx, "nobody can sign in: the identity provider is asked again", "error", err, "wait", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// hosts are the Host values answered on loopback, where a page of another
// origin could otherwise get in by a name of its own; elsewhere all.
func hosts(addr net.Addr) []string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsLoopback() {
		return nil
	}
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return []string{addr.String()}
	}
	names := []string{addr.String(), net.JoinHostPort("localhost", port)}
	if port == "80" { // which nobody says
		names = append(names, strings.TrimSuffix(addr.String(), ":80"), "localhost")
	}
	return names
}

// welcome says where everything is.
func (c serveCommand) welcome(s *session, url string, lost error) error {
	data, err := filepath.Abs(s.Data)
	if err != nil {
		return err
	}
	if s.JSON {
		said := map[string]string{"url": url, "data": data, "version": programVersion()}
		if lost != nil {
			said["problem"] = lost.Error()
		}
		return s.printJSON(said)
	}
	rows := []string{
		"The shop is open at " + url + " (version " + programVersion() + "): open it in a browser.",
		"  CSV files   drop them into " + filepath.Join(s.Data, bucket),
		"  e-mails     are written to " + filepath.Join(s.Data, "emails"),
		"  API         " + url + "/openapi.json, /manifest.json, /health",
		"  demo        fill it with \"" + os.Args[0] + " seed\"",
		"  close       Ctrl-C",
	}
	if lost != nil {
		rows = append([]string{"Commands are refused: " + lost.Error() + "."}, rows...)
	}
	s.printf("%s\n", strings.Join(rows, "\n"))
	return nil
}
