# What is done with this repository. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO := cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
RIG := $(TARGET)/release/rig
export TOLLBRIDGE := $(abspath $(TARGET)/release/tollbridge)

# Integration tests that need no service.
SERVICELESS := route sim lifecycle tidy failpoints told_early
IS_THERE = $(or $(wildcard tests/$(1).rs),$(wildcard tests/$(1)/main.rs))
SERVICELESS_HERE := $(foreach name,$(SERVICELESS),$(if $(call IS_THERE,$(name)),--test $(name)))

.NOTPARALLEL:
.PHONY: help install check format lint test test-claims clients foreign sim sim-test sim-pairs plants plants-real fuzz-all release up down \
	demo soak-demo before failpoints suite faults faults-check faults-claim campaign recover bench bench-all flame \
	long model stages build-cold

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-24s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo; echo "  make demo STORE=clickhouse SEED=7; make soak-demo RUNS=30; make bench ITEM=name"
	@echo "  make fuzz-all SECONDS=60 TARGETS=\"metadata config\""
	@echo "  make faults lists the scenarios; make faults SCENARIO=redis-wiped SEED=7; make campaign RUNS=300 JOBS=4"

install: ## Finds or installs what builds and tests need (apt where root; Kafka from Maven, ClickHouse from PyPI)
	@tests/rig/install.sh
	@$(CARGO) run --quiet --locked --package tollbridge-rig -- install

format:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --test stages --test foreign -- -D warnings
	$(CARGO) clippy --locked --lib --bins --features failpoints -- -D warnings

check: format lint ## Format, lints, unit and property tests; needs no service
	tests/rig/cargo-test.sh --lib --bins $(SERVICELESS_HERE)

test: install format lint sim-test stages ## Everything, against real services
	tests/rig/cargo-test.sh

test-claims: install ## One test for each claim of the method
	tests/rig/cargo-test.sh claim_

clients: install ## confluent-kafka, put into .rig from PyPI, reads the headers of dead letters and events
	@test -x .rig/python/bin/python || python3 -m venv .rig/python
	@.rig/python/bin/pip install --quiet confluent-kafka==2.16.1
	tests/rig/cargo-test.sh --test e2e confluent_kafka -- --ignored

foreign: install ## Stripe's profiles on payment gateways of others, which come from npm, PyPI, Go and Debian
	@$(CARGO) run --quiet --locked --package tollbridge-rig -- install gateways
	tests/rig/cargo-test.sh --test foreign
	tests/rig/cargo-test.sh --test e2e foreign -- --ignored

# Every assertion stays on, and what all other tests have built is used: only this package is optimised.
# In one unit and not in increments: how a package is divided decides what is inlined, and instructions are counted.
SIM := CARGO_INCREMENTAL=0 $(CARGO) test --quiet --locked --config profile.test.package.tollbridge.opt-level=3 \
	--config profile.test.package.tollbridge.codegen-units=1 --test sim

sim: ## SEEDS= runs of the simulation from SEED_START= on; goes on where it was stopped
	@SEEDS=$(or $(SEEDS),100000) SEED_START=$(or $(SEED_START),0) $(SIM) seeds -- --nocapture

sim-test: ## 10,000 runs, every single crash of a small one, every planted bug; within three minutes
	@SEEDS=10000 SEED_START=0 PLANT_SEEDS=10000 $(SIM) -- --nocapture --test-threads=1

stages: ## Instructions of each pure stage for one transaction, held against tests/stages/baseline.txt; BASELINE=write
	@tests/rig/install.sh valgrind
	@$(subst --test sim,--test stages,$(SIM))

sim-pairs: ## Every two crashes of a small run of the simulation; ten minutes
	@$(SIM) every_pair_of_crashes -- --ignored --nocapture

plants: ## Which planted bugs the simulation finds, and within how many runs
	@PLANT_SEEDS=10000 $(SIM) planted_bugs_are_found -- --nocapture

plants-real: export TOLLBRIDGE = $(abspath $(TARGET)/debug/tollbridge)
plants-real: failpoints suite ## Which bugs planted in the real program the kill suite finds; 20 minutes. PLANT= picks one
	@$(TARGET)/debug/faults plants $(or $(SEED),1) $(PLANT)

fuzz-all: ## Fuzzes all targets for SECONDS in all, building apart; TARGETS= picks some
	@tests/rig/install.sh
	@tests/fuzz/fuzz.sh $(or $(SECONDS),720) $(TARGETS)

release:
	@tests/rig/install.sh
	@$(CARGO) build --quiet --locked --release --package tollbridge --package tollbridge-rig

up: release ## Starts Kafka, Redis, a gateway simulator and two processors, and leaves them running
	@$(RIG) up

down: ## Ends what `make up` started
	@test -x $(RIG) || $(MAKE) release
	@$(RIG) down

demo: release ## 20,000 transactions, a kill, a wiped Redis, and the balance; two minutes at most
	@$(RIG) demo

soak-demo: release ## The demo RUNS times with other seeds and each of the stores
	@$(RIG) soak-demo $(or $(RUNS),30)

