# Every target installs what it needs by itself; `make` alone lists the targets.
# Node comes from npm (package.json, optionalDependencies), so its folder leads PATH.
SYSTEM_PATH := $(PATH)
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
# Most of a short process is compiling: those of tests, tools and platforms keep what they compiled.
export NODE_COMPILE_CACHE := $(CURDIR)/node_modules/.cache/tricampus
.DEFAULT_GOAL := help
.PHONY: help up down clean status demo test test-containers e2e e2e-kind e2e-kind-all e2e-processes e2e-browser image check gen fmt bench-echo bench-overload bench-monitors bench-kv bench-table bench-catch-up \
  bench-start bench-large-data bench-operator bench-sync bench-crash-loop sim sim-messages sim-long sim-bugs torture

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

up: node_modules/.stamp ## start three campuses on this machine; prints addresses and what to try next
	@./tricampus up

down: node_modules/.stamp ## stop them; data stays
	@./tricampus down

clean: node_modules/.stamp ## stop them and remove their data
	@./tricampus down --quiet
	@./tricampus clean

status: node_modules/.stamp ## show every process: campus, health, versions behind
	@./tricampus status

demo: node_modules/.stamp ## two conversations, one campus killed on the way, and the ledger
	@./tricampus demo

test: node_modules/.stamp ## run all tests but those of e2e; no container engine is needed
	@vitest run

e2e: e2e-kind e2e-processes ## run the tests that take minutes: in a kind cluster, and whole platforms on this machine

e2e-kind: node_modules/.stamp ## run those in a kind cluster of three zones; KEEP=1 keeps it. Needs docker, kind, kubectl, helm
	@vitest run --config e2e/kind/vitest.config.ts

e2e-kind-all: node_modules/.stamp ## the same with what takes longer: a second KV group, and NATS and Redis beside the services
	@LONGER=1 vitest run --config e2e/kind/vitest.config.ts

e2e-processes: node_modules/.stamp ## run those of whole platforms on this machine: faults, blocks, torture, an upgrade
	@vitest run --config e2e/vitest.config.ts

e2e-browser: node_modules/.stamp ## run the SDK in a real browser. Needs chromium (apt-get install chromium)
	@vitest run --config e2e/browser/vitest.config.ts

test-containers: node_modules/.stamp ## run the queue on real NATS and the router on real Redis, killed and paused. Needs docker
	@vitest run --config e2e/containers/vitest.config.ts

image: ## build the container image tricampus:dev; DOCKER_BUILD_FLAGS= are passed on
	@docker build $(DOCKER_BUILD_FLAGS) -t tricampus:dev .

check: node_modules/.stamp ## types, lint, format, tidy, generated code fresh, dead code
	tsc
	biome check --error-on-warnings
	node tools/tidy.ts
	buf lint
	node tools/generated-fresh.ts
	node tools/generate-crds.ts --check
	node tools/alert-rules.ts --check
	knip

gen: node_modules/.stamp ## generate protos/gen from protos/, crds/ from operator/api, and the chart's alert rules
	buf generate
	node tools/generate-crds.ts
	node tools/alert-rules.ts

fmt: node_modules/.stamp ## format the code and apply safe fixes
	biome check --write

bench-echo: node_modules/.stamp ## measure svrkit beside grpc-js: echo calls
	@node bench/echo.ts $(if $(SECONDS),--seconds $(SECONDS),)

bench-overload: node_modules/.stamp ## measure a service at 0.5 to 4 x saturation, four strategies; draws docs/overload.svg. QUICK=1: five minutes, AFTER_WAIT=1: M waits before it works
	@node bench/overload.ts $(if $(SECONDS),--seconds $(SECONDS),) $(if $(AFTER_WAIT),--after-wait,) \
	  $(if $(QUICK),--quick,$(if $(AFTER_WAIT),,--svg docs/overload.svg))

bench-monitors: node_modules/.stamp ## measure what counting costs, in nanoseconds
	@node bench/monitors.ts

bench-kv: node_modules/.stamp ## measure the store beside etcd: SECONDS=10 a phase
	@node bench/kv.ts $(if $(SECONDS),--seconds $(SECONDS),)

bench-start: node_modules/.stamp ## measure how long a replica's state takes to open after kill -9
	@node bench/kv-start.ts

bench-table: node_modules/.stamp ## measure one table of 100,000 rows, and what it costs others
	@node bench/large-table.ts

bench-catch-up: node_modules/.stamp ## measure how a replica far behind catches up, and what it costs others
	@node bench/catch-up.ts

bench-large-data: node_modules/.stamp ## measure data larger than memory: 4 GiB, a cache of 256 MiB
	@node bench/large-data.ts

bench-crash-loop: node_modules/.stamp ## measure what messages notice of media and moments that crash all the time
	@node bench/crash-loop.ts

bench-sync: node_modules/.stamp ## measure syncs of devices that were away, and what they cost others
	@node bench/sync.ts

bench-operator: node_modules/.stamp ## measure the operator before an API server double: GROUPS=10000
	@node bench/operator.ts $(if $(GROUPS),--groups $(GROUPS),)

sim: node_modules/.stamp ## simulate the store under faults: SEEDS=200 from SEED=1, or one SEED with its story
	@node sim/main.ts $(if $(SEED),--seed $(SEED),) $(if $(SEEDS),--seeds $(SEEDS),$(if $(SEED),,--seeds 200))

sim-messages: node_modules/.stamp ## simulate messages under faults: SEEDS=25 of 40 schedules from SEED=1, or one SEED with its story
	@node sim/messages/main.ts $(if $(SEED),--seed $(SEED),) $(if $(SEEDS),--seeds $(SEEDS),$(if $(SEED),,--seeds 25))

sim-long: node_modules/.stamp ## simulate 10,000 seeds of the store, and 100,000 schedules of messages
	@node sim/main.ts --seeds 10000 $(if $(SEED),--seed $(SEED),)
	@node sim/messages/main.ts --seeds 2500 $(if $(SEED),--seed $(SEED),)

sim-bugs: node_modules/.stamp ## look for seeds that catch the planted bugs, and record them
	@node sim/main.ts --bugs
	@node sim/messages/main.ts --bugs

.PHONY: fuzz
fuzz: node_modules/.stamp ## feed damaged frames, messages, tickets to what reads them: SECONDS=60, SEED=
	@node services/svrkit/fuzz/main.ts $(if $(SECONDS),--seconds $(SECONDS),) $(if $(SEED),--seed $(SEED),)

torture: node_modules/.stamp ## torture three real replicas for MINUTES=2 and check what clients heard: SEED=
	@node torture/main.ts $(if $(MINUTES),--minutes $(MINUTES),) $(if $(SEED),--seed $(SEED),)

# npm runs under the machine's own Node: `npm ci` removes the one in node_modules while it works.
node_modules/.stamp: package-lock.json package.json
	@PATH="$(SYSTEM_PATH)" command -v npm >/dev/null || \
	  { echo "make: npm is missing; install Node 20 or later with npm (https://nodejs.org)" >&2; exit 1; }
	PATH="$(SYSTEM_PATH)" npm ci --no-progress --loglevel=error
	@touch $@
