# Go is all that the shop needs. Its tests need a C compiler (for the race
# detector) and Node (for the CDK's), the targets for AWS need Node, too.

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LINT     := go tool -modfile=tools/go.mod golangci-lint
# Prints what go test prints, then how many tests ran, and which were skipped.
GOTEST   := go tool -modfile=tools/go.mod gotestsum --format standard-quiet --
FAST     := ./es/... ./plugins/... ./httpapi/...
GO_FILES = find . -name node_modules -prune -o -name '*.go' -print
SIM      := go test ./platform/sim -run TestShop -count=1 -timeout 0
POWER    := go test ./platform/local -run 'TestPowerLoss$$' -count=1 -timeout 20m

# The console's pages. Node builds them, where it is, when what they are made of changed.
PAGES := console/dist/index.html
PAGE_SOURCES := $(shell find console -name node_modules -prune -o -path console/dist -prune -o -type f -not -name '*.go' -print)

.PHONY: help run build check test generate lint bench bench-peers sim lambdas FORCE
.PHONY: check-format check-generated

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "%-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build what is needed and serve the shop
	@bin/shop serve

build: $(PAGES) ## build bin/shop
	@[ -e bin/shop ] || echo "Building the shop: the first time takes a minute or two."
	@go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/shop ./cmd/shop

console: $(PAGES) ## build the console's pages
.PHONY: console
$(PAGES): $(PAGE_SOURCES)
	@if ! command -v npm >/dev/null; then \
		echo "There is no Node here: the shop is built without its console. Install Node 20.19 or newer and run make again to have it."; \
	elif echo "Building the page."; [ console/node_modules/.package-lock.json -nt console/package-lock.json ] || (cd console && npm ci --no-audit --no-fund --loglevel=error); then \
		cd console && npm run --silent build >build.log 2>&1 && touch dist/index.html && rm build.log || { cat build.log; rm build.log; exit 1; }; \
	else exit 1; fi

# A shop of its own with the demo in it, at the address that the command finds in SHOP_URL.
WITH_SHOP = data=$$(mktemp -d) && { SHOP_DATA=$$data SHOP_ADDR=127.0.0.1:0 bin/shop --json serve >$$data/url & } && pid=$$! && \
	trap "kill $$pid; wait $$pid; rm -r $$data" EXIT && until grep -q url $$data/url; do kill -0 $$pid; done && \
	export SHOP_URL=$$(sed 's/.*"url":"\([^"]*\)".*/\1/' $$data/url) SHOP_DATA=$$data && bin/shop seed --addr $$SHOP_URL >/dev/null

screenshots: build ## take the README's pictures of the page
	@$(WITH_SHOP) && mkdir -p docs/console && cd console && node screenshots.mjs
.PHONY: screenshots

bench-console: build ## how fast the page is, with 200,000 products: the figures of docs/benchmarks.md
	@$(WITH_SHOP) && cd console && node measure.mjs
.PHONY: bench-console

