package main

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/currency"

	"onlineshop/es"
	"onlineshop/plugins"
)

// settings are what is said with -c name=value.
type settings struct {
	auth       string // cognito (default), jwt or none
	issuer     string // jwtIssuer, with jwt
	audience   string // jwtAudience, with jwt
	login      string // loginDomain, with cognito: the prefix of where people sign in; empty: of the stack's name and the account
	arch       string // arm64 (default) or x86_64
	destroy    bool   // removal=destroy: data goes with the stack; removal=retain is the default
	emailFrom  string // sender; empty: e-mails are kept in the report bucket
	alarmEmail string // subscribes to the alarms; may be empty
	version    string // of the program, for /health
	name       string // of the shop, as its pages show it; empty: the plugins' title
	currency   string // of prices, ISO 4217

	keyRecovery   float64           // days for which a destroyed key of personal data can still be brought back
	importTimeout time.Duration     // of one run of an import function, before it goes on in the next
	bundles       string            // folder of the Lambda bundles
	env           map[string]string // more of every function's variables
	later         []string          // laterIndexes: "Catalog.Products.sort_name", left to the next update
}

// What Cognito wants of the prefix of a login domain.
var (
	loginDomain = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	reserved    = regexp.MustCompile(`aws|amazon|cognito`)
)

const (
	maxImportTimeout = 15 * time.Minute // Lambda's limit
	maxKeyRecovery   = 35               // DynamoDB's
)

// readSettings reads and checks the context values; get returns nil for one
// that is not there. The error tells everything that is wrong.
func readSettings(get func(name string) any) (settings, error) {
	text := func(name, fallback string) string {
		if v := get(name); v != nil {
			return cmp.Or(fmt.Sprint(v), fallback)
		}
		return fallback
	}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	oneOf := func(name string, values ...string) string {
		v := text(name, values[0])
		for _, allowed := range values {
			if v == allowed {
				return v
			}
		}
		wrong("-c %s=%s is none of %v", name, v, values)
		return v
	}
	var err error
	s := settings{
		auth:       oneOf("auth", "cognito", "jwt", "none"),
		issuer:     text("jwtIssuer", ""),
		audience:   text("jwtAudience", ""),
		login:      text("loginDomain", ""),
		arch:       oneOf("arch", "arm64", "x86_64"),
		destroy:    oneOf("removal", "retain", "destroy") == "destroy",
		emailFrom:  text("emailFrom", ""),
		alarmEmail: text("alarmEmail", ""),
		version:    text("version", "unknown"),
		name:       text("name", ""),
		currency:   text("currency", plugins.Currency),
		bundles:    filepath.Join("bin", "lambdas"),
	}
	if names := text("laterIndexes", ""); names != "" {
		s.later = strings.Split(names, ",")
	}
	if s.auth == "jwt" {
		if issuer, err := url.Parse(s.issuer); err != nil || issuer.Host == "" || s.audience == "" {
			wrong("-c auth=jwt needs -c jwtIssuer=https://… and -c jwtAudience=…, there is %q and %q", s.issuer, s.audience)
		}
	} else if s.issuer != "" || s.audience != "" {
		wrong("-c jwtIssuer and -c jwtAudience go with -c auth=jwt, not with -c auth=%s", s.auth)
	}
	switch {
	case s.login == "":
	case s.auth != "cognito":
		wrong("-c loginDomain goes with -c auth=cognito, not with -c auth=%s", s.auth)
	case !loginDomain.MatchString(s.login) || reserved.MatchString(s.login):
		wrong("-c loginDomain=%s is not what Cognito takes: 1 to 63 of a-z, 0-9 and -, not first or last, without aws, amazon or cognito", s.login)
	}
	if _, err := currency.ParseISO(s.currency); err != nil {
		wrong("-c currency=%s is not an ISO 4217 code, such as %s", s.currency, plugins.Currency)
	}
	s.env, err = environment(text)
	if err != nil {
		errs = append(errs, err)
	}
	if endpoint := text("otlp", ""); endpoint != "" {
		if u, err := url.Parse(endpoint); err != nil || u.Host == "" {
			wrong("-c otlp=%s is not an address, such as https://collector.example.com:4318", endpoint)
		}
		s.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
	}
	seconds, err := strconv.Atoi(text("importTimeout", "900"))
	s.importTimeout = time.Duration(seconds) * time.Second
	if err != nil || s.importTimeout <= 0 || s.importTimeout > maxImportTimeout {
		wrong("-c importTimeout=%v is not a number of seconds between 1 and %.0f", get("importTimeout"), maxImportTimeout.Seconds())
	}
	s.keyRecovery, err = strconv.ParseFloat(text("keyRecovery", "7"), 64)
	if err != nil || s.keyRecovery != math.Trunc(s.keyRecovery) || s.keyRecovery < 1 || s.keyRecovery > maxKeyRecovery {
		wrong("-c keyRecovery=%v is not a number of days between 1 and %d", get("keyRecovery"), maxKeyRecovery)
	}
	for name, address := range map[string]string{"emailFrom": s.emailFrom, "alarmEmail": s.alarmEmail} {
		if _, err := mail.ParseAddress(address); err != nil && address != "" {
			wrong("-c %s=%s is not an e-mail address", name, address)
		}
	}
	return s, errors.Join(errs...)
}

// bootstrap is the file that Lambda starts.
const bootstrap = "bootstrap"

// kinds are the folders below lambdas/ of the functions that run the plugins.
func (s settings) kinds(all []es.Plugin) []string {
	kinds := []string{"command", "eventmapping", "notifications", "projector", "query"}
	for _, p := range all {
		for _, t := range p.Tasks {
			if t.Works() {
				kinds = append(kinds, s.taskKind(t))
			}
		}
	}
	return kinds
}

// taskKind is the folder of a task's function: one of the task's own name, where that is
// built, or the one that runs any task.
func (s settings) taskKind(t es.Task) string {
	own := strings.ToLower(t.Name)
	if _, err := os.Stat(filepath.Join(s.bundles, own, bootstrap)); err == nil {
		return own
	}
	return "task"
}

// checkBundles wants every kind of function to be built, and for the
// architecture that it is to run on: Lambda itself tells of a wrong one only
// when a function is called.
func checkBundles(s settings, kinds []string) error {
	machine := map[string]elf.Machine{"arm64": elf.EM_AARCH64, "x86_64": elf.EM_X86_64}[s.arch]
	for _, kind := range kinds {
		path := filepath.Join(s.bundles, kind, bootstrap)
		file, err := elf.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no %s: run make lambdas ARCH=%s in the project's root", path, s.arch)
		}
		if err != nil {
			return fmt.Errorf("%s is not a Linux program (%w): run make lambdas ARCH=%s", path, err, s.arch)
		}
		built := file.Machine
		if err := file.Close(); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if built != machine {
			return fmt.Errorf("%s is built for %s, and the stack is for %s: run make lambdas ARCH=%[3]s, or choose another with -c arch=…", path, built, s.arch)
		}
	}
	return nil
}
