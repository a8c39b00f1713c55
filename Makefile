# Go is all that the shop needs. Its tests need a C compiler (for the race
# detector) and Node (for the CDK's), the targets for AWS need Node, too.

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LINT     := go tool -modfile=tools/go.mod golangci-lint
# Prints what go test prints, then how many tests ran, and which were skipped.
GOTEST   := go tool -modfile=tools/go.mod gotestsum --format standard-quiet --
FAST     := ./es/... ./plugins/... ./httpapi/...
GO_FILES = find . -name node_modules -prune -o -name '*.go' -print
SIM      := go test ./platform/sim -run TestShop -count=1 -timeout 0

.PHONY: help run build check test generate lint bench bench-peers sim lambdas FORCE
.PHONY: check-format check-generated

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "%-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build what is needed and serve the shop
	@bin/shop serve

build: ## build bin/shop
	@go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/shop ./cmd/shop

# ARCH is arm64 or x86_64, as Lambda calls them.
ARCH  ?= arm64
KINDS := $(patsubst lambdas/%/main.go,%,$(wildcard lambdas/*/main.go))

# PLUGINS=library builds functions that run the conformance suite's plugins in the
# shop's place, for a deployment of theirs.
PLUGINS ?= shop
BUNDLES ?= bin/lambdas

lambdas: $(KINDS:%=$(BUNDLES)/%/bootstrap) ## build the Lambda functions for ARCH
$(BUNDLES)/%/bootstrap: FORCE
	@CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH:x86_64=amd64) go build -tags 'lambda.norpc $(PLUGINS)' -trimpath -ldflags '-s -w' -o $@ ./lambdas/$*
FORCE:

check: check-format ## the fast loop: format, vet, lint of uncommitted changes, short tests
	go vet $(FAST)
	$(LINT) run --new
	$(GOTEST) -short $(FAST)

test: check-format check-generated lint ## everything that CI runs
	go vet ./...
	go vet -tags library ./cdk ./lambdas/... # what make e2e deploys beside the shop
	$(GOTEST) -race -timeout 20m $$(go list ./... | grep -v /cdk$$)
	$(SIM) -seeds=10000 # one goroutine at a time, so without the race detector
	go test ./cdk # the CDK's packages take minutes to build with the race detector, and race with nobody

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

task: ## PLUGIN=Inventory NAME=ImportCounts: write the start of a task with a bucket
	@go run ./es/esgen task '$(PLUGIN)' '$(NAME)'
	@$(WELCOME)

# What is new is generated, and added to the golden files.
WELCOME = go generate ./plugins/... && go test ./plugins -update >/dev/null && \
	go test ./plugins/$$(echo '$(or $(PLUGIN),$(NAME))' | tr A-Z a-z)/... && git status --short -- plugins

lint: ## the linters, pinned in tools/go.mod
	$(LINT) run

bench: ## the figures of docs/benchmarks.md
	@$(MAKE) --no-print-directory lambdas ARCH=$(patsubst amd64,x86_64,$(shell go env GOARCH))
	go test -run '^$$' -bench . -benchtime 1x -timeout 30m ./platform/local ./cmd/shop ./lambdas

# Built from source with the headers beside node: nothing is fetched but packages.
bench-peers: ## the same work on our store and on what others would pick
	cd tools/peers && npm ci --build-from-source --nodedir="$$(dirname $$(dirname $$(readlink -f $$(command -v node))))" --no-audit --no-fund --loglevel=error
	SHOP_PEERS=$(CURDIR)/tools/peers go test -run '^$$' -bench Peers -benchtime 1x -v ./platform/local
	@[ -z "$$SHOP_DYNAMODB_ENDPOINT" ] || node tools/peers/dynamodb.mjs # against a DynamoDB Local, for requests and capacity units

sim: ## SEEDS=100000: so many schedules, FIRST=5000: from that one on; SEED=42: replay one
	$(SIM) $(if $(SEED),-v -seed=$(SEED),$(if $(SEEDS),-seeds=$(SEEDS)) $(if $(FIRST),-first=$(FIRST)))

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

.PHONY: e2e localstack-up localstack-deploy localstack-down

# exec: an interruption reaches the program, which cleans up, and not a shell.
LOCALSTACK = go build -o bin/localstack ./localstack && exec bin/localstack

e2e: ## install the emulator, deploy to it, test the shop there, and leave nothing behind; RUN=TestImport: those tests alone
	@$(LOCALSTACK) e2e $(if $(RUN),'$(RUN)')

localstack-up: ## install and start the emulator
	@$(LOCALSTACK) up

localstack-deploy: ## deploy the shop to the emulator
	@$(LOCALSTACK) deploy

localstack-down: ## stop the emulator
	@$(LOCALSTACK) down