# What `upgraded-and-back` goes back to: the commit before the last one that changed the program.
BEFORE = $(shell git log -2 --format=%h -- src | tail -1)
export TOLLBRIDGE_BEFORE = $(abspath .rig/before/tollbridge)

before: install
	@rm -rf .rig/before && git worktree prune && mkdir -p .rig/before
	@git worktree add --quiet --detach .rig/before/source $(BEFORE)
	@$(CARGO) build --quiet --locked --manifest-path .rig/before/source/Cargo.toml --target-dir $(TARGET)/before \
		--package tollbridge
	@cp $(TARGET)/before/debug/tollbridge .rig/before/tollbridge
	@git worktree remove --force .rig/before/source

# The program with failpoints, beside the ordinary one: `suite` puts that one back where both are made.
export TOLLBRIDGE_FAILPOINTS = $(abspath $(TARGET)/debug/tollbridge-failpoints)

failpoints: install
	@$(CARGO) test --quiet --locked --features failpoints --lib --test failpoints failpoint
	@$(CARGO) build --quiet --locked --package tollbridge --features failpoints
	@install $(TARGET)/debug/tollbridge $(TOLLBRIDGE_FAILPOINTS)

suite: install
	@$(CARGO) build --quiet --locked --package tollbridge --package tollbridge-faults

# The product as it is developed, its assertions on.
faults faults-check campaign recover: export TOLLBRIDGE = $(abspath $(TARGET)/debug/tollbridge)

faults: $(if $(filter upgraded-and-back,$(SCENARIO)),before) $(if $(findstring -at-a-failpoint,$(SCENARIO)),failpoints) suite ## Kills, cuts and freezes real parts under load: SCENARIO= SEED=; without one it lists them
	@$(TARGET)/debug/faults $(if $(SCENARIO),run $(SCENARIO) $(or $(SEED),1),list)

faults-check: suite ## Eight runs of these that differ from those of the tests, less than a minute each
	@$(TARGET)/debug/faults check $(or $(SEED),1)

campaign: before failpoints suite ## RUNS= of what tests/faults/LEDGER.csv lacks most, JOBS= side by side, none begun after MINUTES=; SCENARIO=a,b
	$(if $(FAST),@$(CARGO) build --quiet --locked --profile campaign --package tollbridge)
	@$(if $(FAST),TOLLBRIDGE=$(abspath $(TARGET)/campaign/tollbridge)) $(TARGET)/debug/faults campaign $(or $(RUNS),41) $(or $(SEED),1) $(or $(JOBS),1) $(or $(MINUTES),100000) $(SCENARIO)

faults-claim: ## What the ledger shows of the pipeline as it is, and with its adapters
	@$(CARGO) run --quiet --locked --package tollbridge-faults -- claim

recover: suite ## Medians of RUNS= times to go on after a processor, Redis, the broker or PostgreSQL was killed
	@$(TARGET)/debug/faults recover $(or $(RUNS),5)

bench: install ## Measurements side by side: ITEM= picks one; ITEM="look a2" only tries it. Results: benches/results
	@tests/rig/install.sh wrk strace
	$(CARGO) build --locked --release --package tollbridge-naive
	$(CARGO) bench --locked --bench suite -- $(ITEM)

flame: install ## A picture of where the processor's time goes: ITEM=a2, or a1. benches/results/flame-ITEM-COMMIT.svg
	@tests/rig/install.sh perf
	$(CARGO) build --locked --release --package tollbridge-flame
	$(CARGO) bench --locked --bench suite -- flame $(or $(ITEM),a2)
	@commit=$$(git describe --always --dirty=-changed --abbrev=7 --exclude='*'); mkdir -p benches/results; \
	file=benches/results/flame-$(or $(ITEM),a2)-$$commit.svg; \
	$(TARGET)/release/tollbridge-flame "tollbridge run, $(or $(ITEM),a2), $$commit" <.rig/flame/$(or $(ITEM),a2).txt >$$file; echo "$$file"

model: ## What RATE= transactions a second take on many machines, from the newest results of a2
	@$(CARGO) bench --quiet --locked --bench suite -- model $(or $(RATE),1000000)

bench-all: ## All of them; those that this commit has figures of are left out
	@$(MAKE) --no-print-directory bench ITEM=all

long: install ## Outages of MINUTES= (10) under load: ITEM=gateway-outage, store-outage, redis-full, governors
	$(CARGO) bench --locked --bench long -- $(or $(ITEM),none) $(or $(MINUTES),10)

build-cold: ## A release build from nothing; says how long it took, for how many crates
	@rm -rf .rig/cold && mkdir -p .rig/cold
	@start=$$(date +%s); \
	$(CARGO) build --locked --release --target-dir .rig/cold 2>&1 | tee .rig/cold/log; \
	spent=$$(( $$(date +%s) - start )); \
	echo "$$spent seconds, $$(grep -c '^ *Compiling ' .rig/cold/log) crates"
	@rm -rf .rig/cold