# ARCH is arm64 or x86_64, as Lambda calls them.
ARCH  ?= arm64
KINDS := $(patsubst lambdas/%/main.go,%,$(wildcard lambdas/*/main.go))

# TAGS=otlp builds functions that export spans, where -c otlp=… says where to.
TAGS    ?=
# PLUGINS=library builds functions that run the conformance suite's plugins in the
# shop's place, for a deployment of theirs.
PLUGINS ?= shop
BUNDLES ?= bin/lambdas

lambdas: $(KINDS:%=$(BUNDLES)/%/bootstrap) ## build the Lambda functions for ARCH
$(BUNDLES)/%/bootstrap: FORCE $(PAGES)
	@CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH:x86_64=amd64) go build -tags 'lambda.norpc $(PLUGINS) $(TAGS)' -trimpath -ldflags '-s -w' -o $@ ./lambdas/$*
FORCE:

check: check-format ## the fast loop: format, vet, lint of uncommitted changes, short tests
	go vet $(FAST)
	$(LINT) run --new
	$(GOTEST) -short $(FAST)

test: check-format check-generated lint ## everything that CI runs
	go vet ./...
	go vet -tags 'lambda.norpc otlp' ./lambdas/... ./platform/telemetry
	go vet -tags library ./cdk ./cmd/shop ./lambdas/... # what the tests run in the shop's place
	$(GOTEST) -race -timeout 20m $$(go list ./... | grep -v -e /cdk$$ -e /platform/sim$$)
	go test ./platform/sim # one goroutine at a time: there is no race to detect
	$(SIM) -seeds=10000
	$(POWER) -seeds=1000 # on one machine's disk, which takes minutes with the race detector
	$(MAKE) --no-print-directory test-console
	go test ./cdk # the CDK's packages take minutes to build with the race detector, and race with nobody

test-console: build ## the page's logic, and every screen in a browser against the real program
	cd console && npm run --silent test
	@go build -tags library -trimpath -o bin/library ./cmd/shop # plugins that the page has never seen
	@$(WITH_SHOP) && cd console && npm run --silent types -- --check && npm run --silent e2e
.PHONY: test-console

types: ## write the types of what the API answers, without which the page may not compile
	@go build -o bin/shop ./cmd/shop && $(WITH_SHOP) && cd console && npm run --silent types
.PHONY: types

generate: ## write the *_gen.go files
	go generate ./...

.PHONY: plugin aggregate view task

plugin: ## NAME=Inventory: write the start of a plugin
	@go run ./es/esgen plugin '$(NAME)'
	@$(WELCOME)

aggregate: ## PLUGIN=Inventory NAME=StockItem: write the start of an aggregate
	@go run ./es/esgen aggregate '$(PLUGIN)' '$(NAME)'
	@$(WELCOME)

view: ## PLUGIN=Inventory AGGREGATE=StockItem NAME=StockItems: write the start of a view
	@go run ./es/esgen view '$(PLUGIN)' '$(AGGREGATE)' '$(NAME)'
	@$(WELCOME)

task: ## PLUGIN=Inventory NAME=ImportCounts: write the start of a task with a bucket; AGGREGATE=StockItem: of a CSV import
	@go run ./es/esgen task '$(PLUGIN)' '$(NAME)' $(if $(AGGREGATE),'$(AGGREGATE)')
	@$(WELCOME)

# What is new is generated, and added to the golden files.
WELCOME = go generate ./plugins/... && go test ./plugins -update >/dev/null && \
	go test ./plugins/$$(echo '$(or $(PLUGIN),$(NAME))' | tr A-Z a-z)/... && git status --short -- plugins

lint: ## the linters, pinned in tools/go.mod
	$(LINT) run

bench: ## the figures of docs/benchmarks.md
	@$(MAKE) --no-print-directory lambdas ARCH=$(patsubst amd64,x86_64,$(shell go env GOARCH))
	GOGC=400 GOMEMLIMIT=120MiB go test -run '^$$' -bench . -benchtime 1x -timeout 30m ./platform/local # as bin/shop sets them
	go test -run '^$$' -bench . -benchtime 1x -timeout 30m ./cmd/shop ./lambdas

# Built from source with the headers beside node: nothing is fetched but packages.
bench-peers: ## the same work on our store and on what others would pick
	cd tools/peers && npm ci --build-from-source --nodedir="$$(dirname $$(dirname $$(readlink -f $$(command -v node))))" --no-audit --no-fund --loglevel=error
	SHOP_PEERS=$(CURDIR)/tools/peers go test -run '^$$' -bench Peers -benchtime 1x -v ./platform/local
	@[ -z "$$SHOP_DYNAMODB_ENDPOINT" ] || node tools/peers/dynamodb.mjs # against a DynamoDB Local, for requests and capacity units

sim: ## SEEDS=100000: so many schedules, FIRST=5000: from that one on; SEED=42: replay one
	$(SIM) -v $(if $(SEED),-seed=$(SEED),$(if $(SEEDS),-seeds=$(SEEDS)) $(if $(FIRST),-first=$(FIRST)))

power: ## losses of power on one machine; SEEDS, FIRST and SEED as for sim
	$(POWER) -v $(if $(SEED),-seed=$(SEED),$(if $(SEEDS),-seeds=$(SEEDS)) $(if $(FIRST),-first=$(FIRST)))
.PHONY: power

.PHONY: deploy destroy

# What is said to the CDK, e.g. make deploy CDK='-c auth=none -c removal=destroy'
CDK ?=

deploy: lambdas node_modules ## the shop on AWS, with the account in the environment
	node_modules/.bin/cdk deploy -c arch=$(ARCH) -c version=$(VERSION) $(CDK)

destroy: lambdas node_modules ## remove it; data stays, unless it was deployed with removal=destroy
	node_modules/.bin/cdk destroy -c arch=$(ARCH) $(CDK)

node_modules: package.json package-lock.json # the CDK's command line, pinned
	@npm ci --no-audit --no-fund --loglevel=error && touch $@

check-format:
	@unformatted=$$($(GO_FILES) | xargs gofmt -l); [ -z "$$unformatted" ] || { echo "gofmt these files: $$unformatted"; exit 1; }

# Compares with what was there before, so that it holds for an uncommitted tree too.
check-generated:
	@sums() { $(GO_FILES) | grep '_gen.go$$' | LC_ALL=C sort | xargs cksum; }; \
	before=$$(sums) && go generate ./... && [ "$$before" = "$$(sums)" ] || \
	{ echo "The generated files were not up to date. They are now: look at them, and commit them."; exit 1; }

.PHONY: e2e e2e-all e2e-roles localstack-up localstack-deploy localstack-down

# exec: an interruption reaches the program, which cleans up, and not a shell.
LOCALSTACK = go build -o bin/localstack ./localstack && exec bin/localstack

e2e: ## install the emulator, deploy to it, test the shop there, and leave nothing behind; RUN=TestImport: those tests alone
	@$(LOCALSTACK) e2e $(if $(RUN),'$(RUN)')

e2e-all: ## the same, with what takes longest: the tutorial as it is deployed, and large files
	@$(LOCALSTACK) e2e .

e2e-roles: ## the shop under its functions' roles, with every permission taken away in turn
	@$(LOCALSTACK) roles

localstack-up: ## install and start the emulator
	@$(LOCALSTACK) up

localstack-deploy: ## deploy the shop to the emulator
	@$(LOCALSTACK) deploy

localstack-down: ## stop the emulator
	@$(LOCALSTACK) down
